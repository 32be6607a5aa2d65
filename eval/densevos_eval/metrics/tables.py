"""Tables of scores as text: for the screen, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

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

    def text(self) -> str:
        """The table as plain text, as a console of Python shows it."""
        header = tuple(cell.replace("\n", "-") for cell in self.header)
        lines = [header, *self.overall, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        places = [(str.rjust if number else str.ljust) for number in range(len(header))]
        drawn = [
            "  ".join(
                place(cell, width) for place, cell, width in zip(places, line, widths, strict=True)
            ).rstrip()
            for line in lines
        ]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

        return "\n".join([self.title, "", drawn[0], rule, *drawn[1:]])

    def html(self) -> str:
        """The table as HTML, as a notebook shows it."""
        head = _html_row("th", self.header)
        body = [_html_row("th", row) for row in self.overall] + [
            _html_row("td", row) for row in self.rows
        ]
        caption = f"<caption>{escape(self.title)}</caption>"

        return f"<table>{caption}<thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def _html_row(tag: str, row: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"


def decimals(values: Iterable[object]) -> list[str]:
    """Three decimals, as the official tool prints them."""
    return [
        f"{value:.3f}" if isinstance(value, float | np.floating) else str(value) for value in values
    ]


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
