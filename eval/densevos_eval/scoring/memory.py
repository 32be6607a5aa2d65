"""Masks in memory -> scores, by the same rules as masks on disk; nothing is written, and torch is
not needed.
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

ONE = "video"  # Name of a sequence that has none.


@dataclass(frozen=True, kw_only=True)
class ArrayReader:
    """Annotations in memory, in the place of files: an `AnnotationReader`."""

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
    """Score masks in memory: region similarity J and contour accuracy F of every object, as
    `densevos-eval score` does.

    Args:
        results: Ids [T,H,W] of one video (0: background), or of several by name. A video may also
            be a list of masks [H,W], or masks by the names of their frames. Numbers may be of any
            type, as long as they are whole.
        truth: The same for the annotations, with the names that the results have; or sequences of a
            benchmark, as `load_sequences` returns them.
        dataset: The benchmark whose rules count; sequences of a benchmark need it. davis16 takes
            all objects for one, and davis17 takes the objects of the first annotation. The rules
            for arrays are those of `folder`: objects count from the frame in which they appear, and
                ids that no annotation has are background.
        count_ends: Score the first and the last frame too. Without it they do not count, as in
            DAVIS, whose first mask is given. It is for the rules of `folder`.

    Returns:
        The scores. `scores.overall` has the means (J&F-Mean, J-Mean, F-Mean, ...) and
        `scores.sequences` those of each sequence; `scores.details[NAME]["objects"][ID]` has those
        of an object, and its curves J and F [frames]. A console and a notebook show them as a
        table.

    Raises:
        InputError: Masks are missing, of another size than their annotation, or no ids; nothing
            counts; or the benchmark is scored by something else than objects.

    >>> truth = np.zeros((5, 48, 64), np.uint8)
    >>> for t, mask in enumerate(truth):
    ...     mask[10:30, 10 + 3 * t : 30 + 3 * t] = 1
    >>> masks = np.roll(truth, 2, axis=2)
    >>> scores = evaluate(masks, truth)
    >>> round(scores.overall["J-Mean"], 3)
    0.818
    >>> evaluate({"left": masks, "right": truth}, {"left": truth, "right": truth}).sequences["right"]["J-Mean"]
    1.0
    """
    metric = _metric(dataset or "folder", count_ends=count_ends)
    sequences = _sequences(truth, dataset)
    named = _by_sequence(results, "results", [sequence.name for sequence in sequences])

    rules = metric.benchmark
    arrays = {}
    for sequence in sequences:
        masks = _named_masks(
            named[sequence.name], f"results: sequence {sequence.name}", sequence.frame_names
        )

        for t in counted_frames(sequence, rules):
            if not has_prediction(sequence, masks, t):
                raise InputError(
                    f"{mask_title(sequence, masks, t)}: mask is missing; every frame that counts needs one"
                )

        arrays[sequence.name] = measure_objects(sequence, masks, rules)

    return Scores(metric=metric, split="in memory", rows=metric.combine(arrays))


def _metric(dataset: str, *, count_ends: bool) -> ObjectsMetric:
    """The metric of a benchmark that scores objects; InputError for other benchmarks."""
    protocol = find_protocol(dataset)
    if count_ends and not protocol.late_objects:
        raise InputError(f"count_ends: {dataset} itself says which frames count; leave it out")

    metric = benchmark_metric(replace(protocol, skipped=(0, 0)) if count_ends else protocol)
    if not isinstance(metric, ObjectsMetric) or type(metric).measure is not ObjectsMetric.measure:
        raise InputError(
            f"dataset {dataset}: is scored by {metric.name}, not by J and F of objects; write the masks and take "
            "densevos-eval score"
        )

    return metric


def _sequences(truth: object, dataset: str | None) -> list[VideoSequence]:
    """The sequences of a benchmark, or such sequences made of arrays."""
    sequences = [truth] if isinstance(truth, VideoSequence) else truth
    if not (
        isinstance(sequences, list | tuple)
        and sequences
        and isinstance(sequences[0], VideoSequence)
    ):
        return [_sequence(name, masks) for name, masks in _by_sequence(truth, "truth").items()]

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
    arrays = _named_masks(masks, f"truth: sequence {name}")
    if not arrays:
        raise InputError(f"truth: sequence {name} has no annotation")

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
    """Masks by name of the sequence; those of a single video get its name. InputError where one is
    missing.
    """
    several = isinstance(masks, Mapping) and all(_is_series(one) for one in masks.values())
    if isinstance(masks, Mapping) and several:
        named: Mapping[str, MaskSeries] = masks
    elif wanted is None or len(wanted) == 1:
        named = {wanted[0] if wanted else ONE: masks}  # type: ignore[dict-item]
    else:
        raise InputError(
            f"{whose}: are of one video, and there are {len(wanted)}; give them by name: {{NAME: masks}}"
        )

    missing = [name for name in wanted or () if name not in named]
    if missing:
        raise InputError(
            f"{whose}: lack sequence {missing[0]}; they have {', '.join(named) or 'none'}"
        )

    return named


def _is_series(value: object) -> bool:
    """Whether these are masks of a whole video, not one mask."""
    return isinstance(value, Mapping | list | tuple) or np.ndim(value) == 3  # type: ignore[arg-type]


def _named_masks(
    masks: object, title: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Ids [H,W] uint8 by name of the frame.

    names: Those of the frames of a series without names; numbers such as 00012 when left out.
    """
    if isinstance(masks, Mapping):
        return {str(name): _ids(mask, f"{title}, frame {name}") for name, mask in masks.items()}
    if isinstance(masks, str | Path) or not isinstance(masks, Iterable):
        raise InputError(
            f"{title}: must be ids [T,H,W], is a {type(masks).__name__}; densevos-eval score takes folders of masks"
        )

    series = list(masks)
    names = names or [f"{t:05d}" for t in range(len(series))]
    if len(names) != len(series):
        raise InputError(
            f"{title}: has {len(series)} masks of {len(names)} frames; give {{FRAME: mask}} of some frames"
        )

    return {
        name: _ids(mask, f"{title}, frame {name}") for name, mask in zip(names, series, strict=True)
    }


def _ids(mask: object, title: str) -> np.ndarray:
    array = np.asarray(mask)
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"{title}: mask must be ids [H,W], is {list(array.shape)}; give ids [T,H,W] of a whole video"
        )

    return as_ids(array, f"{title}: mask must hold ids 0 to 255")
