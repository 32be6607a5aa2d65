"""The order of propagation through a video with masks in any of its frames.

Frames before the first given mask are reached backward from it, all others forward. Later masks
join on the way forward and restart the objects that they show.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from densevos.data.sources.excerpt import Excerpt
from densevos.data.sources.source import FrameReader, iterate_frames

AT_ONCE = 1 << 28
"""Bytes of frames that are decoded at once on the way back.

A video is decoded forward from a key frame, so to seek every single frame would be slow.
"""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Frames that one Propagator takes one after another, as `range(start, stop, step)`.

    Args:
        start: The first frame. Its mask starts the Propagator.
        stop: One frame past the last, in the direction of `step`; -1 for a span that ends with
            frame 0.
        step: 1 for forward, -1 for backward.
    """

    start: int
    stop: int
    step: Literal[1, -1]

    @property
    def frames(self) -> range:
        """All frames of the span, in the order of the Propagator."""
        return range(self.start, self.stop, self.step)

    @property
    def written(self) -> range:
        """The frames whose masks this span writes.

        The way back does not write its first frame, because the way forward does.
        """
        return self.frames if self.step == 1 else self.frames[1:]


def plan(given: Collection[int], frames: int) -> tuple[Span, ...]:
    """The spans of a video; together they write each of its frames once.

    Args:
        given: Frames that have a mask, in any order.
        frames: Number of frames of the video.

    Returns:
        The way forward from the first given frame and, unless that is frame 0, the way back from
        it. Each needs a Propagator of its own. If no mask is given, there are no spans.

    >>> [list(span.written) for span in plan([2, 4], 6)]
    [[2, 3, 4, 5], [1, 0]]
    """
    if not given:
        return ()

    first = min(given)
    forward = Span(start=first, stop=frames, step=1)
    backward = Span(start=first, stop=-1, step=-1)
    return (forward, backward) if first > 0 else (forward,)


def frames_of(reader: FrameReader, span: Span) -> Iterator[np.ndarray]:
    """Read the frames of a span.

    Args:
        reader: Reads the frames of the video.
        span: The frames.

    Yields:
        Frames [H,W,3] uint8 RGB, in the order of the span.
    """
    if span.step == 1:
        is_all = (span.start, span.stop) == (0, len(reader))
        yield from iterate_frames(reader if is_all else Excerpt(reader, span.start, span.stop))
        return

    frame = reader.read([span.start])[0]
    yield frame

    # Backward: read blocks forward and reverse each one.
    count = max(1, AT_ONCE // frame.nbytes)
    for last in range(span.start - 1, -1, -count):
        yield from reader.read(range(max(last + 1 - count, 0), last + 1))[::-1]


def affected(old: Mapping[int, str], new: Mapping[int, str], frames: int) -> range:
    """The frames that a change of given masks can affect; all others keep their result.

    A mask affects its own frame and those after it. A change of the first mask, or of the frame
    that is first, affects all frames.

    Args:
        old: A hash of the ids [H,W] of each mask that was given before, by frame. A hash of the
            file would not do: a new colour in one painted mask may change the ids of the others.
        new: Such hashes of the masks that are given now.
        frames: Number of frames of the video.

    Returns:
        The frames from the first change on, all frames, or none.

    >>> affected({0: "a", 120: "b"}, {0: "a", 120: "c"}, 200)
    range(120, 200)
    """
    changed = [frame for frame in old.keys() | new.keys() if old.get(frame) != new.get(frame)]
    if not changed:
        return range(0)

    # The first mask is where both ways start, so no frame is out of its reach.
    first = min(old.keys() | new.keys())
    return range(0 if first in changed else min(changed), frames)
