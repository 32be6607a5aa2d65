"""Writes what `folder` reads: images/SPLIT/NAME.jpg, masks/SPLIT/NAME.png and classes.txt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.files import atomic_write
from densevos.base.masks import write_mask


def write_classes(root: Path, classes: Sequence[str]) -> None:
    """Names of class ids 0, 1, ...; no file where there are none."""
    if not classes:
        return

    with atomic_write(root / "classes.txt", "w") as file:
        file.writelines(f"{name}\n" for name in classes)


def write_image(root: Path, name: str, image: np.ndarray, labels: np.ndarray | None) -> None:
    """An image [H,W,3] uint8 RGB as JPEG of quality 95 and, where there are any, its class ids
    [H,W] uint8.

    name: SPLIT/NAME, or SPLIT/CLIP/FRAME for one frame of a video.
    """
    picture, mask = root / "images" / f"{name}.jpg", root / "masks" / f"{name}.png"
    for file in (picture, mask):
        file.parent.mkdir(parents=True, exist_ok=True)

    with atomic_write(picture) as opened:
        Image.fromarray(image).save(opened, format="JPEG", quality=95)

    if labels is not None:
        write_mask(mask, labels)
