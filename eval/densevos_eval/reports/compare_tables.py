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
    """Cells as they are printed; the first column holds names.

    marked: Rows of published figures, which are printed apart.
    """

    caption: str
    header: Row
    rows: Sequence[Row]
    marked: Sequence[Row] = ()
    notes: Sequence[str] = ()


def percent(value: float | None, sign: bool = False) -> str:
    """A share in per cent with one decimal; a dash for None and NaN."""
    if value is None or value != value:
        return "–"

    # Adding 0.0 turns -0.0 into 0.0, which is printed without sign.
    rounded = round(100 * value, 1) + 0.0
    if sign:
        return f"{rounded:+.1f}"

    return f"{rounded:.1f}"


def as_printed(figure: float | None) -> str:
    """A figure in per cent, as papers print it; a dash for None."""
    return "–" if figure is None else f"{figure:.1f}"


def text_tables(comparison: Comparison, published: Sequence[Published] = ()) -> list[TextTable]:
    """The tables of a comparison.

    Args:
        comparison: The results.
        published: Figures from papers, shown below the results.

    Returns:
        A table of the complete split, and one with the headline of every sequence, or with the IoU
        of every class if classes are scored.
    """
    if comparison.first.classes:
        details = _classes(comparison)
    else:
        details = _sequences(comparison)

    return [_overall(comparison, published), details]


def _overall(comparison: Comparison, published: Sequence[Published]) -> TextTable:
    """A row for each result: means with their differences, and the interval of the headline's."""
    first = comparison.first
    # A dictionary keeps the order, unlike a set: sources are numbered by it.
    sources = list(dict.fromkeys(row.source for row in published))
    notes = [f"[{number}] published: {source}" for number, source in enumerate(sources, start=1)]

    # Readers must not take copied figures for measured ones when both stand in one table.
    if published:
        notes.append(
            "published figures are copied from the papers, over the whole split, and not measured"
            " here"
        )

    for result in comparison.results:
        # Annotations of another size change the scores, so a note names it.
        if result.annotation_size:
            notes.append(f"{result.title}: annotations scored at {result.annotation_size}")

    # The first result has neither differences nor an interval.
    means = [percent(first.overall[column]) for column in first.columns]
    rows = [[first.title, *means, "", ""]]

    for result, differences in zip(comparison.results[1:], comparison.differences, strict=True):
        cells = [result.title]
        for column in first.columns:
            change = percent(None)
            if column in differences:
                change = percent(differences[column].value, True)

            cells.append(f"{percent(result.overall.get(column))} ({change})")

        rows.append([*cells, *_certainty(differences.get(first.headline))])

    return TextTable(
        caption=(
            f"{first.dataset} {first.split}, {len(first.sequences)} sequences, in per cent;"
            f" differences to {first.title}{_interval_note(comparison)}"
        ),
        header=["", *map(_short, first.columns), "95 % interval", "won / lost / same"],
        rows=rows,
        marked=[_published(row, first.columns, sources) for row in published],
        notes=notes,
    )


def _interval_note(comparison: Comparison) -> str:
    """What the intervals are; empty if there are none, as for numbers over all pixels (mIoU)."""
    headline = comparison.first.headline
    for differences in comparison.differences:
        if headline in differences and differences[headline].interval:
            return (
                f", and how sure that of {_short(headline)} is:"
                " its 95 % bootstrap interval over sequences"
            )

    return ""


def _published(row: Published, columns: Sequence[str], sources: Sequence[str]) -> Row:
    """A row of published figures, which are in per cent already."""
    # Figures of papers have no interval: there are no sequences to resample.
    cells = [as_printed(row.figures.get(column)) for column in columns]
    return [_title(row), *cells, "", f"published [{sources.index(row.source) + 1}]"]


def _title(row: Published) -> str:
    """The method, and what it was trained on if that is known."""
    if not row.training:
        return row.method

    return f"{row.method} ({row.training})"


def _certainty(difference: Difference | None) -> list[str]:
    """The interval of a difference, and the sequences won, lost and tied."""
    if difference is None:
        return ["–", "–"]

    # Without an interval, sequences are still won and lost.
    bounds = ", ".join(percent(bound, True) for bound in difference.interval or ())
    return [bounds or "–", f"{difference.wins} / {difference.losses} / {difference.ties}"]


def _sequences(comparison: Comparison) -> TextTable:
    """The headline of every sequence."""
    headline = comparison.first.headline
    figures = []
    for result in comparison.results:
        # A sequence without a number gets NaN, which is printed as a dash.
        by_name = {}
        for name, sequence in result.sequences.items():
            by_name[name] = sequence.row.get(headline, float("nan"))

        figures.append(by_name)

    return _side_by_side(comparison, figures, "sequence", f"{_short(headline)} of every sequence")


def _classes(comparison: Comparison) -> TextTable:
    """The IoU of every class."""
    figures = [result.classes for result in comparison.results]
    return _side_by_side(comparison, figures, "class", "IoU of every class")


