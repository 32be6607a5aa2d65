"""Options of the command `score`: what is scored, and against what. Needs no torch."""

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

USUAL = "miou"  # The metric of a labelled set, unless another is named.


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to score.

    Attributes:
        items: Sequences or shots.
        length: Returns the number of frames of an item; shards get about equally many frames.
        metric: How the items are scored, bound to the rules of their benchmark or set.
        notes: What the user should know, one line each.
        places: Name of an item -> the folder that holds the folder of its masks. None: the masks
            are looked for in --results.
    """

    items: list[Any]
    length: Callable[[Any], int]
    metric: Metric[Any]
    notes: tuple[str, ...] = ()
    places: Mapping[str, Path] | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(BenchmarkOptions, ChosenSet):
    """What to score against: --dataset with --root (a benchmark), --set, or --truth."""

    truth: Path | None = None
    """Folder of true masks, FRAME.png or SEQUENCE/FRAME.png; the masks of the same names in
    --results are scored against them. Frames and lists are not needed. Every frame with a true mask
    counts, including the first."""
    skip_ends: bool = False
    """With --truth, leave out the first and the last true mask of each sequence, as DAVIS does."""
    stability: bool = True
    """Compute the temporal stability T if the benchmark has it (davis16); this takes about 0.1 s
    per frame."""
    count_ends: bool = False
    """Score the first and the last annotated frame of --dataset folder too. By default they do not
    count, as in DAVIS, where the first mask is given. Use it for methods that were given no mask.
    """
    annotation_size: str | None = None
    """Resize annotations to HEIGHTxWIDTH (nearest neighbour) and score masks of that size. Some
    published protocols have masks smaller than the frames; `info --preset` shows their sizes."""
    decay_uint8: bool = False
    """Reproduce an error of the DAVIS toolbox: it counts frames with 8 bits, so its decay is wrong
    for videos of more than 256 frames."""

    def __post_init__(self) -> None:
        # Every option belongs to one kind of target; only sets and benchmarks share --split.
        shared = {"set", "split"}
        of_folders = {"truth", "skip_ends"}
        of_sets = {option.name for option in fields(ChosenSet)} - shared
        of_benchmarks = {option.name for option in fields(self)} - of_sets - of_folders - shared

        if self.truth:
            others = of_sets | of_benchmarks | shared
            self._check_left_out(others, "a benchmark or a set, not for --truth")
            return

        self._check_left_out(of_folders, "two folders of masks (--truth)")
        if self.set:
            self._check_left_out(of_benchmarks, "a benchmark (--dataset), not for a labelled set")
            return

        self._check_left_out(of_sets, "a labelled set (--set SET:ROOT), not for a benchmark")
        if self.dataset is None or self.root is None:
            missing = "--dataset" if self.dataset is None else "--root"
            raise InputError(
                f"{missing}: is missing; name a benchmark with --dataset and --root, a labelled set"
                " with --set, or a folder of true masks with --truth"
            )

        # BenchmarkOptions checks which of the other options the benchmark has.
        super().__post_init__()

    def _check_left_out(self, names: Collection[str], whose: str) -> None:
        """Raise InputError if one of these options is given, since it is for another target."""
        for option in fields(self):
            if option.name in names and getattr(self, option.name) != option.default:
                flag = option.name.replace("_", "-")
                # A flag that is on by default can only have been given as --no-FLAG.
                if option.default is True:
                    flag = f"no-{flag}"

                raise InputError(f"--{flag}: is for {whose}; leave it out")

    @property
    def part(self) -> str:
        """Name of what is scored, for the tables: the split, or `all` for a folder."""
        return "all" if self.truth else self.split

    def target(self, metric: str | None, results: Sequence[Path] = ()) -> Target:
        """Find what these options name, and bind the metric to its rules.

        Args:
            metric: Name of a metric; None for the usual one.
            results: Folders of the masks to score; --truth is compared with the first.

        Raises:
            InputError: Files are missing, or the metric does not score what the options name.
        """
        if self.truth:
            return self._two_folders(metric, self.truth, results[0])
        if self.set:
            return self._labelled_set(metric or USUAL)

        return self._benchmark(metric)

    def _two_folders(self, metric: str | None, truth: Path, results: Path) -> Target:
        # Names of results may differ from those of true masks, so the pairs tell the places.
        pair = two_folders(truth, results, skip_ends=self.skip_ends)
        metric_class = find_sequence_metric(metric or pair.protocol.measure)
        return Target(
            items=pair.sequences,
            length=lambda sequence: len(sequence.frame_names),
            metric=metric_class(benchmark=pair.protocol),
            notes=pair.notes,
            places=pair.places,
        )

    def _benchmark(self, metric: str | None) -> Target:
        # These options change the rules of the benchmark.
        protocol = replace(self.protocol(), decay_uint8=self.decay_uint8)
        if self.count_ends and not protocol.late_objects:
            raise InputError(
                f"--count-ends: {self.dataset} itself says which frames count; leave it out,"
                " or score with --dataset folder"
            )

        if self.count_ends:
            protocol = replace(protocol, skipped=(0, 0))
        if not self.stability:
            protocol = replace(protocol, stability=frozenset())

        chosen = find_sequence_metric(metric or protocol.measure)(benchmark=protocol)
        sequences = self.load()
        # Other metrics read annotations themselves, and would ignore the size.
        if self.annotation_size:
            size = parse_size(self.annotation_size, "--annotation-size")
            if not isinstance(chosen, ObjectsMetric):
                raise InputError(
                    "--annotation-size: is for masks of objects,"
                    f" and this is --metric {chosen.name}"
                )

            sequences = [replace(sequence, annotation_size=size) for sequence in sequences]

        # If nothing counts, all sequences are kept, so that scoring reports the reason.
        scored = list(filter(chosen.is_scored, sequences)) or sequences
        return Target(
            items=scored,
            length=lambda sequence: len(sequence.frame_names),
            metric=chosen,
            notes=(*_left_out(sequences, scored), *_sparse(scored, chosen, protocol)),
        )

    def _labelled_set(self, metric: str) -> Target:
        metric_class = find_shot_metric(metric)
        # Shots without labels have nothing to score.
        labelled = self.open()
        return Target(
            items=[shot for shot in labelled.shots if shot.labelled],
            length=lambda shot: len(shot.labelled),
            metric=metric_class(labelled=labelled),
            notes=labelled.notes,
        )


def _left_out(sequences: Sequence[VideoSequence], scored: Sequence[VideoSequence]) -> Iterator[str]:
    """A line for each sequence that has no scores."""
    # The user must see why the table has fewer rows than the split.
    kept = {sequence.name for sequence in scored}
    for sequence in sequences:
        if sequence.name not in kept:
            count = len(sequence.frame_names)
            yield f"{sequence.name}: left out, since none of its {count} frames is scored"


def _sparse(
    scored: Sequence[VideoSequence], metric: Metric[Any], protocol: Protocol
) -> Iterator[str]:
    """A line on the user's own sequences if only some of their frames have annotations."""
    # A published benchmark defines its frames, but own data may lack annotations by mistake.
    sparse = [sequence for sequence in scored if sequence.annotated]
    if not sparse or protocol.annotated != "any":
        return

    frames = sum(len(sequence.frame_names) for sequence in sparse)
    counted = sum(len(metric.frames(sequence)) for sequence in sparse)
    names = ", ".join(sequence.name for sequence in sparse[:3])
    if len(sparse) > 3:
        names += ", ..."

    yield f"{names}: annotations of some frames only, so {counted} of {frames} frames are scored"


