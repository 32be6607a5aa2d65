"""An encoder of one's own: module:function, importable from the working directory.

The function takes no arguments and returns one of three things, or the name is itself one of them:

* a callable on frames [B,3,H,W] float32, normalised RGB -> features [B,C,h,w];
* an object with a method `stream()`, which is called for each video and returns a callable with a
  memory of its own: frames [1,3,H,W], one after the other -> features [1,C,h,w]. That callable may
  have a method `see(frames)`, which is called instead for frames whose features are not needed;
* a callable on clips with an attribute `clip_frames`, T: [B,T,3,H,W] -> features [B,S,C,h,w] of S
  parts of the clip, the newest last, or [B,C,h,w]. It is called with the frame whose features are
  wanted and the T - 1 before it.

Attributes that may say more:

mean, std        three numbers each, of RGB in [0,1]; ImageNet's when left out, so (0,0,0) and
(1,1,1) mean raw frames stride           pixels per cell; measured on a frame of 224x448 pixels when
left out tubelet_frames   of a callable on clips: frames that one part of a clip covers, so that
features are new every so many
                 frames; 1 when left out

What is a torch module is put in eval mode and moved to --device; frames are on that device in any
case.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.base.outside import from_outside
from densevos.models.encoder import MEAN, STD
from densevos_eval.adapters.backbone import Backbone, Triple, shortened
from densevos_eval.adapters.memory import ClipWindow, Memory, of_first_frames

LAYER = "output"
MARKS = ("stride", "stream", "clip_frames")
"""Attributes by which an object is known for a network, not for a function that makes one."""
KINDS = "a callable on frames, an object with stream(), or a callable on clips with clip_frames"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How a network is called: on single frames, and on the frames of a video, where it remembers
    them.
    """

    features: Callable[[Tensor], Tensor]
    new_memory: Callable[[], Memory] | None = None
    sees: str = "single frames"
    every: int = 1


def load(module: str, function: str) -> Backbone:
    """Import, call, and look at what came back; InputError, naming what failed, for what is none of
    the three.
    """
    spec = f"{module}:{function}"
    return of_network(_made(spec), spec, files=_source(module))


def of_network(network: Any, spec: str | None = None, *, files: tuple[Path, ...] = ()) -> Backbone:
    """A network of one's own as a backbone; InputError for what is none of the three kinds.

    spec: how messages name it; the name of its type when left out.
    """
    if isinstance(network, type):
        raise InputError(
            f"--encoder {spec or network.__name__}: is a class; give a network, {network.__name__}()"
        )

    spec = spec or type(network).__name__
    kind = _kind(spec, network)
    stride = getattr(network, "stride", None)
    return Backbone(
        kind="function",
        architecture=type(network).__name__,
        features=lambda frames, layer: kind.features(frames),
        strides={
            LAYER: stride if isinstance(stride, int) and stride > 0 else None
        },  # Conv2d.stride is a pair
        default=LAYER,
        new_memory=kind.new_memory,
        sees=kind.sees,
        every=kind.every,
        module=network if isinstance(network, nn.Module) else None,
        mean=_triple(spec, network, "mean", MEAN),
        std=_triple(spec, network, "std", STD),
        fixed=hasattr(network, "mean") or hasattr(network, "std"),
        memory_format=torch.contiguous_format,  # what code of others expects
        files=files,
    )


def _made(spec: str) -> Any:
    maker = from_outside(spec, "--encoder")
    if not isinstance(maker, type) and (
        isinstance(maker, nn.Module) or any(hasattr(maker, name) for name in MARKS)
    ):
        return maker

    if not callable(maker):
        raise InputError(
            f"--encoder {spec}: is a {type(maker).__name__}; name a function that returns {KINDS}"
        )

    try:
        return maker()
    except Exception as error:  # the user's code raises whatever it likes
        raise InputError(
            f"--encoder {spec}: cannot be made ({type(error).__name__}: {shortened(error)}); "
            f"the function must take no arguments and return {KINDS}; bind arguments with functools.partial"
        ) from error


def _kind(spec: str, network: Any) -> _Kind:
    if callable(getattr(network, "stream", None)):
        new_memory = network.stream
        return _Kind(
            features=of_first_frames(new_memory),
            new_memory=new_memory,
            sees="all frames before as well",
        )

    if isinstance(network, Tensor) or not callable(network):
        what = (
            "features instead of a network"
            if isinstance(network, Tensor)
            else f"a {type(network).__name__}"
        )
        raise InputError(f"--encoder {spec}: returned {what}; must return {KINDS}")

    if not hasattr(network, "clip_frames"):
        return _Kind(features=network)

    frames = _count(spec, network, "clip_frames")
    every = _count(spec, network, "tubelet_frames") if hasattr(network, "tubelet_frames") else 1

    def window() -> ClipWindow:
        return ClipWindow(network, frames)

    # A window that is new takes frames of several videos at once, each for the first one of its
    # own.
    return _Kind(
        features=lambda frames: window()(frames),
        new_memory=window,
        sees=f"clips of {frames} frames that end with it",
        every=every,
    )


def _count(spec: str, network: Any, name: str) -> int:
    value = getattr(network, name)
    if not isinstance(value, int) or value < 1:
        raise InputError(
            f"--encoder {spec}: its {name} must be a whole number of frames, is {value!r}"
        )

    return value


def _source(module: str) -> tuple[Path, ...]:
    file = getattr(sys.modules.get(module), "__file__", None)
    return (Path(file),) if file else ()


def _triple(spec: str, network: Any, name: str, default: Triple) -> Triple:
    value = getattr(network, name, default)
    try:
        red, green, blue = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--encoder {spec}: its {name} must be three numbers, is {value!r}"
        ) from error

    return red, green, blue
