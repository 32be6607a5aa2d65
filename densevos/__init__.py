"""densevos: learn dense video representations from video without labels.

From Python: `from densevos import open_video, read_mask, write_mask`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densevos import recipes
    from densevos.base.masks import read_mask, write_mask
    from densevos.models.encoder import load_encoder
    from densevos.models.mug import load_model
    from densevos.training import train
    from densevos.video import open_video

__version__ = "0.1.0"
__all__ = [
    "load_encoder",
    "load_model",
    "open_video",
    "read_mask",
    "recipes",
    "train",
    "write_mask",
]

# Name -> the module that defines it.
_HOMES = {
    "load_encoder": "models.encoder",
    "load_model": "models.mug",
    "open_video": "video",
    "read_mask": "base.masks",
    "train": "training",
    "write_mask": "base.masks",
}


def __getattr__(name: str) -> Any:
    # Names are imported when they are used: loading torch takes seconds, and masks and videos do
    # not need it.
    if name == "recipes":
        return import_module("densevos.recipes")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