def _side_by_side(
    comparison: Comparison, figures: Sequence[Mapping[str, float]], what: str, caption: str
) -> TextTable:
    """A row for each name: the first result's figure, and the others' with their differences."""
    # All results have the same names; see `results.check_same`.
    first, *others = figures
    rows = []
    for name, value in first.items():
        cells = [name, percent(value)]
        for other in others:
            cells.append(f"{percent(other[name])} ({percent(other[name] - value, True)})")

        rows.append(cells)

    titles = [result.title for result in comparison.results]
    return TextTable(caption=caption, header=[what, *titles], rows=rows)


def _short(column: str) -> str:
    return column.removesuffix("-Mean")


def markdown(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """Both tables as Markdown; published rows are in italics."""
    return "\n".join(markdown_table(table) for table in text_tables(comparison, published))


def markdown_table(table: TextTable) -> str:
    """One table as Markdown; published rows are in italics."""
    lines = [f"**{_plain(table.caption)}**", ""]
    lines.append(_line(map(_plain, table.header)))
    # Numbers are aligned at the right.
    lines.append(_line(["---"] + ["---:"] * (len(table.header) - 1)))

    for row in table.rows:
        lines.append(_line(map(_plain, row)))

    for row in table.marked:
        cells = map(_plain, row)
        # Empty cells stay empty: asterisks around nothing would be printed.
        lines.append(_line([f"*{cell}*" if cell else "" for cell in cells]))

    if table.notes:
        lines.append("")
        lines += [f"* {_plain(note)}" for note in table.notes]

    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """The text with everything escaped that Markdown would interpret."""
    return re.sub(r"([|*_`<\\])", r"\\\1", text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latex(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """Both tables as LaTeX (needs the package booktabs); a rule sets off published rows."""
    return "\n".join(_tabular(table) for table in text_tables(comparison, published))


def _tabular(table: TextTable) -> str:
    """One table as LaTeX; caption and notes are comments, for the author to use or drop."""
    lines = [f"% {_tex(note)}" for note in (table.caption, *table.notes)]
    # Names are aligned at the left, numbers at the right.
    alignment = "l" + "r" * (len(table.header) - 1)
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", _tex_line(table.header)]
    lines += [r"\midrule", *map(_tex_line, table.rows)]
    if table.marked:
        lines += [r"\midrule", *map(_tex_line, table.marked)]

    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex_line(cells: Row) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    """The text with everything escaped that LaTeX would interpret, and signs of numbers as math."""
    # Backslashes first: the escapes below add some.
    escaped = re.sub(r"([&%$#_{}])", r"\\\1", text.replace("\\", "/"))
    # After the escapes above, which would change the braces that these replacements add.
    escaped = (
        escaped.replace("~", r"\textasciitilde{}")
        .replace("^", r"\textasciicircum{}")
        .replace("–", "--")
    )

    # Only signs of numbers: hyphens within words, as in names of sequences, stay.
    return re.sub(r"(?<![\w.])([+-])(?=\d)", r"$\1$", escaped)


def as_csv(comparison: Comparison, published: Sequence[Published] = ()) -> str:
    """A comparison as CSV, numbers as shares 0 to 1.

    Returns:
        One line for each number of each result, over the complete split, for each class and for
        each sequence.
    """
    file = io.StringIO()
    # Lines end alike on every system, so that files of two machines can be compared.
    writer = csv.DictWriter(file, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()

    # The first result has no differences.
    first = comparison.first
    for result, differences in zip(comparison.results, ({}, *comparison.differences), strict=True):
        for column, value in result.overall.items():
            more: dict[str, object] = {}
            if column in differences:
                more = _difference_cells(differences[column])

            writer.writerow(_csv_row(result.title, "overall", column, value, **more))

        for name, value in result.classes.items():
            more = {}
            # The first result's differences to itself would all be 0.
            if result is not first:
                more = {"difference": value - first.classes[name]}

            writer.writerow(_csv_row(result.title, "overall", f"IoU {name}", value, **more))

        for name, sequence in result.sequences.items():
            base = first.sequences[name].row
            for column, value in sequence.row.items():
                more = {}
                # A sequence may lack a number that the split has.
                if column in differences and column in base:
                    more = {"difference": value - base[column]}

                writer.writerow(_csv_row(result.title, name, column, value, **more))

    for row in published:
        for column, figure in row.figures.items():
            # Papers print per cent.
            share = round(figure / 100, 4)
            writer.writerow(_csv_row(_title(row), "overall", column, share, source=row.source))

    return file.getvalue()


def _csv_row(
    result: str, sequence: str, metric: str, value: float, **more: object
) -> dict[str, object]:
    """One line of the CSV; cells are empty for NaN."""
    row: dict[str, object] = {"result": result, "sequence": sequence, "metric": metric}
    row |= {"value": value, **more}
    # NaN is the only value that is not equal to itself.
    return {column: "" if cell != cell else cell for column, cell in row.items()}


def _difference_cells(difference: Difference) -> dict[str, object]:
    cells: dict[str, object] = {"difference": difference.value}
    if difference.interval:
        cells["low"], cells["high"] = difference.interval

    cells |= {"won": difference.wins, "lost": difference.losses, "same": difference.ties}
    return cells


FORMATS: dict[Format, Callable[[Comparison, Sequence[Published]], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "latex": latex,
}
