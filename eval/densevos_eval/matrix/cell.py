"""One cell of a matrix: masks and scores of one encoder on one benchmark with one preset."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from densevos.base.errors import InputError
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.base.sizes import Size, size_text
from densevos_eval.inputs.footage import Videos
from densevos_eval.matrix.plan import Cell, Plan
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
    """The command `propagate`."""

    def __call__(
        self, videos: Videos, encoder: EncoderOptions, options: PropagationOptions, run: RunOptions
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How cells are made.

    plan: What to run.
    out: Folder of the matrix.
    propagate: Makes the masks.
    workers: Processes that propagate; None for the usual number.
    scorers: Processes that score.
    """

    plan: Plan
    out: Path
    propagate: Propagate
    workers: int | None
    scorers: int

    def make(self, cell: Cell) -> Results:
        """Masks and scores of the cell in OUT/CELL; what is there of them is kept.

        Raises:
            InputError: The cell cannot be made, or OUT/CELL was made with other settings or inputs.
            RunError: Some sequences have no masks.
        """
        benchmark, folder = self.plan.benchmarks[cell.benchmark], self.out / cell.name
        # Finished masks cost a look at their files, and other settings are refused.
        self.propagate(
            videos=benchmark,
            encoder=self.plan.encoders[cell.encoder],
            options=PropagationOptions(preset=cell.preset),
            run=RunOptions(out=folder, resume=True, workers=self.workers),
        )

        preset = PropagationOptions(preset=cell.preset).chosen(benchmark.dataset)
        target = scored_with(benchmark, preset.annotation_size)
        finished = _finished(folder, target.items)
        if finished:
            return finished

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
    """What the sequences of the benchmark are scored against, and how; InputError if files are
    missing.

    annotation_size: [H,W] at which a protocol scores; None for the annotations' own size.
    """
    values = {option.name: getattr(benchmark, option.name) for option in fields(BenchmarkOptions)}
    size = size_text(annotation_size) if annotation_size else None
    return ScoreOptions(**values, annotation_size=size).target(None)


def _finished(folder: Path, items: Sequence[VideoSequence]) -> Results | None:
    """The scores in the folder if they are of all these sequences, and of the masks and annotations
    that are there.
    """
    try:
        results = read_results(folder)
        if list(results.sequences) != [item.name for item in items]:
            return None
        check_fresh(results, items)
    except InputError:
        return None

    return results
