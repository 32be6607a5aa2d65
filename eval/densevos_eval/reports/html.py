"""What the HTML pages share: the document with its style, tables, and how numbers are written."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from densevos_eval.reports.compare import TIE
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import lower_is_better

# The empty icon keeps browsers from asking for a favicon.ico, which does not exist.
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
    """A complete page that needs no other file; title and body are HTML."""
    assets = files("densevos_eval.reports") / "assets"
    return DOCUMENT.substitute(
        title=title,
        body=body,
        style=(assets / "report.css").read_text(encoding="utf-8"),
        script=(assets / "report.js").read_text(encoding="utf-8"),
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table in a box that scrolls.

    Args:
        header: Headings, as HTML. A column without heading holds a picture; narrow screens hide it,
            and the column "frames".
        rows: Cells, as HTML.
        kind: CSS class of the table; tables of the kind "sortable" are sorted by a click.
    """
    # The first column names the rows and is never hidden.
    styles = [""]
    for name in header[1:]:
        if name == "frames":
            styles.append(' class="frames"')
        elif name:
            styles.append("")
        else:
            styles.append(' class="wide"')

    head = _cells("th", header, styles)
    lines = [f"<tr>{_cells('td', row, styles)}</tr>\n" for row in rows]
    body = "".join(lines)

    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
    height = " tall" if kind == "sortable" else ""
    return f'<div class="scroll{height}">{table}</div>'


def _cells(tag: str, cells: Sequence[str], styles: Sequence[str]) -> str:
    """The cells of one row, each with the style of its column."""
    parts = []
    for style, cell in zip(styles, cells, strict=True):
        parts.append(f"<{tag}{style}>{cell}</{tag}>")

    return "".join(parts)


def coloured_change(value: float, column: str) -> str:
    """A difference in the colour of better or worse; a dash for NaN."""
    if value != value:  # NaN
        return "–"

    is_better = value > 0
    if lower_is_better(column):
        is_better = value < 0

    # Differences that are printed as 0.0 are neither good nor bad.
    if abs(value) < TIE:
        style = "soft"
    elif is_better:
        style = "good"
    else:
        style = "bad"

    return f'<span class="{style}">{percent(value, True)}</span>'


def short_name(column: str) -> str:
    """A column's name without -Mean."""
    return column.removesuffix("-Mean")


def heading(column: str) -> str:
    """A column's name as a heading: J, J recall, PCK@.1."""
    letter, _, kind = short_name(column).partition("-")
    return escape(f"{letter} {kind.lower()}".rstrip())


def counted(number: int, noun: str) -> str:
    """A number of things: 1 sequence, 2 sequences."""
    plural = "" if number == 1 else "s"
    return f"{number:,} {noun}{plural}"
