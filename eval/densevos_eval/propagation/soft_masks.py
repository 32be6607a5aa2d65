"""Soft masks on disk: one 8-bit grey image per object and frame."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.base.files import atomic_write


def write_soft_masks(
    folder: Path, frame: str, size: tuple[int, ...], probabilities: Iterable[tuple[int, np.ndarray]]
) -> None:
    """Write the soft mask of each object as FOLDER/ID/FRAME.png: 0 for no, 255 for yes.

    Args:
        folder: Where the folders of the objects are.
        frame: Name of the frame.
        size: [H,W] of the images. Masks of another size are resized bilinearly.
        probabilities: Object ids (0: background) and their masks [h,w] in [0,1].
    """
    for id, probability in probabilities:
        path = folder / str(id) / f"{frame}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        # OpenCV takes (width, height).
        if probability.shape != size:
            probability = cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR)

        with atomic_write(path) as file:
            Image.fromarray(np.round(255 * probability).astype(np.uint8)).save(file, format="PNG")
