"""What the HTML pages share: the document with its style, tables, and how numbers are written."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from densevos_eval.reports.compare import TIE
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import lower_is_better

DOCUMENT = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<style>
$style</style>
</head>
<body>
$body
<script>
$script</script>
</body>
</html>
"""
)


def document(title: str, body: str) -> str:
    """A whole page that needs no other file; title and body are HTML."""
    assets = files("densevos_eval.reports") / "assets"
    return DOCUMENT.substitute(
        title=title,
        body=body,
        style=(assets / "report.css").read_text(encoding="utf-8"),
        script=(assets / "report.js").read_text(encoding="utf-8"),
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML; a column without heading is a picture. Narrow screens do without it, and
    without frames.
    """
    kinds = ["frames" if name == "frames" else "" if name else "wide" for name in header[1:]]
    styles = ["", *(f' class="{one}"' if one else "" for one in kinds)]
    head = "".join(f"<th{style}>{name}</th>" for style, name in zip(styles, header, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{style}>{cell}</td>' for style, cell in zip(styles, row, strict=True))}</tr>\n"
        for row in rows
    )
    made = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'

    return f'<div class="scroll{" tall" if kind == "sortable" else ""}">{made}</div>'


def coloured_change(value: float, column: str) -> str:
    """A difference in the colour of better or worse."""
    if value != value:
        return "–"

    better = value < 0 if lower_is_better(column) else value > 0
    style = "soft" if abs(value) < TIE else "good" if better else "bad"
    return f'<span class="{style}">{percent(value, True)}</span>'


def short_name(column: str) -> str:
    """A column without -Mean, which is understood."""
    return column.removesuffix("-Mean")


def heading(column: str) -> str:
    """A column as a heading: J, J recall, PCK@.1."""
    letter, _, kind = short_name(column).partition("-")
    return escape(f"{letter} {kind.lower()}".rstrip())


def counted(number: int, noun: str) -> str:
    """A number of things: 1 sequence, 2 sequences."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
