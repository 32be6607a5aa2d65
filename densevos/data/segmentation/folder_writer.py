"""Writes the layout that sets/folder.py reads: images, masks and classes.txt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.files import atomic_write
from densevos.base.masks import write_mask


def write_classes(root: Path, classes: Sequence[str]) -> None:
    """Write classes.txt, unless there are no classes.

    Args:
        root: Folder of the set.
        classes: Names of class ids 0, 1, ...
    """
    if not classes:
        return

    # The line of a name is its class id.
    with atomic_write(root / "classes.txt", "w") as file:
        file.writelines(f"{name}\n" for name in classes)


def write_image(root: Path, name: str, image: np.ndarray, labels: np.ndarray | None) -> None:
    """Write an image as JPEG of quality 95, and its labels if there are any.

    Args:
        root: Folder of the set.
        name: SPLIT/NAME, or SPLIT/CLIP/FRAME for a frame of a video.
        image: [H,W,3] uint8 RGB.
        labels: Class ids [H,W] uint8, 255 = void; None if the image has no labels.
    """
    image_file = root / "images" / f"{name}.jpg"
    mask_file = root / "masks" / f"{name}.png"
    for file in (image_file, mask_file):
        file.parent.mkdir(parents=True, exist_ok=True)

    # Atomic, so that an interrupted run leaves no half-written file.
    with atomic_write(image_file) as opened:
        Image.fromarray(image).save(opened, format="JPEG", quality=95)

    if labels is not None:
        write_mask(mask_file, labels)
