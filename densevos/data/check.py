"""`densevos data check` and `densevos data list`: open videos, and decode some of their frames."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from densevos.base.errors import InputError
from densevos.base.packed import PackedStrings
from densevos.base.parallel import (
    BROKEN,
    Broken,
    OnStep,
    check_timeout,
    check_workers,
    in_order,
    in_processes,
    named,
)
from densevos.base.progress import print_header, progress_bar
from densevos.data.index import TIMEOUT, status_of
from densevos.data.sources.index_file import Status, VideoIndex
from densevos.data.sources.indexed import IndexedSource
from densevos.data.sources.source import VideoSource

FRAMES = 5
"""Frames of a video that are decoded, spread from the first to the last."""


def check_videos(
    source: IndexedSource,
    *,
    sample: int | None,
    seed: int = 0,
    workers: int | None = None,
    timeout: float | None = TIMEOUT,
) -> tuple[int, VideoIndex]:
    """Decode some frames of usable videos of an index.

    Args:
        source: The videos of the index.
        sample: How many videos, chosen at random; None: all of them.
        seed: Of the choice.
        workers: Processes; all cores by default.
        timeout: Seconds after which a video that gave nothing is given up.

    Returns:
        The number of videos looked at, and the index with what was found: the status of those that
        cannot be decoded, and numbers of frames that the heads of files told wrongly.
    """
    check_workers(workers)
    check_timeout(timeout)
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}: must be at least 1")

    index = source.index
    rows = np.flatnonzero(index.status == Status.USABLE)
    count = len(rows) if sample is None else min(sample, len(rows))
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))

    status, frames = index.status.copy(), index.frames.copy()
    reasons = {row: reason for row, reason in enumerate(index.reasons) if reason}
    print_header(f"decoding frames of {count} videos")

    with progress_bar() as bar:
        task = bar.add_task("decoding", total=count, status="")
        decode = partial(_decode, source=source)
        for video, outcome in in_processes(decode, map(int, chosen), workers, timeout=timeout):
            row = int(rows[video])
            if isinstance(outcome, BROKEN):
                found = status_of(outcome)
                status[row] = Status.DAMAGED if found == Status.UNREADABLE else found
                reasons[row] = named(source.title(video), outcome)
            else:
                frames[row] = outcome

            bar.advance(task)

    packed = PackedStrings.of(reasons.get(row, "") for row in range(len(index)))
    return count, replace(index, status=status, frames=frames, reasons=packed)


def _decode(video: int, on_step: OnStep, *, source: IndexedSource) -> int:
    """Decode frames of a video and count all; InputError when that fails."""
    try:
        reader = source.open(video)
        for position in sorted({int(k) for k in np.linspace(0, len(reader) - 1, FRAMES)}):
            reader.read([position])
            on_step("")  # One frame at a time: the time limit is for each.

        return len(reader)
    except InputError:
        raise
    except Exception as error:  # A damaged file makes readers raise whatever they stumble over.
        raise InputError(
            f"{source.title(video)}: cannot be read ({type(error).__name__}: {error})"
        ) from error


def lengths(
    source: VideoSource, *, workers: int | None = None, timeout: float | None = TIMEOUT
) -> Iterator[tuple[str, int | Broken]]:
    """Title and number of frames of every video in order, or why it cannot be opened.

    They are opened in parallel processes; of an index nothing is opened.
    """
    if isinstance(source, IndexedSource):
        yield from ((source.title(video), source.length(video)) for video in range(len(source)))
        return

    check_workers(workers)
    check_timeout(timeout)
    items = enumerate(range(len(source)))

    for (video, _), outcome in in_order(
        in_processes(partial(_length, source=source), items, workers, timeout=timeout)
    ):
        yield source.title(video), outcome


def _length(item: tuple[int, int], on_step: OnStep, *, source: VideoSource) -> int:
    return len(source.open(item[0]))


def broken_lines(index: VideoIndex, before: VideoIndex) -> list[str]:
    """Why videos are not usable that were so before."""
    worse = np.flatnonzero((index.status != Status.USABLE) & (before.status == Status.USABLE))
    return [index.reasons[int(row)] for row in worse]
