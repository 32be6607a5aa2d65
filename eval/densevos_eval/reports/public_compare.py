"""Compare results from a script; the command `compare` parses options and calls this."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.metrics.metric import Scores
from densevos_eval.reports.compare import Comparison, Difference
from densevos_eval.reports.compare import compare as compare_results
from densevos_eval.reports.compare_tables import FORMATS, Format
from densevos_eval.reports.published import Published, published_rows, reason_against
from densevos_eval.reports.results import Results, check_same, read_all, results_of_scores

Source = Path | str | Scores


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparisonTables:
    """A comparison of results with its tables. Consoles and notebooks show the tables.

    Attributes:
        comparison: The results and their differences to the first of them.
        published: Published figures below the results.
        notes: Why published figures are left out, if they are.
    """

    comparison: Comparison
    published: Sequence[Published] = ()
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        return self.text()

    def _repr_markdown_(self) -> str:
        return self.text()

    @property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Title of each result after the first -> column -> its difference to the first."""
        others = self.comparison.results[1:]
        titles = [result.title for result in others]
        return dict(zip(titles, self.comparison.differences, strict=True))

    def text(self, format: Format = "markdown") -> str:
        """The tables as `markdown`, `csv` or `latex`.

        Raises:
            InputError: There is no such format.
        """
        if format not in FORMATS:
            raise InputError(f"format: must be one of {', '.join(FORMATS)}, is {format}")

        return FORMATS[format](self.comparison, self.published)


def compare(
    results: Mapping[str, Source] | Iterable[Path | str],
    *,
    published: bool = False,
    seed: int = 0,
) -> ComparisonTables:
    """Compare scored results of one benchmark with the first of them.

    Differences are paired: both results are of the same sequences. Intervals are of 95 %, by a
    bootstrap over the sequences.

    Args:
        results: Folders with the results.json of `densevos-eval score`; or a title for each folder,
            or for scores in memory as `evaluate` returns them. Of scores in memory only the
            benchmark and the names of the sequences are checked, not the annotations.
        published: Show published figures of the benchmark too, if the results are of its whole
            split.
        seed: Seed of the bootstrap.

    Returns:
        The comparison. `differences[TITLE][COLUMN]` has `value`, `interval` (None if the number is
        not a mean over two or more sequences), `wins`, `losses` and `ties`; numbers are shares,
        0 to 1. `text()` gives the tables of the command.

    Raises:
        InputError: Results are missing, of different benchmarks or sequences, or out of date; or no
            published figures are known.

    >>> import numpy as np
    >>> from densevos_eval import compare, evaluate
    >>> truth = np.zeros((4, 32, 32), np.uint8)
    >>> truth[:, 8:24, 8:24] = 1
    >>> annotations = {"cat": truth, "dog": truth}
    >>> moved = {"cat": np.roll(truth, 4, axis=2), "dog": np.roll(truth, 2, axis=2)}
    >>> exact = evaluate(annotations, annotations)
    >>> tables = compare({"moved": evaluate(moved, annotations), "exact": exact})
    >>> change = tables.differences["exact"]["J-Mean"]
    >>> round(change.value, 3), change.wins, change.losses
    (0.311, 2, 0)
    >>> change.interval[0] < change.value < change.interval[1]
    True
    >>> tables.text().splitlines()[4].split(" | ")[:3]
    ['| moved', '59.4', '68.9']
    """
    # A generator of its own, so that the same results and seed give the same intervals.
    comparison = compare_results(_read(results), np.random.default_rng(seed))
    if not published:
        return ComparisonTables(comparison=comparison)

    # All results are of the same sequences, so the first one speaks for all.
    first = comparison.first
    rows = published_rows(first.dataset, first.split)
    reason = reason_against(first.dataset, first.split, first.sequences)
    # Figures of a whole split would mislead beside results of a part of it.
    if reason:
        return ComparisonTables(comparison=comparison, notes=(reason,))

    return ComparisonTables(comparison=comparison, published=rows)


def _read(results: Mapping[str, Source] | Iterable[Path | str]) -> list[Results]:
    """The results, titled by their folders if they have no titles of their own."""
    # A single folder is allowed; as an iterable, a text would be read letter by letter.
    if isinstance(results, str | Path):
        results = [results]
    if not isinstance(results, Mapping):
        return read_all(map(Path, results))

    # Scores in memory have no folder, so folders are read and checked together.
    folders = {}
    for title, source in results.items():
        if isinstance(source, str | Path):
            folders[title] = Path(source)

    # `read_all` refuses an empty list, which is what scores in memory alone leave.
    from_disk = dict(zip(folders, read_all(folders.values()), strict=True)) if folders else {}
    # In the order of the caller, whose first result is the one to compare with.
    every = []
    for title, source in results.items():
        if isinstance(source, Scores):
            every.append(results_of_scores(source, title))
        elif title in from_disk:
            every.append(replace(from_disk[title], title=title))
        else:
            raise InputError(
                f"results: {title} must be a folder or what evaluate returns,"
                f" is a {type(source).__name__}"
            )

    if not every:
        raise InputError("results: none is named; name one or more folders with results.json")

    # `read_all` has compared the folders only, not the scores in memory.
    for result in every:
        check_same(every[0], result)

    return every