@dataclass(frozen=True, kw_only=True)
class ScoringRun:
    """Which masks are scored, and how the work is spread and resumed."""

    results: tuple[Path, ...]
    """Folder of masks, SEQUENCE/FRAME.png. Name several folders, with --out, if each comes from a
    --shard of propagate. Masks of images of a --set may also be NAME.png."""
    out: Path | None = None
    """Folder for the tables; by default the folder of --results."""
    resume: bool = False
    """Reuse scores of an interrupted or sharded run if masks and annotations are unchanged."""
    workers: int | None = None
    """Number of processes that share the sequences; by default one for each CPU core."""
    shard: str | None = None
    """Score only part I of N of the sequences, such as 1/4, for instance on several machines.
    Shards write no tables; when all are done, a run with --resume and without --shard does."""

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def folder(self, *, several: bool) -> Path:
        """The folder for the tables.

        Args:
            several: Whether masks may come from several folders.

        Raises:
            InputError: Several folders of masks are named where one is allowed, or without --out.
        """
        # With several folders, none of them is the obvious place for the tables.
        if len(self.results) != 1 and (self.out is None or not several):
            needed = "one, or a folder for the tables with --out" if several else "one folder"
            raise InputError(f"--results: names {len(self.results)} folders; name {needed}")

        return self.out or self.results[0]
