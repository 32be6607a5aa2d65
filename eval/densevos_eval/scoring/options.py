"""What masks are scored against: a benchmark, or a labelled set; options, without torch."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.parallel import check_workers
from densevos_eval.base.sizes import parse_size
from densevos_eval.inputs.labelled_set import ChosenSet
from densevos_eval.metrics.metric import Metric
from densevos_eval.metrics.objects import ObjectsMetric
from densevos_eval.metrics.registry import find_sequence_metric, find_shot_metric
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.scoring.two_folders import two_folders
from densevos_eval.sequences.sequence import VideoSequence

USUAL = "miou"  # The metric of a labelled set unless another is named.


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to score.

    items: Sequences or shots.
    length: Number of frames of an item, by which shards are made equal.
    metric: How they are scored, bound to the rules of their benchmark or set.
    notes: What the user should know of a set, a line each.
    places: The folder that holds the folder of masks of each item, by name; None: where --results
    says.
    """

    items: list[Any]
    length: Callable[[Any], int]
    metric: Metric[Any]
    notes: tuple[str, ...] = ()
    places: Mapping[str, Path] | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(BenchmarkOptions, ChosenSet):
    """What to score against: a benchmark (--dataset, --root), a labelled set (--set), or true masks
    (--truth).
    """

    truth: Path | None = None
    """Folder of true masks, FRAME.png or SEQUENCE/FRAME.png, which the masks of the same names in
    --results are scored against; no frames and no lists are needed. All frames with a true mask
    count, the first one too."""
    skip_ends: bool = False
    """With --truth: leave out the first and the last true mask of each sequence, as DAVIS does."""
    stability: bool = True
    """Compute temporal stability T where the benchmark has it (davis16); it takes about 0.1 s per
    frame.
    """
    count_ends: bool = False
    """Score the first and the last annotated frame of a folder too. Without this option they do not
    count, as in DAVIS, where the first mask is given. Use it for results that were given no
    mask."""
    annotation_size: str | None = None
    """Resize annotations to HEIGHTxWIDTH with nearest neighbour, and score masks of that size, as
    protocols do whose masks are not of the frames' size; info --preset tells which."""
    decay_uint8: bool = False
    """Compute the decay of videos of more than 256 frames as wrongly as the DAVIS toolbox, which
    counts frames with 8 bits."""

    def __post_init__(self) -> None:
        # The two kinds share their split; every other option belongs to one of them.
        of_folders = {"truth", "skip_ends"}
        of_sets = {one.name for one in fields(ChosenSet)} - {"set", "split"}
        of_benchmarks = {one.name for one in fields(self)} - of_sets - of_folders - {"set", "split"}

        if self.truth:
            self._check_left_out(
                of_sets | of_benchmarks | {"set", "split"}, "a benchmark or a set, not for --truth"
            )
            return

        self._check_left_out(of_folders, "two folders of masks (--truth)")
        if self.set:
            self._check_left_out(of_benchmarks, "a benchmark (--dataset), not for a labelled set")
            return

        self._check_left_out(of_sets, "a labelled set (--set SET:ROOT), not for a benchmark")
        if self.dataset is None or self.root is None:
            missing = "--dataset" if self.dataset is None else "--root"
            raise InputError(
                f"{missing}: is missing; name a benchmark with --dataset and --root, a labelled set with --set, or a"
                " folder of true masks with --truth"
            )

        super().__post_init__()

    def _check_left_out(self, names: Collection[str], whose: str) -> None:
        """Raise InputError for an option that is given and belongs to the other kind of target."""
        for option in fields(self):
            if option.name in names and getattr(self, option.name) != option.default:
                flag = ("no-" if option.default is True else "") + option.name.replace("_", "-")
                raise InputError(f"--{flag}: is for {whose}; leave it out")

    @property
    def part(self) -> str:
        """Name of what is scored, for the tables: the split, or all of a folder."""
        return "all" if self.truth else self.split

    def target(self, metric: str | None, results: Sequence[Path] = ()) -> Target:
        """What these options name, with the metric named or the usual one.

        results: Folders of the masks to score, which two folders (--truth) are compared by.

        Raises:
            InputError: Files are missing, or the metric does not score what the options name.
        """
        if self.truth:
            return self._two_folders(metric, self.truth, results[0])

        return self._labelled_set(metric or USUAL) if self.set else self._benchmark(metric)

    def _two_folders(self, metric: str | None, truth: Path, results: Path) -> Target:
        found = two_folders(truth, results, skip_ends=self.skip_ends)
        chosen = find_sequence_metric(metric or found.protocol.measure)(benchmark=found.protocol)
        return Target(
            items=found.sequences,
            length=lambda sequence: len(sequence.frame_names),
            metric=chosen,
            notes=found.notes,
            places=found.places,
        )

    def _benchmark(self, metric: str | None) -> Target:
        protocol = replace(self.protocol(), decay_uint8=self.decay_uint8)
        if self.count_ends and not protocol.late_objects:
            raise InputError(
                f"--count-ends: {self.dataset} itself says which frames count; leave it out, or score with"
                " --dataset folder"
            )

        if self.count_ends:
            protocol = replace(protocol, skipped=(0, 0))
        if not self.stability:
            protocol = replace(protocol, stability=frozenset())

        chosen = find_sequence_metric(metric or protocol.measure)(benchmark=protocol)
        sequences = self.load()
        if self.annotation_size:
            size = parse_size(self.annotation_size, "--annotation-size")
            if not isinstance(chosen, ObjectsMetric):
                raise InputError(
                    f"--annotation-size: is for masks of objects, and this is --metric {chosen.name}"
                )

            sequences = [replace(sequence, annotation_size=size) for sequence in sequences]

        # Without any that counts, scoring says why.
        scored = [sequence for sequence in sequences if chosen.is_scored(sequence)] or sequences
        return Target(
            items=scored,
            length=lambda sequence: len(sequence.frame_names),
            metric=chosen,
            notes=(*_left_out(sequences, scored), *_sparse(scored, chosen, protocol)),
        )

    def _labelled_set(self, metric: str) -> Target:
        found = find_shot_metric(metric)
        labelled = self.open()
        return Target(
            items=[shot for shot in labelled.shots if shot.labelled],
            length=lambda shot: len(shot.labelled),
            metric=found(labelled=labelled),
            notes=labelled.notes,
        )


