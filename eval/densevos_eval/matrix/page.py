"""A matrix as one HTML page that needs no other file."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from densevos_eval.matrix.matrix import Matrix
from densevos_eval.matrix.tables import overview, published_of
from densevos_eval.reports import charts
from densevos_eval.reports.compare import Comparison, Difference
from densevos_eval.reports.compare_tables import as_printed, percent
from densevos_eval.reports.html import coloured_change, counted, document, heading, html_table
from densevos_eval.reports.published import Published
from densevos_eval.reports.results import Results


def page(matrix: Matrix, comparisons: Mapping[str, Comparison], *, published: bool = False) -> str:
    """The page: an overview, a section for each benchmark, and the cells without scores.

    Args:
        matrix: The results.
        comparisons: Name of each benchmark -> comparison of its rows.
        published: Whether to show published figures beside the results.

    Returns:
        The HTML.
    """
    plan = matrix.plan
    counts = [
        counted(len(plan.encoders), "encoder"),
        counted(len(plan.benchmarks), "benchmark"),
        counted(len(plan.presets), "preset"),
    ]
    # A section for each benchmark that has scores.
    sections = []
    for name, comparison in comparisons.items():
        rows, reasons = published_of(comparison) if published else ((), ())
        sections.append(_section(name, comparison, rows, [*reasons, *matrix.notes(name)]))

    # The overview comes first: most readers need no more than it.
    body = [
        f'<header><h1>{escape(plan.file.stem)}</h1><p class="soft">{" · ".join(counts)}'
        " · numbers in per cent</p></header>",
        "<h2>Overview</h2>",
        _overview(matrix),
        *sections,
        _broken(matrix),
    ]

    return document(escape(plan.file.stem), "\n".join(body))


def _overview(matrix: Matrix) -> str:
    table = overview(matrix)
    # Measures such as J&F hold a character that HTML reserves.
    header = list(map(escape, table.header))
    rows = [list(map(escape, row)) for row in table.rows]
    return html_table(header, rows, kind="sortable")


def _section(
    name: str, comparison: Comparison, published: Sequence[Published], notes: Sequence[str]
) -> str:
    """One benchmark: its means, the headline's difference to the first row, and the interval."""
    first = comparison.first
    several = len(comparison.results) > 1

    # A single row has nothing to differ from, so it gets no such columns.
    certainty: list[str] = []
    if several:
        difference_heading = f"{heading(first.headline)} difference"
        certainty = [difference_heading, "95 % interval", "won / lost / same"]

    # The column without heading holds the bars.
    header = ["", *map(heading, first.columns), "", *certainty]
    rows = []

    # The first result has no differences, as the others are compared with it.
    for result, differences in zip(comparison.results, ({}, *comparison.differences), strict=True):
        cells = [escape(result.title)]
        cells += [percent(result.overall.get(column)) for column in first.columns]
        # The tick in a bar marks the first result, which needs none in its own.
        if result is first:
            cells.append(charts.bar(_shown(result)))
        else:
            cells.append(charts.bar(_shown(result), _shown(first)))

        if several:
            cells += _certainty(differences.get(first.headline), first.headline)

        rows.append(cells)

    # Published figures stand below the results, in italics.
    for figures in published:
        cells = [f"<i>{escape(figures.method)} ({escape(figures.training or 'published')})</i>"]
        cells += [as_printed(figures.figures.get(column)) for column in first.columns]
        cells.append("")
        if several:
            cells += ["", "published", ""]

        rows.append(cells)

    # The line above the table says what the numbers are of.
    about = f"{first.dataset} {first.split}, {counted(len(first.sequences), 'sequence')}"
    if several:
        about += f"; differences to {first.title}, with 95 % bootstrap intervals over sequences"

    about = escape("; ".join([about, *notes]))
    table = html_table(header, rows, kind="sortable")
    return f'<h2>{escape(name)}</h2><p class="soft">{about}</p>{table}'


def _shown(result: Results) -> float:
    """The headline if it is a share, which a bar can show; NaN for other numbers."""
    value = result.overall.get(result.headline, np.nan)
    return value if 0 <= value <= 1 else np.nan


def _certainty(difference: Difference | None, column: str) -> list[str]:
    """Difference, interval, and sequences won, lost and tied; empty cells for the first row."""
    if difference is None:
        return ["", "", ""]

    # Some differences have no interval; a dash stands for it.
    bounds = " to ".join(percent(bound, True) for bound in difference.interval or ())
    counts = f"{difference.wins} / {difference.losses} / {difference.ties}"
    return [coloured_change(difference.value, column), bounds or "–", counts]


def _broken(matrix: Matrix) -> str:
    """The cells without scores, each with its reason on one line."""
    if not matrix.broken:
        return ""

    rows = []
    for cell, reason in matrix.broken.items():
        line = escape(" ".join(reason.split()))
        rows.append([escape(cell.name), f'<span class="bad">{line}</span>'])

    return f"<h2>Without scores</h2>{html_table(['cell', 'why'], rows, kind='reasons')}"
