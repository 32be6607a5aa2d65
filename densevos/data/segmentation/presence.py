"""Which classes frames show, read from their masks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from densevos.base.errors import InputError
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.data.segmentation.labels import value_counts
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot

SERIAL = 1000
"""Up to so many masks are read sooner by one process than several have started."""


def keep_wanted(
    set_name: str, shots: Sequence[Shot], classes: Sequence[str], *, workers: int | None = None
) -> tuple[Shot, ...]:
    """The shots that show one of `classes` other than background; `present` of those that had none
    is filled in.

    Masks are read where tables do not say. Raises InputError when no shot is left.
    """
    known = iter(
        classes_shown([shot for shot in shots if shot.present is None], classes, workers=workers)
    )
    told = [
        shot if shot.present is not None else replace(shot, present=frozenset().union(*next(known)))
        for shot in shots
    ]
    wanted = set(classes) - {"background"}
    kept = tuple(shot for shot in told if shot.present and shot.present & wanted)

    if not kept:
        raise InputError(
            f"{set_name}: none of {len(shots)} labelled images or videos shows a wanted class"
            f" ({', '.join(sorted(wanted))}); choose other classes or another split"
        )

    return kept


def class_counts(
    opened: SegmentationSet, *, masks: bool = False, workers: int | None = None
) -> dict[str, int]:
    """How many frames have each class, background left out.

    Where the set's tables say what a video shows, all its (labelled) frames count, as the papers
    count DAVIS; `masks` reads every mask instead and counts the frames that show the class.
    workers: processes; all cores by default.
    """
    told = [shot for shot in opened.shots if shot.present is not None and not masks]
    untold = [shot for shot in opened.shots if shot.present is None or masks]
    counts = Counter(
        chain.from_iterable(
            chain.from_iterable(classes_shown(untold, opened.classes, workers=workers))
        )
    )
    for shot in told:
        frames = len(shot.labelled) or len(shot.open())
        counts.update(dict.fromkeys(shot.present or (), frames))

    return {name: counts[name] for name in opened.classes if name != "background"}


def classes_shown(
    shots: Sequence[Shot], classes: Sequence[str], *, workers: int | None = None
) -> Iterable[list[frozenset[str]]]:
    """For every shot, the names of the classes that each of its labelled frames shows."""
    masks = sum(len(shot.labelled) for shot in shots)
    if workers == 1 or masks <= SERIAL:
        shown = [_shown(shot) for shot in shots]
    else:
        shown = _shown_in_processes(shots, workers)

    for frames in shown:
        yield [frozenset(classes[id] for id in frame if id < len(classes)) for frame in frames]


def _shown_in_processes(shots: Sequence[Shot], workers: int | None) -> list[list[list[int]]]:
    """`_shown` of every shot, some shots at a time; raises the first error."""
    size = max(1, min(64, len(shots) // 64))
    batches = [(first, shots[first : first + size]) for first in range(0, len(shots), size)]
    found: dict[int, list[list[list[int]]]] = {}

    for (first, _), outcome in in_processes(_batch_shown, batches, workers):
        if isinstance(outcome, BROKEN):
            raise outcome
        found[first] = outcome

    return [shown for first in sorted(found) for shown in found[first]]


def _batch_shown(batch: tuple[int, Sequence[Shot]], on_step: OnStep) -> list[list[list[int]]]:
    return [_shown(shot) for shot in batch[1]]


def _shown(shot: Shot) -> list[list[int]]:
    """The values that each labelled frame of the shot holds."""
    return [value_counts(shot.labels(index))[0].tolist() for index in shot.labelled]
