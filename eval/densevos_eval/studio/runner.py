"""Propagation of a project, only over frames whose masks are missing or out of date."""

import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import write_json
from densevos_eval.propagation.both_ways import Span, plan
from densevos_eval.propagation.correction import has_state, recall, recalled_frames
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.runs.records import FILE, check_same_settings, forget_record, write_record
from densevos_eval.sequences.sequence import read_given
from densevos_eval.studio.project import Project

OnFrame = Callable[[int], None]


def has_same_settings(project: Project, propagation: Propagation) -> bool:
    """Whether the masks of a project were made with this encoder and these settings."""
    try:
        check_same_settings(project.masks / FILE, propagation.settings()[""], "")
    except InputError:
        return False

    return True


def waiting(project: Project, fresh: Collection[int]) -> list[tuple[Span, int]]:
    """The spans of frames that must be propagated.

    Args:
        project: The clip and its given masks.
        fresh: Frames whose masks are up to date.

    Returns:
        Each span, with its first frame whose mask is missing or out of date.
    """
    sequence = project.sequence()
    ways = []
    for span in plan(sequence.given, len(sequence.frame_names)):
        # Labels pass from frame to frame, so all after the first missing frame are made again.
        missing = [frame for frame in span.written if frame not in fresh]
        if missing:
            ways.append((span, missing[0]))

    return ways


def steps(ways: list[tuple[Span, int]]) -> int:
    """The number of frames that `propagate` counts, if the state before each span is available."""
    count = 0
    for span, first in ways:
        # Only forward spans can start in their middle.
        if span.step == 1:
            count += len(range(first, span.stop, span.step))
        else:
            count += len(span.written)

    return count


def propagate(
    project: Project, propagation: Propagation, fresh: Collection[int], on_frame: OnFrame
) -> None:
    """Write the masks of all frames that are not up to date.

    Masks appear one by one, so that the user can look at them and stop. Masks of frames before a
    correction are kept.

    Args:
        project: The clip and its given masks.
        propagation: The encoder and all settings.
        fresh: Frames whose masks are up to date.
        on_frame: Called with each frame whose mask is written; an exception of it ends the work.

    Raises:
        InputError: No mask is given, or one does not fit.
    """
    sequence, started = project.sequence(), time.perf_counter()
    given = read_given(sequence)
    if not given:
        raise InputError(
            "No object is marked yet: choose a frame, click the object and press Accept."
        )

    # Masks of other settings are of no use.
    if not has_same_settings(project, propagation):
        fresh = ()
        shutil.rmtree(project.results, ignore_errors=True)
        write_json(project.masks / FILE, propagation.settings()[""])

    # Without record, an interrupted run is incomplete for the command line too.
    forget_record(project.masks, sequence)
    project.results.mkdir(parents=True, exist_ok=True)
    for span, first in waiting(project, fresh):
        # A new one for each span, since it remembers the frames that it has seen.
        propagator = Propagator(
            propagation.encoder,
            propagation.config,
            propagation.masks,
            max_side=propagation.max_side,
        )
        recalled = recalled_frames(span, first, given, propagation.config.context)

        # The soft labels of earlier frames are read from disk if they were kept; otherwise the span
        # is propagated from its start.
        can_recall = first > span.start and propagator.recalls
        if can_recall and has_state(sequence, project.results, recalled):
            recall(propagator, sequence, project.results, recalled, given, span=span, until=first)
            span = replace(span, start=first)

        # `write_span` reports the name of the sequence, but the studio needs the frame.
        on_step = partial(_next, iter(span.written), on_frame)
        propagation.write_span(sequence, propagator, span, given, project.results, on_step)

    # Not reached if `on_frame` raises, so that only complete runs have a record.
    write_record(project.masks, sequence, seconds=time.perf_counter() - started)


def _next(frames: Iterator[int], on_frame: OnFrame, name: str) -> None:
    """Report the next frame of a span; `name` is the sequence's, which the studio does not need."""
    on_frame(next(frames))


def write_soft_masks(
    project: Project, propagation: Propagation, folder: Path, on_frame: Callable[[str], None]
) -> None:
    """Write FOLDER/probabilities/ID/FRAME.png of all frames, which are propagated again.

    Args:
        project: The clip and its given masks.
        propagation: The encoder and all settings.
        folder: Where the pictures go.
        on_frame: Called with the sequence's name after each frame.
    """
    propagation = replace(propagation, probabilities=True)
    propagation.write(project.sequence(), [folder], on_frame)
