"""Foreground of methods that look at several frames of a video: motion and consensus, window by
window.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.images import shrink
from densevos.data.foreground.consensus import Nodes, Passage, consensus, nodes, passage
from densevos.data.foreground.flow import dis_flow
from densevos.data.foreground.motion import Motion, motion_probability, own_motion
from densevos.data.foreground.shots import Shot, shots
from densevos.data.sources.source import FrameReader

VideoMethod = Literal["motion", "consensus"]

SHORT_SIDE = 240
"""Frames are shrunk to this short side, pixels: flow and superpixels are no better at twice the
size, and slower.
"""
WINDOW = 100
"""Most frames that are worked on together, besides those on both sides."""
CONTEXT: dict[VideoMethod, int] = {"motion": 1, "consensus": 10}
"""Frames on both sides of a window that are looked at too."""

Describe = Callable[[np.ndarray], np.ndarray]
"""RGB frame [H,W,3] uint8 -> features of its pixels [H,W,C] float32."""


@dataclass(frozen=True)
class SmallFrame:
    """A frame shrunk for the work on it: [h,w,3] uint8, and the size (H, W) that it had."""

    image: np.ndarray
    size: tuple[int, int]


def windows(length: int, method: VideoMethod) -> list[range]:
    """Equal parts of a video of so many frames: each is worked on with its neighbourhood, so that
    memory stays bounded.

    A video that is longer than a window by no more than the frames on its sides is one window.
    """
    count = 1 if length <= WINDOW + 2 * CONTEXT[method] else -(-length // WINDOW)
    ends = [length * k // count for k in range(count + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def window_foreground(
    reader: FrameReader,
    window: range,
    method: VideoMethod,
    short_side: int,
    describe: Describe | None = None,
) -> Iterator[tuple[SmallFrame, np.ndarray]]:
    """Each frame of the window, shrunk to `short_side` pixels, and its foreground's probability
    [h,w] float32.

    Frames of other shots do not matter to a frame, and a flash has what the frame before it has.
    What has no neighbour, such as the only frame of a video, and a shot in which nothing moves
    against the scene have no foreground.

    Raises InputError when a frame cannot be read, or the size changes.
    """
    context = CONTEXT[method]
    seen = range(max(0, window.start - context), min(len(reader), window.stop + context))
    frames = list(_small_frames(reader, seen, short_side))
    images = [frame.image for frame in frames]
    found: dict[int, np.ndarray] = {}
    for shot in shots(images):
        found.update(_shot_foreground(images, shot, method, describe))

    for index in window:
        yield frames[index - seen.start], found.pop(index - seen.start)


def _shot_foreground(
    images: Sequence[np.ndarray], shot: Shot, method: VideoMethod, describe: Describe | None
) -> dict[int, np.ndarray]:
    """Probabilities by index of the image."""
    if method == "motion":
        maps = [motion_probability(motion) for _, motion, _ in _moving(images, shot)]
    else:
        maps = _agreed(images, shot, describe)

    found = dict(zip(shot.frames, maps, strict=True))
    for flash in shot.flashes:
        found[flash] = found[max(index for index in shot.frames if index < flash)]

    return found


def _agreed(
    images: Sequence[np.ndarray], shot: Shot, describe: Describe | None
) -> list[np.ndarray]:
    frames: list[Nodes] = []
    passages: list[Passage | None] = []
    flow_here: np.ndarray | None = None  # from the previous frame to this one

    for index, motion, flow in _moving(images, shot):
        image = images[index]
        frames.append(nodes(image, motion, describe(image) if describe else None))
        if flow_here is not None:
            passages.append(passage(frames[-2].labels, frames[-1].labels, flow_here))

        flow_here = flow

    return consensus(frames, passages)


def _moving(
    images: Sequence[np.ndarray], shot: Shot
) -> Iterator[tuple[int, Motion, np.ndarray | None]]:
    """Index, motion, and flow to the next frame of the shot, of each of its frames."""
    back: np.ndarray | None = None
    for index, following in zip(shot.frames, (*shot.frames[1:], None), strict=True):
        onward = None if following is None else dis_flow(images[index], images[following], finest=0)
        flows = [flow for flow in (onward, back) if flow is not None]
        yield index, own_motion(flows, images[index].shape[:2]), onward
        back = None if following is None else dis_flow(images[following], images[index], finest=0)


def small_frame(reader: FrameReader, index: int, short_side: int) -> SmallFrame:
    """A frame shrunk to `short_side` pixels; one that is smaller as it is."""
    frame = reader.read([index])[0]
    return SmallFrame(
        np.asarray(shrink(Image.fromarray(frame), short_side)), (frame.shape[0], frame.shape[1])
    )


def _small_frames(
    reader: FrameReader, indices: Sequence[int], short_side: int
) -> Iterator[SmallFrame]:
    """Shrunk frames; InputError where their size changes, which shrinking or a cut would hide."""
    first: tuple[int, int] | None = None
    for index in indices:
        frame = small_frame(reader, index, short_side)
        first = first or frame.size
        if frame.size != first:
            raise InputError(
                f"{reader.path}: frame {reader.names[index]} is {frame.size[1]}x{frame.size[0]} but"
                f" {reader.names[indices[0]]} is {first[1]}x{first[0]}; frames of one video must share one size"
            )

        yield frame
