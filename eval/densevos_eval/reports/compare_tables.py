"""A comparison as Markdown, LaTeX or CSV."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from densevos_eval.reports.compare import Comparison, Difference
from densevos_eval.reports.published import Published

Format = Literal["markdown", "csv", "latex"]
Row = Sequence[str]
CSV_COLUMNS = (
    "result",
    "sequence",
    "metric",
    "value",
    "difference",
    "low",
    "high",
    "won",
    "lost",
    "same",
    "source",
)


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """Cells as they are printed, the first column being names; `marked` rows are published
    figures.
    """

    caption: str
    header: Row
    rows: Sequence[Row]
    marked: Sequence[Row] = ()
    notes: Sequence[str] = ()


def percent(value: float | None, sign: bool = False) -> str:
    """A share in per cent with one decimal, a dash where there is none."""
    if value is None or value != value:
        return "–"

    rounded = round(100 * value, 1) + 0.0  # without -0.0
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"


def text_tables(comparison: Comparison, published: Sequence[Published] = ()) -> list[TextTable]:
    """The whole split, then the headline of every sequence, or the IoU of every class where those
    are scored.
    """
    details = _classes(comparison) if comparison.first.classes else _sequences(comparison)
    return [_overall(comparison, published), details]


def _overall(comparison: Comparison, published: Sequence[Published]) -> TextTable:
    first = comparison.first
    sources = list(dict.fromkeys(row.source for row in published))
    notes = [f"[{number}] published: {source}" for number, source in enumerate(sources, start=1)]

    if published:
        notes.append(
            "published figures are copied from the papers, over the whole split, and not measured here"
        )

    notes += [
        f"{one.title}: annotations scored at {one.annotation_size}"
        for one in comparison.results
        if one.annotation_size
    ]
    rows = [[first.title, *(percent(first.overall[column]) for column in first.columns), "", ""]]

    for result, differences in zip(comparison.results[1:], comparison.differences, strict=True):
        cells = [
            f"{percent(result.overall.get(c))} ({percent(differences[c].value if c in differences else None, True)})"
            for c in first.columns
        ]
        rows.append([result.title, *cells, *_certainty(differences.get(first.headline))])

    return TextTable(
        caption=(
            f"{first.dataset} {first.split}, {len(first.sequences)} sequences, in per cent;"
            f" differences to {first.title}{_how_sure(comparison)}"
        ),
        header=["", *map(_short, first.columns), "95 % interval", "won / lost / same"],
        rows=rows,
        marked=[_published(row, first.columns, sources) for row in published],
        notes=notes,
    )


def _how_sure(comparison: Comparison) -> str:
    """What the intervals are, where there are any: numbers of all pixels together, such as mIoU,
    have none.
    """
    headline = comparison.first.headline
    if not any(one[headline].interval for one in comparison.differences if headline in one):
        return ""

    return (
        f", and how sure that of {_short(headline)} is: its 95 % bootstrap interval over sequences"
    )


def _published(row: Published, columns: Sequence[str], sources: Sequence[str]) -> Row:
    figures = (row.figures.get(column) for column in columns)
    cells = ["–" if figure is None else f"{figure:.1f}" for figure in figures]
    return [_title(row), *cells, "", f"published [{sources.index(row.source) + 1}]"]


def _title(row: Published) -> str:
    return f"{row.method} ({row.training})" if row.training else row.method


def _certainty(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["–", "–"]
    bounds = ", ".join(percent(bound, True) for bound in difference.interval or ())
    return [bounds or "–", f"{difference.wins} / {difference.losses} / {difference.ties}"]


def _sequences(comparison: Comparison) -> TextTable:
    first = comparison.first
    figures = [
        {name: one.row.get(first.headline, float("nan")) for name, one in result.sequences.items()}
        for result in comparison.results
    ]

    return _side_by_side(
        comparison, figures, "sequence", f"{_short(first.headline)} of every sequence"
    )


def _classes(comparison: Comparison) -> TextTable:
    figures = [result.classes for result in comparison.results]
    return _side_by_side(comparison, figures, "class", "IoU of every class")


def _side_by_side(
    comparison: Comparison, figures: Sequence[Mapping[str, float]], what: str, caption: str
) -> TextTable:
    """A row for each name: the figure of the first result, those of the others with their
    difference to it.
    """
    first, *others = figures
    rows = []
    for name, value in first.items():
        cells = [
            f"{percent(other[name])} ({percent(other[name] - value, True)})" for other in others
        ]
        rows.append([name, percent(value), *cells])

    return TextTable(
        caption=caption, header=[what, *(result.title for result in comparison.results)], rows=rows
    )


def _short(column: str) -> str:
    return column.removesuffix("-Mean")


def markdown(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """Both tables as Markdown; published rows in italics."""
    return "\n".join(markdown_table(table) for table in text_tables(comparison, published))


def markdown_table(table: TextTable) -> str:
    """One table as Markdown; published rows in italics."""
    marked = [[f"*{cell}*" if cell else "" for cell in map(_plain, row)] for row in table.marked]
    lines = [f"**{_plain(table.caption)}**", "", _line(map(_plain, table.header))]
    lines += [_line(["---", *["---:"] * (len(table.header) - 1)])]
    lines += [_line(map(_plain, row)) for row in table.rows] + [_line(row) for row in marked]
    lines += ["", *(f"* {_plain(note)}" for note in table.notes)] if table.notes else []

    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """The text without meaning to Markdown."""
    return re.sub(r"([|*_`<\\])", r"\\\1", text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latex(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """Both tables for a paper (needs the package booktabs); published rows below a rule of their
    own.
    """
    return "\n".join(_tabular(table) for table in text_tables(comparison, published))


def _tabular(table: TextTable) -> str:
    lines = [f"% {_tex(note)}" for note in (table.caption, *table.notes)]
    lines += [
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
        r"\toprule",
        _tex_line(table.header),
    ]
    lines += [r"\midrule", *map(_tex_line, table.rows)]
    if table.marked:
        lines += [r"\midrule", *map(_tex_line, table.marked)]

    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex_line(cells: Row) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    """The text without meaning to LaTeX, signs of numbers set as such."""
    escaped = re.sub(r"([&%$#_{}])", r"\\\1", text.replace("\\", "/"))
    escaped = (
        escaped.replace("~", r"\textasciitilde{}")
        .replace("^", r"\textasciicircum{}")
        .replace("–", "--")
    )

    return re.sub(r"(?<![\w.])([+-])(?=\d)", r"$\1$", escaped)


def as_csv(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """One line for each number of each result, over the whole split and for each sequence, as
    shares 0 to 1.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()

    for result, differences in zip(comparison.results, ({}, *comparison.differences), strict=True):
        for column, value in result.overall.items():
            known = _difference_cells(differences[column]) if column in differences else {}
            writer.writerow(_csv_row(result.title, "overall", column, value, **known))

        for name, value in result.classes.items():
            gap = (
                {"difference": value - comparison.first.classes[name]}
                if result is not comparison.first
                else {}
            )
            writer.writerow(_csv_row(result.title, "overall", f"IoU {name}", value, **gap))

        for name, one in result.sequences.items():
            base = comparison.first.sequences[name].row
            for column, value in one.row.items():
                gap = (
                    {"difference": value - base[column]}
                    if column in differences and column in base
                    else {}
                )
                writer.writerow(_csv_row(result.title, name, column, value, **gap))

    for row in published:
        for column, figure in row.figures.items():
            writer.writerow(
                _csv_row(_title(row), "overall", column, round(figure / 100, 4), source=row.source)
            )

    return file.getvalue()


def _csv_row(
    result: str, sequence: str, metric: str, value: float, **more: object
) -> dict[str, object]:
    row = {"result": result, "sequence": sequence, "metric": metric, "value": value, **more}
    return {column: "" if cell != cell else cell for column, cell in row.items()}  # empty for NaN


def _difference_cells(one: Difference) -> dict[str, object]:
    bounds = dict(zip(("low", "high"), one.interval or (), strict=False))
    return {
        "difference": one.value,
        **bounds,
        "won": one.wins,
        "lost": one.losses,
        "same": one.ties,
    }


FORMATS: dict[Format, Callable[[Comparison, Sequence[Published]], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "latex": latex,
}
