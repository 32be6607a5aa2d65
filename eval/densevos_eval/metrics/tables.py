"""Tables of scores as text: for the screen, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """What the screen shows; scoring.results draws it.

    title: Lines above the table.
    header: Titles of the columns. The first column holds names, the others hold numbers.
    overall: Rows about the whole split, shown first and in bold.
    rows: Rows about its parts: sequences, or classes.
    """

    title: str
    header: tuple[str, ...]
    overall: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]


def decimals(values: Iterable[object]) -> list[str]:
    """Three decimals, as the official tool prints them."""
    return [f"{value:.3f}" if isinstance(value, float | np.floating) else str(value) for value in values]


def cells(values: Iterable[float]) -> list[str]:
    """Three decimals, as the official tool writes them to files; empty where there is no number."""
    return ["" if math.isnan(value) else f"{value:.3f}" for value in values]


def csv_bytes(header: Iterable[object], rows: Iterable[Iterable[object]]) -> bytes:
    """A CSV file with this header and these rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
