"""Collects the presets: every module of this folder except the listed ones has a tuple PRESETS."""

import importlib
import pkgutil
from collections.abc import Iterator

from densevos_eval import presets
from densevos_eval.presets.preset import Preset


def _presets_of_folder() -> Iterator[Preset]:
    # Sorted, since the order of presets in the help must not depend on the file system.
    for info in sorted(pkgutil.iter_modules(presets.__path__), key=lambda info: info.name):
        if info.name not in OTHER_MODULES:
            yield from importlib.import_module(f"{presets.__name__}.{info.name}").PRESETS


OTHER_MODULES = {"describe", "options", "preset", "registry"}
"""Modules of the folder that hold no presets."""

PRESETS = {preset.name: preset for preset in _presets_of_folder()}
"""Name -> preset, in the order of the files."""
