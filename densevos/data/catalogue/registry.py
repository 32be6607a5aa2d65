"""Layouts by name."""

import importlib
import pkgutil
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos.data import catalogue
from densevos.data.catalogue.layout import Layout


def known_layouts() -> dict[str, Layout]:
    """The layouts of this folder by name. A module of the folder is a layout's if it has a
    LAYOUT.
    """
    modules = [
        importlib.import_module(f"{catalogue.__name__}.{module.name}")
        for module in pkgutil.iter_modules(catalogue.__path__)
    ]
    found = [module.LAYOUT for module in modules if hasattr(module, "LAYOUT")]

    return {layout.name: layout for layout in sorted(found, key=lambda layout: layout.name)}


def find_layout(name: str, flag: str = "--dataset") -> Layout:
    """The layout that goes by `name`, or that `package.module:NAME` names.

    Raises:
        InputError: There is no such layout, or it cannot be imported.
    """
    known = known_layouts()
    if name in known:
        return known[name]
    if not is_outside(name):
        raise InputError(
            f"{flag} {name}: is unknown; known are {', '.join(known)}, and package.module:NAME of your own"
        )

    layout = from_outside(name, flag)
    if not isinstance(layout, Layout):
        raise InputError(
            f"{flag} {name}: is {type(layout).__name__}, not a Layout (densevos.data.catalogue.layout)"
        )

    return layout


def find_videos(layout: Layout, root: Path, split: str | None = None) -> list[str]:
    """Paths of the videos of a split relative to `root`, sorted; of the layout's first split if
    none is given.

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

    found = sorted(set(layout.find(root, split)))
    if not found:
        raise InputError(
            f"{root}: holds no videos of {layout.title}, split {split}; they would lie in ROOT/{layout.tree}"
        )

    return found
