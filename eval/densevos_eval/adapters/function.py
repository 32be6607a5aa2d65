"""An encoder of one's own: module:function, importable from the working directory.

`function()` returns a callable, frames [B,3,H,W] -> features [B,C,h,w]. Attributes of the callable that may say more:

mean, std   three numbers each, of RGB in [0,1]; ImageNet's when left out, so (0,0,0) and (1,1,1) mean raw frames
stride      pixels per cell; measured on a frame of 224x448 pixels when left out

A callable that is a torch module is put in eval mode and moved to --device; frames are on that device in any case.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from densevos.base.errors import InputError
from densevos.base.outside import from_outside
from densevos.models.encoder import MEAN, STD
from densevos_eval.adapters.backbone import Backbone, Triple, shortened

LAYER = "output"


def load(module: str, function: str) -> Backbone:
    """Import, call, and look at what came back; InputError, naming what failed, for anything else than a callable."""
    spec = f"{module}:{function}"
    network = _made(spec)
    stride = getattr(network, "stride", None)
    return Backbone(
        kind="function",
        architecture=type(network).__name__,
        features=lambda frames, layer: network(frames),
        strides={LAYER: stride if isinstance(stride, int) and stride > 0 else None},  # Conv2d.stride is a pair
        default=LAYER,
        module=network if isinstance(network, nn.Module) else None,
        mean=_triple(spec, network, "mean", MEAN),
        std=_triple(spec, network, "std", STD),
        fixed=hasattr(network, "mean") or hasattr(network, "std"),
        memory_format=torch.contiguous_format,  # what code of others expects
        files=_source(module),
    )


def _made(spec: str) -> Callable[..., Any]:
    maker = from_outside(spec, "--encoder")
    try:
        network = maker()
    except Exception as error:  # the user's code raises whatever it likes
        raise InputError(
            f"--encoder {spec}: cannot be made ({type(error).__name__}: {shortened(error)}); "
            "the function must take no arguments and return a callable, frames -> features"
        ) from error
    if not callable(network):
        raise InputError(
            f"--encoder {spec}: returned a {type(network).__name__}; must return a callable, frames -> features"
        )
    return network


def _source(module: str) -> tuple[Path, ...]:
    file = getattr(sys.modules.get(module), "__file__", None)
    return (Path(file),) if file else ()


def _triple(spec: str, network: Any, name: str, default: Triple) -> Triple:
    value = getattr(network, name, default)
    try:
        red, green, blue = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise InputError(f"--encoder {spec}: its {name} must be three numbers, is {value!r}") from error
    return red, green, blue
