"""A matrix as one HTML page that needs no other file."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from densevos_eval.matrix.matrix import Matrix
from densevos_eval.matrix.tables import overview, published_of
from densevos_eval.reports import charts
from densevos_eval.reports.compare import Comparison, Difference
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.html import coloured_change, counted, document, heading, html_table
from densevos_eval.reports.published import Published
from densevos_eval.reports.results import Results


def page(matrix: Matrix, comparisons: Mapping[str, Comparison], *, published: bool = False) -> str:
    """The overview, a section per benchmark (perhaps with published figures), and the broken
    cells.
    """
    plan = matrix.plan
    counts = [
        counted(len(plan.encoders), "encoder"),
        counted(len(plan.benchmarks), "benchmark"),
        counted(len(plan.presets), "preset"),
    ]
    sections = []
    for name, one in comparisons.items():
        rows, reasons = published_of(one) if published else ((), ())
        sections.append(_section(name, one, rows, [*reasons, *matrix.notes(name)]))

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
    header = [escape(cell) for cell in table.header]
    return html_table(
        header, [[escape(cell) for cell in row] for row in table.rows], kind="sortable"
    )


def _section(
    name: str, comparison: Comparison, published: Sequence[Published], notes: Sequence[str]
) -> str:
    """One benchmark: its means, the difference of the headline to the first row, and how sure that
    is.
    """
    first = comparison.first
    several = len(comparison.results) > 1
    certainty = (
        [f"{heading(first.headline)} difference", "95 % interval", "won / lost / same"]
        if several
        else []
    )
    header = ["", *map(heading, first.columns), "", *certainty]
    rows = []

    for result, differences in zip(
        comparison.results, (None, *comparison.differences), strict=True
    ):
        cells = [
            escape(result.title),
            *(percent(result.overall.get(column)) for column in first.columns),
        ]
        cells.append(charts.bar(_shown(result), None if result is first else _shown(first)))

        if several:
            cells += _certainty(
                differences.get(first.headline) if differences else None, first.headline
            )

        rows.append(cells)

    for figures in published:
        printed = [figures.figures.get(column) for column in first.columns]
        cells = ["–" if figure is None else f"{figure:.1f}" for figure in printed]
        title = f"<i>{escape(figures.method)} ({escape(figures.training or 'published')})</i>"
        rows.append([title, *cells, "", *["", "published", ""][: len(certainty)]])

    about = f"{first.dataset} {first.split}, {counted(len(first.sequences), 'sequence')}"
    if several:
        about += f"; differences to {first.title}, with 95 % bootstrap intervals over sequences"

    about = "; ".join([about, *notes])
    return f'<h2>{escape(name)}</h2><p class="soft">{escape(about)}</p>{html_table(header, rows, kind="sortable")}'


def _shown(result: Results) -> float:
    """The headline as a share that a bar can show; NaN for other numbers."""
    value = result.overall.get(result.headline, np.nan)
    return value if 0 <= value <= 1 else np.nan


def _certainty(difference: Difference | None, column: str) -> list[str]:
    if difference is None:
        return ["", "", ""]

    bounds = " to ".join(percent(bound, True) for bound in difference.interval or ())
    counts = f"{difference.wins} / {difference.losses} / {difference.ties}"
    return [coloured_change(difference.value, column), bounds or "–", counts]


def _broken(matrix: Matrix) -> str:
    if not matrix.broken:
        return ""

    rows = [
        [escape(cell.name), f'<span class="bad">{escape(" ".join(reason.split()))}</span>']
        for cell, reason in matrix.broken.items()
    ]

    return f"<h2>Without scores</h2>{html_table(['cell', 'why'], rows, kind='reasons')}"
