"""Tables of scores: as text, as HTML, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """A table of scores; scoring.results draws it on the screen.

    Attributes:
        title: Lines above the table.
        header: Titles of the columns. The first column holds names, the others hold numbers.
        overall: Rows about the whole split, shown first and in bold.
        rows: Rows about the parts of the split: sequences, or classes.
    """

    title: str
    header: tuple[str, ...]
    overall: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """The table as plain text, as a console of Python shows it."""
        # On the screen titles of columns have several lines; here each has one.
        header = tuple(cell.replace("\n", "-") for cell in self.header)
        rows = [header, *self.overall, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

        lines = []
        for row in rows:
            # Names are flush left, numbers are flush right.
            padded = [row[0].ljust(widths[0])]
            for cell, width in zip(row[1:], widths[1:], strict=True):
                padded.append(cell.rjust(width))

            lines.append("  ".join(padded).rstrip())

        # The rule is as wide as the columns and the two spaces between each two of them.
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines.insert(1, rule)
        return "\n".join([self.title, "", *lines])

    def html(self) -> str:
        """The table as HTML, as a notebook shows it."""
        head = _html_row("th", self.header)
        # Bold cells (th) set the whole split apart from its parts (td).
        overall = "".join(_html_row("th", row) for row in self.overall)
        parts = "".join(_html_row("td", row) for row in self.rows)
        caption = f"<caption>{escape(self.title)}</caption>"

        return f"<table>{caption}<thead>{head}</thead><tbody>{overall}{parts}</tbody></table>"


def _html_row(tag: str, row: Iterable[str]) -> str:
    content = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
    return f"<tr>{content}</tr>"


def decimals(values: Iterable[object]) -> list[str]:
    """The values as text; floats with three decimals, as the official tool prints them."""
    texts = []
    for value in values:
        is_float = isinstance(value, float | np.floating)
        texts.append(f"{value:.3f}" if is_float else str(value))

    return texts


def cells(values: Iterable[float]) -> list[str]:
    """Three decimals, as the official tool writes them to files; NaN becomes an empty cell."""
    return ["" if math.isnan(value) else f"{value:.3f}" for value in values]


def csv_bytes(header: Iterable[object], rows: Iterable[Iterable[object]]) -> bytes:
    """The content of a CSV file with this header and these rows, as UTF-8."""
    text = io.StringIO()
    # The module's default is to end lines with a carriage return and a line feed.
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)

    return text.getvalue().encode()
