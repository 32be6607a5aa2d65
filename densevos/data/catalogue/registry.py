"""Find layouts by name, and the videos of a layout."""

import importlib
import pkgutil
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos.data import catalogue
from densevos.data.catalogue.layout import Layout


def known_layouts() -> dict[str, Layout]:
    """All layouts of the catalogue by name, sorted: every module of this folder with a LAYOUT."""
    # A new module is found without being registered anywhere.
    layouts = []
    for module_info in pkgutil.iter_modules(catalogue.__path__):
        module = importlib.import_module(f"{catalogue.__name__}.{module_info.name}")
        if hasattr(module, "LAYOUT"):
            layouts.append(module.LAYOUT)

    layouts.sort(key=lambda layout: layout.name)
    return {layout.name: layout for layout in layouts}


def find_layout(name: str, flag: str = "--dataset") -> Layout:
    """Find a layout.

    Args:
        name: Name of a layout of the catalogue, or `package.module:NAME` for a layout of your own.
        flag: The option that `name` was given to, for messages.

    Returns:
        The layout.

    Raises:
        InputError: There is no such layout, or it cannot be imported.
    """
    layouts = known_layouts()
    if name in layouts:
        return layouts[name]
    if not is_outside(name):
        raise InputError(
            f"{flag} {name}: is unknown; known are {', '.join(layouts)},"
            " and package.module:NAME of your own"
        )

    # A layout of the user's own code.
    layout = from_outside(name, flag)
    if not isinstance(layout, Layout):
        raise InputError(
            f"{flag} {name}: is {type(layout).__name__}, not a Layout"
            " (densevos.data.catalogue.layout)"
        )

    return layout


def find_videos(layout: Layout, root: Path, split: str | None = None) -> list[str]:
    """Find the videos of a split.

    Args:
        layout: The layout of the dataset.
        root: The folder that the dataset was unpacked to.
        split: A split of the layout; its first one by default.

    Returns:
        Paths relative to `root`, sorted.

    Raises:
        InputError: The layout has no such split, or `root` holds none of its videos.
    """
    split = layout.splits[0] if split is None else split
    if split not in layout.splits:
        raise InputError(f"--split {split}: {layout.name} has {', '.join(layout.splits)}")
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder; give the one that {layout.title} was unpacked to"
        )

    # A layout may give a path twice. Sorting makes the numbers of videos reproducible.
    videos = sorted(set(layout.find(root, split)))
    if not videos:
        raise InputError(
            f"{root}: holds no videos of {layout.title}, split {split};"
            f" they would lie in ROOT/{layout.tree}"
        )

    return videos
