"""Optical flow between two frames, and pictures or masks brought along it."""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np

from densevos.base.errors import InputError

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""RGB frames a, b [H,W,3] uint8 -> [H,W,2] float32: the pixel (x, y) of a is at (x, y) + flow[y, x]
of b.
"""

SMALLEST = 16
"""Fewest pixels of a side that DIS works on."""


def dis_flow(a: np.ndarray, b: np.ndarray, finest: int = 1) -> np.ndarray:
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's preset `medium`, on grey frames.

    finest: The finest scale that is searched is a 2^finest-th of the frame's size; 0 takes twice
    the time of 1.

    Frames too small for it do not move. Raises InputError when the frames differ in size.
    """
    check_one_size(a, b)
    if min(a.shape[:2]) < SMALLEST:
        return np.zeros((*a.shape[:2], 2), np.float32)

    first, second = (cv2.cvtColor(np.ascontiguousarray(one), cv2.COLOR_RGB2GRAY) for one in (a, b))
    return np.asarray(_dis(finest).calc(first, second, None))


def check_one_size(a: np.ndarray, b: np.ndarray) -> None:
    """Raise InputError when two frames [H,W,3] differ in size, so that there is no flow between
    them.
    """
    if a.shape != b.shape:
        raise InputError(
            f"optical flow: frames of {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} pixels; frames of a video"
            " must be of one size, so resize them"
        )


def warp(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Bring a picture, map or mask of frame b to frame a, by the flow from a to b.

    values: [H,W] or [H,W,C] of b; boolean and integer ones are taken from the nearest pixel, floats
    are interpolated. What lies outside of b is 0.
    """
    height, width = flow.shape[:2]
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    whole = not np.issubdtype(values.dtype, np.floating)
    source = values.astype(np.uint8) if values.dtype == bool else values
    moved = cv2.remap(
        np.ascontiguousarray(source),
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_NEAREST if whole else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )

    return np.asarray(moved).astype(values.dtype)


@cache
def _dis(finest: int) -> Any:
    vision: Any = cv2  # its stubs lack DIS
    search = vision.DISOpticalFlow_create(vision.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    return search
