"""`densevos data check` and `densevos data list`: open videos and decode some of their frames."""

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
"""Number of frames per video that are decoded, spread from the first to the last."""


def check_videos(
    source: IndexedSource,
    *,
    sample: int | None,
    seed: int = 0,
    workers: int | None = None,
    timeout: float | None = TIMEOUT,
) -> tuple[int, VideoIndex]:
    """Decode some frames of the usable videos of an index.

    Args:
        source: The videos of the index.
        sample: Number of videos to check, chosen at random; None for all.
        seed: Seed of the random choice.
        workers: Number of worker processes; all cores by default.
        timeout: Seconds without a new frame after which a video is given up.

    Returns:
        The number of videos that were checked, and the corrected index: videos that cannot be
        decoded have a new status, and numbers of frames are those that were counted.

    Raises:
        InputError: `sample`, `workers` or `timeout` is out of range.
    """
    check_workers(workers)
    check_timeout(timeout)
    if sample is not None and sample < 1:
        raise InputError(f"--sample {sample}: must be at least 1")

    # Rows of usable videos in the index: video i of the source is in row rows[i].
    index = source.index
    rows = np.flatnonzero(index.status == Status.USABLE)
    count = len(rows) if sample is None else min(sample, len(rows))
    # In the order of the index, whatever the order of drawing.
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))

    # Copies: the index of the source must not change.
    status, frames = index.status.copy(), index.frames.copy()
    reasons = {row: reason for row, reason in enumerate(index.reasons) if reason}
    print_header(f"decoding frames of {count} videos")

    with progress_bar() as bar:
        task = bar.add_task("decoding", total=count, status="")
        decode = partial(_decode, source=source)
        for video, outcome in in_processes(decode, map(int, chosen), workers, timeout=timeout):
            row = int(rows[video])
            if isinstance(outcome, BROKEN):
                new_status = status_of(outcome)
                # The index lists the video as usable: its header was readable.
                if new_status == Status.UNREADABLE:
                    new_status = Status.DAMAGED

                status[row] = new_status
                reasons[row] = named(source.title(video), outcome)
            else:
                # The header's number of frames may be wrong; opening the video counted them.
                frames[row] = outcome

            bar.advance(task)

    # Only status, lengths and reasons change; paths and sizes are those of the given index.
    packed = PackedStrings.of(reasons.get(row, "") for row in range(len(index)))
    return count, replace(index, status=status, frames=frames, reasons=packed)


def _decode(video: int, on_step: OnStep, *, source: IndexedSource) -> int:
    """Decode some frames of a video and return their total number; InputError if that fails."""
    try:
        reader = source.open(video)
        # A set: a video of fewer than FRAMES frames has repeated positions.
        positions = {int(position) for position in np.linspace(0, len(reader) - 1, FRAMES)}
        for position in sorted(positions):
            reader.read([position])
            on_step("")  # The time limit holds for one frame.

        return len(reader)
    except InputError:
        raise
    except Exception as error:  # Decoders raise exceptions of any type on a damaged file.
        raise InputError(
            f"{source.title(video)}: cannot be read ({type(error).__name__}: {error})"
        ) from error


def lengths(
    source: VideoSource, *, workers: int | None = None, timeout: float | None = TIMEOUT
) -> Iterator[tuple[str, int | Broken]]:
    """Count the frames of every video of a source.

    Parallel processes open the videos. If the source is an index, its numbers are used and no video
    is opened.

    Args:
        source: The videos.
        workers: Number of worker processes; all cores by default.
        timeout: Seconds after which a video that has not been opened is given up.

    Yields:
        Title of each video in order, and its number of frames or the error that prevents opening.

    Raises:
        InputError: `workers` or `timeout` is out of range.
    """
    # The index knows the lengths already, so no process is needed.
    if isinstance(source, IndexedSource):
        for video in range(len(source)):
            yield source.title(video), source.length(video)
        return

    check_workers(workers)
    check_timeout(timeout)
    items = enumerate(range(len(source)))
    count = partial(_length, source=source)

    for (video, _), outcome in in_order(in_processes(count, items, workers, timeout=timeout)):
        yield source.title(video), outcome


def _length(item: tuple[int, int], on_step: OnStep, *, source: VideoSource) -> int:
    return len(source.open(item[0]))


def broken_lines(index: VideoIndex, before: VideoIndex) -> list[str]:
    """Reasons of the videos that are unusable in `index` and were usable in `before`."""
    # Videos that were unusable before are known to the user and not reported again.
    worse = np.flatnonzero((index.status != Status.USABLE) & (before.status == Status.USABLE))
    return [index.reasons[int(row)] for row in worse]
