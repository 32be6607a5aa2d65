"""Frames with their masks as pictures that a notebook shows."""

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import as_ids
from densevos_eval.drawing import overlay as drawing


def overlay(frame: np.ndarray, labels: np.ndarray) -> Image.Image:
    """Tint each object of a frame in its colour of the DAVIS palette.

    Args:
        frame: [H,W,3] uint8 RGB.
        labels: Ids [H,W] of its objects, 0 for the background.

    Returns:
        A picture, which a notebook shows and whose method `save` writes a file.

    Raises:
        InputError: Frame or labels have other shapes or types.

    >>> import numpy as np
    >>> from densevos_eval import overlay
    >>> frame = np.zeros((48, 64, 3), np.uint8)
    >>> labels = np.zeros((48, 64), np.uint8)
    >>> labels[10:30, 20:40] = 1
    >>> overlay(frame, labels).size
    (64, 48)
    """
    # Scripts may pass lists, so arrays are made before shapes are checked.
    frame, labels = np.asarray(frame), np.asarray(labels)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(
            f"frame: must be [H,W,3] uint8, is {list(frame.shape)} {frame.dtype};"
            " give RGB of 0 to 255"
        )

    if labels.shape != frame.shape[:2]:
        raise InputError(
            f"labels: must be of the frame's size {list(frame.shape[:2])}, are {list(labels.shape)}"
        )

    # Networks often give ids as int64; drawing needs uint8.
    ids = as_ids(labels, "labels: must hold ids 0 to 255")
    return Image.fromarray(drawing.overlay(frame, ids))
