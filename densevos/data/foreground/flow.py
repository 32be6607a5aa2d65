"""Optical flow between two frames, and warping of images or masks along it."""

# Shapes: H x W pixels of the frames; a flow [H,W,2] holds the motion along x and y in pixels.

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np

from densevos.base.errors import InputError

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""RGB frames a, b [H,W,3] uint8 -> flow [H,W,2] float32: the pixel (x, y) of a lies at
(x, y) + flow[y, x] in b.
"""

SMALLEST = 16
"""Shortest side in pixels that DIS accepts."""


def dis_flow(a: np.ndarray, b: np.ndarray, finest: int = 1) -> np.ndarray:
    """Optical flow by dense inverse search on grey frames, OpenCV's preset `medium`.

    Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016. The flow of frames
    that are too small for it is 0.

    Args:
        a: RGB frame [H,W,3] uint8.
        b: RGB frame [H,W,3] uint8.
        finest: The finest scale of the search has 1 / 2^finest of the frame's size; 0 takes twice
            the time of 1.

    Returns:
        Flow [H,W,2] float32 from a to b, pixels.

    Raises:
        InputError: The frames differ in size.
    """
    check_one_size(a, b)
    if min(a.shape[:2]) < SMALLEST:
        return np.zeros((*a.shape[:2], 2), np.float32)

    # DIS takes grey frames. OpenCV refuses some views, such as mirrored ones, hence the copies.
    first = cv2.cvtColor(np.ascontiguousarray(a), cv2.COLOR_RGB2GRAY)
    second = cv2.cvtColor(np.ascontiguousarray(b), cv2.COLOR_RGB2GRAY)
    return np.asarray(_dis(finest).calc(first, second, None))


def check_one_size(a: np.ndarray, b: np.ndarray) -> None:
    """Raise InputError if two frames [H,W,3] differ in size and so have no flow between them."""
    if a.shape != b.shape:
        raise InputError(
            f"optical flow: frames of {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            " pixels; frames of a video must be of one size, so resize them"
        )


def warp(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Warp an image, map or mask of frame b to frame a.

    Boolean and integer values are taken from the nearest pixel, floats are interpolated. Pixels
    that lie outside b become 0.

    Args:
        values: [H,W] or [H,W,C] of frame b.
        flow: Flow [H,W,2] float32 from a to b, pixels.

    Returns:
        The values at the pixels of frame a, of the same type.
    """
    height, width = flow.shape[:2]
    # For each pixel of a, where to look in b.
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )

    # Ids must not be mixed by interpolation; OpenCV takes no booleans.
    nearest = not np.issubdtype(values.dtype, np.floating)
    source = values.astype(np.uint8) if values.dtype == bool else values
    moved = cv2.remap(
        np.ascontiguousarray(source),
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )

    return np.asarray(moved).astype(values.dtype)


@cache
def _dis(finest: int) -> Any:
    """The search object of OpenCV, which is reused for all frames."""
    vision: Any = cv2  # its stubs lack DIS
    # The preset has its own finest scale, which is replaced here.
    search = vision.DISOpticalFlow_create(vision.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    return search
