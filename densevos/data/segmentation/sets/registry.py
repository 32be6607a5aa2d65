"""Opens a set by its name and folder, `SET:ROOT`."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.data.segmentation import sets
from densevos.data.segmentation.segmentation_set import Loader, SegmentationSet, SetReading

NAMES = tuple(
    sorted({module.name for module in pkgutil.iter_modules(sets.__path__)} - {"registry"})
)
"""Names of the sets; each is a module of this folder that knows its layout."""


def parse_spec(spec: str) -> tuple[str, Path]:
    """Split `davis:ROOT` into "davis" and ROOT.

    Raises:
        InputError: The set is unknown, or ROOT does not exist.
    """
    # Only the first colon separates: a path may contain others.
    name, colon, root = spec.partition(":")
    if name not in NAMES or not colon or not root:
        raise InputError(f"{spec}: is no SET:ROOT, where SET is one of {', '.join(NAMES)}")
    if not Path(root).exists():
        raise InputError(f"{root}: no such folder; {name}:ROOT names where the files of {name} lie")

    return name, Path(root)


def open_set(spec: str, split: str = "train", **options: Any) -> SegmentationSet:
    """Open a split of a set.

    Args:
        spec: Name and folder of the set, such as `coco:ROOT`.
        split: Name of the split.
        options: Further options; see SetReading.

    Raises:
        InputError: Files are missing (the message names the first one and the layout), labels are
            wanted but no frame has labels of a wanted class, or the set is empty.
    """
    name, root = parse_spec(spec)
    # Imported by name, so that a new set needs only a new module.
    load: Loader = importlib.import_module(f"densevos.data.segmentation.sets.{name}").load
    chosen = SetReading(split=split, **options)
    opened = load(root, chosen)

    # Training would fail much later, and without naming the set.
    if not opened.shots:
        raise InputError(
            f"{spec}: holds nothing to learn from in split {split}; give it images or videos"
        )

    if chosen.labels and not any(shot.labelled for shot in opened.shots):
        raise InputError(
            f"{spec}: no frame of split {split} has labels; pass it as --unlabelled, or add masks"
        )

    return opened
