"""Score masks in memory by the same rules as masks on disk. Writes nothing; needs no torch.

Shapes: T frames, H x W pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from densevos.base.errors import InputError
from densevos.base.masks import as_ids
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.metric import Scores
from densevos_eval.metrics.object_masks import counted_frames, has_prediction, mask_title
from densevos_eval.metrics.objects import ObjectsMetric
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.registry import find_protocol
from densevos_eval.sequences.sequence import VideoSequence

MaskSeries = ArrayLike | Mapping[str, ArrayLike]
"""Masks of one video: ids [T,H,W], a list of [H,W], or the mask [H,W] of each frame by its name."""

ONE = "video"  # Name of a sequence that was given without a name.


@dataclass(frozen=True, kw_only=True)
class ArrayReader:
    """An `AnnotationReader` that finds annotations in memory instead of in files.

    Attributes:
        arrays: Path of a file that need not exist -> its annotation, ids [H,W] uint8.
    """

    arrays: Mapping[Path, np.ndarray]

    def __call__(self, file: Path) -> np.ndarray:
        return self.arrays[file]

    def files(self, file: Path) -> tuple[Path, ...]:
        return ()


def evaluate(
    results: MaskSeries | Mapping[str, MaskSeries],
    truth: MaskSeries | Mapping[str, MaskSeries] | Sequence[VideoSequence],
    *,
    dataset: str | None = None,
    count_ends: bool = False,
) -> Scores:
    """Score masks in memory: region similarity J and contour accuracy F of every object.

    The numbers are those of `densevos-eval score`.

    Args:
        results: Ids [T,H,W] of one video (0: background), or such videos by name. A video may also
            be a list of masks [H,W], or masks by the names of their frames. Ids may be of any
            numeric type, but must be whole numbers.
        truth: Annotations in the same form and with the same names; or sequences of a benchmark, as
            `load_sequences` returns them.
        dataset: Name of the benchmark whose rules apply; required for sequences of a benchmark.
            davis16 merges all objects into one, and davis17 scores the objects of the first
            annotation. By default the rules are those of `folder`: objects count from the frame in
            which they appear, and ids that no annotation has are background.
        count_ends: Score the first and the last frame too. By default they do not count, as in
            DAVIS, where the first mask is given. Only the rules of `folder` allow it.

    Returns:
        The scores. `scores.overall` holds the means (J&F-Mean, J-Mean, F-Mean, ...),
        `scores.sequences` the means of each sequence, and `scores.details[NAME]["objects"][ID]` the
        means of one object and its curves J and F, each [frames that count]. A console and a
        notebook show the scores as a table.

    Raises:
        InputError: Masks are missing, of another size than their annotation, or hold no ids;
            nothing counts; or the benchmark is not scored by J and F of objects.

    >>> import numpy as np
    >>> from densevos_eval import evaluate
    >>> truth = np.zeros((5, 48, 64), np.uint8)
    >>> for t, mask in enumerate(truth):
    ...     mask[10:30, 10 + 3 * t : 30 + 3 * t] = 1
    >>> masks = np.roll(truth, 2, axis=2)
    >>> scores = evaluate(masks, truth)
    >>> round(scores.overall["J-Mean"], 3)
    0.818
    >>> scores = evaluate({"left": masks, "right": truth}, {"left": truth, "right": truth})
    >>> scores.sequences["right"]["J-Mean"]
    1.0
    """
    # The rules come first: a wrong benchmark should not wait for arrays to be read.
    metric = _metric(dataset or "folder", count_ends=count_ends)
    sequences = _sequences(truth, dataset)
    by_sequence = _by_sequence(results, "results", [sequence.name for sequence in sequences])

    rules = metric.benchmark
    arrays = {}
    for sequence in sequences:
        # Messages name an array by its place, since it has no file.
        title = f"results: sequence {sequence.name}"
        masks = _named_masks(by_sequence[sequence.name], title, sequence.frame_names)

        # Look for every mask first, since scoring takes a while.
        for t in counted_frames(sequence, rules):
            if not has_prediction(sequence, masks, t):
                raise InputError(
                    f"{mask_title(sequence, masks, t)}: mask is missing;"
                    " every frame that counts needs one"
                )

        arrays[sequence.name] = measure_objects(sequence, masks, rules)

    return Scores(metric=metric, split="in memory", rows=metric.combine(arrays))


def _metric(dataset: str, *, count_ends: bool) -> ObjectsMetric:
    """The metric of a benchmark that scores objects; InputError for other benchmarks."""
    protocol = find_protocol(dataset)
    if count_ends and not protocol.late_objects:
        raise InputError(f"count_ends: {dataset} itself says which frames count; leave it out")

    # Methods without a given first mask are scored in all frames.
    if count_ends:
        protocol = replace(protocol, skipped=(0, 0))

    # A subclass with a `measure` of its own combines more arrays than are measured here.
    metric = benchmark_metric(protocol)
    if not isinstance(metric, ObjectsMetric) or type(metric).measure is not ObjectsMetric.measure:
        raise InputError(
            f"dataset {dataset}: is scored by {metric.name}, not by J and F of objects;"
            " write the masks and take densevos-eval score"
        )

    return metric


def _sequences(truth: object, dataset: str | None) -> list[VideoSequence]:
    """The given sequences of a benchmark, or sequences made from arrays."""
    sequences = [truth] if isinstance(truth, VideoSequence) else truth
    if (
        not isinstance(sequences, list | tuple)
        or not sequences
        or not isinstance(sequences[0], VideoSequence)
    ):
        return [_sequence(name, masks) for name, masks in _by_sequence(truth, "truth").items()]

    # A sequence does not know the rules of its benchmark.
    if dataset is None:
        raise InputError(
            "dataset: is missing; name the benchmark that the sequences are of, such as davis17"
        )

    for sequence in sequences:
        if not sequence.truth:
            raise InputError(f"truth: sequence {sequence.name} has no annotations to score against")

    return list(sequences)


def _sequence(name: str, masks: MaskSeries) -> VideoSequence:
    """A sequence whose annotations are arrays."""
    # The frames of the sequence are those that have an annotation.
    arrays = _named_masks(masks, f"truth: sequence {name}")
    if not arrays:
        raise InputError(f"truth: sequence {name} has no annotation")

    # These paths only serve as keys of the reader; no such files exist.
    files = tuple(Path("truth") / name / frame for frame in arrays)
    reader = ArrayReader(arrays=dict(zip(files, arrays.values(), strict=True)))
    return VideoSequence(
        name=name,
        source=Path("truth") / name,
        frame_names=tuple(arrays),
        truth=files,
        reader=reader,
    )


def _by_sequence(
    masks: object, whose: str, wanted: Sequence[str] | None = None
) -> Mapping[str, MaskSeries]:
    """Masks by name of the sequence; InputError if a wanted sequence has none.

    Masks of a single video get the name of the only wanted sequence.
    """
    # Masks by frame are one video; series by name are several videos.
    several = isinstance(masks, Mapping) and all(map(_is_series, masks.values()))
    if isinstance(masks, Mapping) and several:
        named: Mapping[str, MaskSeries] = masks
    elif wanted is None or len(wanted) == 1:
        name = wanted[0] if wanted else ONE
        named = {name: masks}  # type: ignore[dict-item]
    else:
        raise InputError(
            f"{whose}: are of one video, and there are {len(wanted)};"
            " give them by name: {NAME: masks}"
        )

    # More results than annotations are no error; fewer are.
    for sequence in wanted or ():
        if sequence not in named:
            raise InputError(
                f"{whose}: lack sequence {sequence}; they have {', '.join(named) or 'none'}"
            )

    return named


def _is_series(value: object) -> bool:
    """Whether these are masks of a whole video, not one mask."""
    if isinstance(value, Mapping | list | tuple):
        return True

    return np.ndim(value) == 3  # type: ignore[arg-type]


def _named_masks(
    masks: object, title: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Ids [H,W] uint8 by name of the frame.

    A series without names gets `names`, or numbers such as 00012.
    """
    # Names of frames may be given as numbers.
    if isinstance(masks, Mapping):
        return {str(name): _ids(mask, f"{title}, frame {name}") for name, mask in masks.items()}
    if isinstance(masks, str | Path) or not isinstance(masks, Iterable):
        raise InputError(
            f"{title}: must be ids [T,H,W], is a {type(masks).__name__};"
            " densevos-eval score takes folders of masks"
        )

    # Without names, masks belong to frames by their order, so the counts must agree.
    series = list(masks)
    names = names or [f"{t:05d}" for t in range(len(series))]
    if len(names) != len(series):
        raise InputError(
            f"{title}: has {len(series)} masks of {len(names)} frames;"
            " give {FRAME: mask} of some frames"
        )

    named = {}
    for name, mask in zip(names, series, strict=True):
        named[name] = _ids(mask, f"{title}, frame {name}")

    return named


def _ids(mask: object, title: str) -> np.ndarray:
    """The mask as ids [H,W] uint8; InputError if it is none."""
    # Scripts may pass lists or tensors on the CPU as well as arrays.
    array = np.asarray(mask)
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"{title}: mask must be ids [H,W], is {list(array.shape)};"
            " give ids [T,H,W] of a whole video"
        )

    return as_ids(array, f"{title}: mask must hold ids 0 to 255")
