"""One function per published row, and the small ones for CPUs.

Each returns a configuration; its fields can be replaced.

>>> from dataclasses import replace
>>> from pathlib import Path
>>> from densevos import recipes
>>> config = recipes.dul_small(Path("videos"))
>>> config.loop.batch, config.loop.epochs
(8, 150)
>>> replace(config, loop=replace(config.loop, epochs=10)).loop.epochs
10
"""

from collections.abc import Callable

from densevos.config import RunConfig
from densevos.recipes.dul import (
    demo,
    dul_default,
    dul_kinetics,
    dul_oxuva,
    dul_small,
    dul_trackingnet,
    dul_ytvos,
)
from densevos.recipes.image_to_video import (
    i2v_cnn,
    i2v_small_cnn,
    i2v_small_swin,
    i2v_swin,
    i2v_videoswin,
)
from densevos.recipes.mug import mug_oxuva, mug_small

__all__ = [
    "RECIPES",
    "demo",
    "dul_default",
    "dul_kinetics",
    "dul_oxuva",
    "dul_small",
    "dul_trackingnet",
    "dul_ytvos",
    "i2v_cnn",
    "i2v_small_cnn",
    "i2v_small_swin",
    "i2v_swin",
    "i2v_videoswin",
    "mug_oxuva",
    "mug_small",
]

RECIPES: dict[str, Callable[..., RunConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        dul_ytvos,
        dul_oxuva,
        dul_kinetics,
        dul_trackingnet,
        dul_small,
        dul_default,
        mug_oxuva,
        mug_small,
        i2v_cnn,
        i2v_swin,
        i2v_videoswin,
        i2v_small_swin,
        i2v_small_cnn,
        demo,
    )
}
"""Recipes by name, in the order of the help page.

Parameters without a default are required options: the folders or sets to train on. Keyword-only
parameters with a default are further options.
"""
