"""One cell of a matrix: masks and scores of one encoder on one benchmark with one preset."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from densevos.base.errors import InputError
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.base.sizes import Size, size_text
from densevos_eval.inputs.footage import Videos
from densevos_eval.matrix.plan import Cell, MatrixPlan
from densevos_eval.presets.options import PropagationOptions
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.reports.results import Results, check_fresh, read_results
from densevos_eval.runs.options import RunOptions
from densevos_eval.scoring.kept import KeptArrays
from densevos_eval.scoring.options import ScoreOptions, Target
from densevos_eval.scoring.results import write_scores
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import VideoSequence


class Propagate(Protocol):
    """The signature of the command `propagate`."""

    def __call__(
        self, videos: Videos, encoder: EncoderOptions, options: PropagationOptions, run: RunOptions
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class CellRunner:
    """Makes the cells of a matrix.

    plan: What to run.
    out: Folder of the matrix.
    propagate: The command that writes the masks.
    workers: Number of processes that propagate; None for the command's default.
    scorers: Number of processes that score.
    """

    plan: MatrixPlan
    out: Path
    propagate: Propagate
    workers: int | None
    scorers: int

    def make(self, cell: Cell) -> Results:
        """Write masks and scores of a cell to OUT/CELL; finished ones are kept.

        Args:
            cell: The combination to run.

        Returns:
            The scores.

        Raises:
            InputError: The cell cannot be made, or OUT/CELL was made with other settings or inputs.
            RunError: Some sequences have no masks.
        """
        benchmark = self.plan.benchmarks[cell.benchmark]
        folder = self.out / cell.name

        # Always called: it only checks masks that are finished, and rejects those that were made
        # with other settings.
        self.propagate(
            videos=benchmark,
            encoder=self.plan.encoders[cell.encoder],
            options=PropagationOptions(preset=cell.preset),
            run=RunOptions(out=folder, resume=True, workers=self.workers),
        )

        # A preset may score at another size, and annotations are then resized to it.
        preset = PropagationOptions(preset=cell.preset).chosen(benchmark.dataset)
        target = scored_with(benchmark, preset.annotation_size)
        # Scores that are complete and up to date are not computed again.
        finished = _finished(folder, target.items)
        if finished:
            return finished

        # Numbers of finished sequences are kept on disk until all are scored, so that an
        # interrupted run does not score them again.
        kept = KeptArrays(out=folder, reuse=True)
        scores = score(
            target.items,
            folder,
            target.metric,
            split=benchmark.split,
            kept=kept,
            workers=self.scorers,
        )
        write_scores(scores, folder)
        kept.delete()

        return read_results(folder)


def scored_with(benchmark: Videos, annotation_size: Size | None = None) -> Target:
    """What the sequences of a benchmark are scored against, and how.

    Args:
        benchmark: Options that choose the benchmark.
        annotation_size: [H,W] that annotations are resized to; None for their own size.

    Raises:
        InputError: Files are missing.
    """
    # Scoring shares the options that name a benchmark, and has no use for the others.
    values = {}
    for option in fields(BenchmarkOptions):
        values[option.name] = getattr(benchmark, option.name)

    size = size_text(annotation_size) if annotation_size else None
    return ScoreOptions(**values, annotation_size=size).target(None)


def _finished(folder: Path, items: Sequence[VideoSequence]) -> Results | None:
    """The scores in the folder; None if they are incomplete or out of date."""
    names = [item.name for item in items]
    try:
        results = read_results(folder)
        # A cell with broken sequences has scores of the others only; it is scored again.
        if list(results.sequences) != names:
            return None

        check_fresh(results, items)
    except InputError:
        return None

    return results
