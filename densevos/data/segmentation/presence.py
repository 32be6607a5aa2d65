"""Which classes frames show, read from their masks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from densevos.base.errors import InputError
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.data.segmentation.labels import value_counts
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot

SERIAL = 1000
"""Up to so many masks, one process finishes before several would have started."""


def keep_wanted(
    set_name: str, shots: Sequence[Shot], classes: Sequence[str], *, workers: int | None = None
) -> tuple[Shot, ...]:
    """Keep the shots that show a class other than background.

    If `present` of a shot is None, the masks of the shot are read to fill it in.

    Args:
        set_name: Name of the set, for messages.
        shots: Labelled shots.
        classes: Names of the classes.
        workers: Number of processes; all cores by default.

    Returns:
        The shots that are left; `present` of each is filled in.

    Raises:
        InputError: No shot is left.
    """
    # Sets with tables know their classes, so only the masks of other shots are read.
    unread = [shot for shot in shots if shot.present is None]
    shown = iter(classes_shown(unread, classes, workers=workers))
    # Almost every image shows background, so it does not make an image wanted.
    wanted = set(classes) - {"background"}
    chosen: list[Shot] = []

    for shot in shots:
        # `shown` has the frames of the unread shots, in their order.
        if shot.present is None:
            shot = replace(shot, present=frozenset().union(*next(shown)))
        if shot.present and shot.present & wanted:
            chosen.append(shot)

    kept = tuple(chosen)

    if not kept:
        raise InputError(
            f"{set_name}: none of {len(shots)} labelled images or videos shows a wanted class"
            f" ({', '.join(sorted(wanted))}); choose other classes or another split"
        )

    return kept


def class_counts(
    opened: SegmentationSet, *, masks: bool = False, workers: int | None = None
) -> dict[str, int]:
    """Count the frames of each class.

    If the set's tables tell which classes a video shows, all its labelled frames count for each of
    them, as the papers count DAVIS. If it has no labelled frames, all its frames count.

    Args:
        opened: The set.
        masks: Read every mask instead, and count only the frames that show the class.
        workers: Number of processes; all cores by default.

    Returns:
        Class -> number of frames; background is left out.
    """
    # A table speaks of whole videos, masks of single frames: they are counted separately.
    from_tables: list[Shot] = []
    from_masks: list[Shot] = []
    for shot in opened.shots:
        if shot.present is None or masks:
            from_masks.append(shot)
        else:
            from_tables.append(shot)

    counts: Counter[str] = Counter()
    for shown in classes_shown(from_masks, opened.classes, workers=workers):
        for names in shown:
            counts.update(names)

    # Unlabelled videos count with all frames.
    for shot in from_tables:
        frames = len(shot.labelled) or len(shot.open())
        counts.update(dict.fromkeys(shot.present or (), frames))

    return {name: counts[name] for name in opened.classes if name != "background"}


def classes_shown(
    shots: Sequence[Shot], classes: Sequence[str], *, workers: int | None = None
) -> Iterable[list[frozenset[str]]]:
    """Read which classes shots show.

    Args:
        shots: Labelled shots.
        classes: Names of the class ids.
        workers: Number of processes; all cores by default.

    Returns:
        For each shot, the names of the classes that each of its labelled frames shows.
    """
    # Starting processes takes longer than reading a few masks.
    masks = sum(len(shot.labelled) for shot in shots)
    if workers == 1 or masks <= SERIAL:
        shown = [_shown(shot) for shot in shots]
    else:
        shown = _shown_in_processes(shots, workers)

    for frames in shown:
        # Void, 255, is no class.
        names: list[frozenset[str]] = []
        for ids in frames:
            names.append(frozenset(classes[id] for id in ids if id < len(classes)))

        yield names


def _shown_in_processes(shots: Sequence[Shot], workers: int | None) -> list[list[list[int]]]:
    """`_shown` of every shot, in batches of shots; raises the first error."""
    # Batches keep the cost of sending small, and are many enough to occupy all processes.
    size = max(1, min(64, len(shots) // 64))
    batches: list[tuple[int, Sequence[Shot]]] = []
    for first in range(0, len(shots), size):
        batches.append((first, shots[first : first + size]))

    by_first: dict[int, list[list[list[int]]]] = {}

    for (first, _), outcome in in_processes(_batch_shown, batches, workers):
        # A mask that cannot be read makes the answer wrong, so the first error ends it.
        if isinstance(outcome, BROKEN):
            raise outcome
        by_first[first] = outcome

    # Batches end in any order.
    shown: list[list[list[int]]] = []
    for first in sorted(by_first):
        shown.extend(by_first[first])

    return shown


def _batch_shown(batch: tuple[int, Sequence[Shot]], on_step: OnStep) -> list[list[list[int]]]:
    """`_shown` of the shots of one batch, in a worker process."""
    return [_shown(shot) for shot in batch[1]]


def _shown(shot: Shot) -> list[list[int]]:
    """The class ids that occur in each labelled frame of the shot."""
    return [value_counts(shot.labels(index))[0].tolist() for index in shot.labelled]
