"""Foreground by motion and consensus, the methods that look at several frames, window by window."""

# Shapes: H x W the frame's own size, h x w the size that it is shrunk to, C features of a pixel.

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
"""Short side in pixels that frames are shrunk to; at twice the size flow and superpixels are slower
and no better.
"""
WINDOW = 100
"""Largest number of frames that are processed together, without the context on both sides."""
CONTEXT: dict[VideoMethod, int] = {"motion": 1, "consensus": 10}
"""Frames on each side of a window that are read as well."""

Describe = Callable[[np.ndarray], np.ndarray]
"""RGB frame [H,W,3] uint8 -> features of its pixels [H,W,C] float32."""


@dataclass(frozen=True)
class SmallFrame:
    """A shrunk frame."""

    image: np.ndarray
    """[h,w,3] uint8 RGB."""
    size: tuple[int, int]
    """Size (H, W) of the frame before it was shrunk."""


def windows(length: int, method: VideoMethod) -> list[range]:
    """Split a video into equal windows, so that memory stays bounded.

    A video that exceeds one window by no more than the context on both sides stays in one piece.

    Args:
        length: Number of frames of the video.
        method: The method, which decides about the context.

    Returns:
        Successive ranges of frame indices, which together are the video.
    """
    # Rounded up, so that several windows have at most WINDOW frames each.
    count = 1 if length <= WINDOW + 2 * CONTEXT[method] else -(-length // WINDOW)
    # Windows differ by one frame at most, so that tasks take about equally long.
    ends = [length * k // count for k in range(count + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def window_foreground(
    reader: FrameReader,
    window: range,
    method: VideoMethod,
    short_side: int,
    describe: Describe | None = None,
) -> Iterator[tuple[SmallFrame, np.ndarray]]:
    """Each frame of the window, shrunk, with its foreground probability [h,w] float32.

    Only frames of the same shot influence each other, and a flash takes over the probability of the
    frame before it. A frame without neighbours, such as the only frame of a video, has no
    foreground; nor has a shot in which nothing moves against the scene.

    Args:
        reader: The frames of the video.
        window: Indices of the frames that are yielded.
        method: motion or consensus.
        short_side: Short side of the shrunk frames, pixels.
        describe: Features of the pixels of a frame, which consensus compares instead of colours.

    Raises:
        InputError: A frame cannot be read, or the frames differ in size.
    """
    # At the ends of the video there is less context.
    context = CONTEXT[method]
    seen = range(max(0, window.start - context), min(len(reader), window.stop + context))
    frames = list(_small_frames(reader, seen, short_side))
    images = [frame.image for frame in frames]

    # Cuts divide the frames into shots; position among the frames seen -> map.
    maps: dict[int, np.ndarray] = {}
    for shot in shots(images):
        maps.update(_shot_foreground(images, shot, method, describe))

    # Maps are dropped as soon as they are used, and those of the context are never yielded.
    for index in window:
        yield frames[index - seen.start], maps.pop(index - seen.start)


def _shot_foreground(
    images: Sequence[np.ndarray], shot: Shot, method: VideoMethod, describe: Describe | None
) -> dict[int, np.ndarray]:
    """Index of the image -> its foreground probability."""
    if method == "motion":
        maps = [motion_probability(motion) for _, motion, _ in _moving(images, shot)]
    else:
        maps = _consensus_maps(images, shot, describe)

    # A flash is no frame of the shot, so it takes over the map of the frame before it.
    by_index = dict(zip(shot.frames, maps, strict=True))
    for flash in shot.flashes:
        before = max(index for index in shot.frames if index < flash)
        by_index[flash] = by_index[before]

    return by_index


def _consensus_maps(
    images: Sequence[np.ndarray], shot: Shot, describe: Describe | None
) -> list[np.ndarray]:
    """Foreground probability of each frame of a shot, in order."""
    frames: list[Nodes] = []
    passages: list[Passage | None] = []
    incoming: np.ndarray | None = None  # flow from the previous frame to this one

    for index, motion, flow in _moving(images, shot):
        image = images[index]
        frames.append(nodes(image, motion, describe(image) if describe else None))
        # The passage joins the frame before to this one, so the first frame adds none.
        if incoming is not None:
            passages.append(passage(frames[-2].labels, frames[-1].labels, incoming))

        incoming = flow

    return consensus(frames, passages)


def _moving(
    images: Sequence[np.ndarray], shot: Shot
) -> Iterator[tuple[int, Motion, np.ndarray | None]]:
    """Index, motion, and flow to the next frame of the shot, for each of its frames."""
    back: np.ndarray | None = None  # flow from this frame to the previous one
    last = len(shot.frames) - 1

    for number, index in enumerate(shot.frames):
        following = None if number == last else shot.frames[number + 1]
        onward: np.ndarray | None = None  # flow from this frame to the next one
        if following is not None:
            # Scale 0 is the full size of the frames, which are shrunk already.
            onward = dis_flow(images[index], images[following], finest=0)

        flows = [flow for flow in (onward, back) if flow is not None]
        # Motion uses both neighbours, as far as they exist in the shot.
        yield index, own_motion(flows, images[index].shape[:2]), onward

        if following is not None:
            # Computed after the yield: it belongs to the next frame.
            back = dis_flow(images[following], images[index], finest=0)


def small_frame(reader: FrameReader, index: int, short_side: int) -> SmallFrame:
    """Read a frame and shrink it; a frame that is smaller keeps its size.

    Args:
        reader: The frames of the video.
        index: Index of the frame.
        short_side: Short side of the shrunk frame, pixels.

    Raises:
        InputError: The frame cannot be read.
    """
    frame = reader.read([index])[0]
    shrunk = np.asarray(shrink(Image.fromarray(frame), short_side))
    return SmallFrame(shrunk, (frame.shape[0], frame.shape[1]))


def _small_frames(
    reader: FrameReader, indices: Sequence[int], short_side: int
) -> Iterator[SmallFrame]:
    """Shrunk frames; InputError if their size changes, which shrinking or a cut would hide."""
    first: tuple[int, int] | None = None
    for index in indices:
        frame = small_frame(reader, index, short_side)
        first = first or frame.size
        if frame.size != first:
            raise InputError(
                f"{reader.path}: frame {reader.names[index]} is {frame.size[1]}x{frame.size[0]} but"
                f" {reader.names[indices[0]]} is {first[1]}x{first[0]}; frames of one video must"
                " share one size"
            )

        yield frame
