"""A matrix as Markdown and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import densevos
from densevos.base.errors import InputError
from densevos_eval.matrix.matrix import Matrix
from densevos_eval.reports.compare import Comparison
from densevos_eval.reports.compare_tables import TextTable, markdown_table, percent, text_tables
from densevos_eval.reports.published import Published, published_rows, reason_against

DASH = "–"


def overview(matrix: Matrix) -> TextTable:
    """A row for each encoder and preset with the headline of every benchmark, in per cent."""
    # Each benchmark has a measure of its own, which its column's title names.
    headlines = {name: _headline(matrix, name) for name in matrix.plan.benchmarks}
    rows = []
    for encoder, preset in matrix.rows:
        cells = []
        for name, column in headlines.items():
            results = matrix.cell(encoder, name, preset)
            if results and column:
                cells.append(percent(results.overall[column]))
            else:
                cells.append(DASH)

        rows.append([matrix.title(encoder, preset), *cells])

    # A benchmark without any scores has no headline.
    names = []
    for name, column in headlines.items():
        names.append(f"{name} {column.removesuffix('-Mean')}".rstrip())

    return TextTable(caption="all benchmarks, in per cent", header=["", *names], rows=rows)


def markdown(matrix: Matrix, comparisons: Mapping[str, Comparison], *, published: bool) -> str:
    """The matrix as Markdown.

    Args:
        matrix: The results.
        comparisons: Name of each benchmark -> comparison of its rows.
        published: Whether to show published figures beside the results.

    Returns:
        The overview, a table of each benchmark with differences and intervals, and the cells
        without scores.
    """
    # The overview first, then the tables that it sums up.
    parts = [markdown_table(overview(matrix))]
    for name, comparison in comparisons.items():
        rows, reasons = published_of(comparison) if published else ((), ())
        # Tables of all sequences would be too long; they are in the folders of the cells.
        table, _ = text_tables(comparison, rows)
        notes = [*table.notes, *reasons, *matrix.notes(name)]
        parts.append(
            markdown_table(replace(table, caption=f"{name}: {table.caption}", notes=notes))
        )

    if matrix.broken:
        lines = []
        for cell, reason in matrix.broken.items():
            # A reason may have several lines.
            lines.append(f"* {cell.name}: {' '.join(reason.split())}")

        parts.append("\n".join(["**Without scores**", "", *lines, ""]))

    return "\n".join(parts)


def as_json(matrix: Matrix, comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    """The matrix as JSON values.

    Args:
        matrix: The results.
        comparisons: Name of each benchmark -> comparison of its rows.

    Returns:
        Numbers at full precision, as shares 0 to 1; null if there is no number.
    """
    return {
        "version": densevos.__version__,
        **matrix.plan.facts(),
        "presets": list(matrix.plan.presets),
        "cells": list(_cells(matrix, comparisons)),
        "broken": {cell.name: reason for cell, reason in matrix.broken.items()},
    }


def published_of(comparison: Comparison) -> tuple[Sequence[Published], Sequence[str]]:
    """Published figures to show beside a comparison.

    Returns:
        The figures, and lines for the reader: why there are none.
    """
    first = comparison.first
    try:
        rows = published_rows(first.dataset, first.split)
    except InputError:
        return (), (f"no published figures are known for {first.dataset} {first.split}",)

    # Figures of the complete split say little about a part of it.
    reason = reason_against(first.dataset, first.split, first.sequences)
    if reason:
        return (), (reason,)

    return rows, ()


def _cells(matrix: Matrix, comparisons: Mapping[str, Comparison]) -> Iterator[dict[str, Any]]:
    """The cells with scores, each with its differences to the first row of its benchmark."""
    for cell, results in matrix.results.items():
        comparison = comparisons[cell.benchmark]
        title = matrix.title(cell.encoder, cell.preset)
        titles = [result.title for result in comparison.results]
        # Rows of a comparison are found by their titles, which are unique in a benchmark.
        row = titles.index(title)
        # The first row is the one that the others are compared with.
        differences = comparison.differences[row - 1] if row else {}
        changes, intervals = {}, {}
        for column, difference in differences.items():
            changes[column] = _number(difference.value)
            if difference.interval:
                intervals[column] = difference.interval

        yield {
            "encoder": cell.encoder,
            "benchmark": cell.benchmark,
            "preset": cell.preset,
            "folder": cell.name,
            "dataset": results.dataset,
            "split": results.split,
            "overall": {column: _number(value) for column, value in results.overall.items()},
            "difference": changes,
            "interval": intervals,
        }


def _headline(matrix: Matrix, benchmark: str) -> str:
    """The column that a benchmark is ranked by; empty if no cell has scores."""
    for cell, results in matrix.results.items():
        # All cells of a benchmark have the same headline, so the first one tells it.
        if cell.benchmark == benchmark:
            return results.headline

    return ""


def _number(value: float) -> float | None:
    """A number as JSON takes it: None for NaN."""
    # Only NaN differs from itself.
    return None if value != value else value