def _left_out(sequences: Sequence[VideoSequence], scored: Sequence[VideoSequence]) -> Iterator[str]:
    """A line for each sequence that has no scores."""
    kept = {sequence.name for sequence in scored}
    for sequence in sequences:
        if sequence.name not in kept:
            yield f"{sequence.name}: left out, since none of its {len(sequence.frame_names)} frames is scored"


def _sparse(
    scored: Sequence[VideoSequence], metric: Metric[Any], protocol: Protocol
) -> Iterator[str]:
    """A line on the user's own sequences of which some frames only have annotations."""
    sparse = [sequence for sequence in scored if sequence.annotated]
    if sparse and protocol.annotated == "any":
        frames = sum(len(sequence.frame_names) for sequence in sparse)
        counted = sum(len(metric.frames(sequence)) for sequence in sparse)
        names = ", ".join(sequence.name for sequence in sparse[:3]) + (
            ", ..." if len(sparse) > 3 else ""
        )
        yield f"{names}: annotations of some frames only, so {counted} of {frames} frames are scored"


@dataclass(frozen=True, kw_only=True)
class ScoringRun:
    """Which masks are scored, and how the work is spread and resumed."""

    results: tuple[Path, ...]
    """Folder with one mask per frame: SEQUENCE/00000.png. Several such folders, each from a --shard
    of propagate, are one result; give --out then. Masks of a --set are SEQUENCE/FRAME.png, those of
    its images also NAME.png."""
    out: Path | None = None
    """Folder for the tables; without this option it is --results."""
    resume: bool = False
    """Reuse scores of an interrupted or sharded run if masks and annotations are unchanged."""
    workers: int | None = None
    """Number of processes that share the sequences; without this option there is one for each CPU
    core.
    """
    shard: str | None = None
    """Score only part I of N of the sequences, 1/4, 2/4 and so on, each perhaps on another machine,
    and write no tables; --resume without --shard does when all are done."""

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def folder(self, *, several: bool) -> Path:
        """Folder for the tables; InputError for several folders of masks without one, or where one
        is the most.

        several: Whether masks may come from several folders.
        """
        if len(self.results) != 1 and (self.out is None or not several):
            needed = "one, or a folder for the tables with --out" if several else "one folder"
            raise InputError(f"--results: names {len(self.results)} folders; name {needed}")

        return self.out or self.results[0]
