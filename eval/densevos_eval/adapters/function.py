"""An encoder of one's own: module:function, importable from the working directory.

The function takes no arguments and returns one of three things. The name may also be one of them
itself:

* a callable on frames [B,3,H,W] float32, normalised RGB -> features [B,C,h,w];
* an object with a method `stream()`, which is called for each video and returns a callable with a
  memory of its own: frames [1,3,H,W], one after the other -> features [1,C,h,w]. That callable may
  have a method `see(frames)`, which is called instead for frames whose features are not needed;
* a callable on clips with an attribute `clip_frames`, T: [B,T,3,H,W] -> features [B,S,C,h,w] of S
  parts of the clip, the newest last, or [B,C,h,w]. It is called with the frame whose features are
  wanted and the T - 1 frames before it.

It may have these attributes:

* mean, std: three numbers each, for RGB in [0,1]. The default is ImageNet's; (0,0,0) and (1,1,1)
  mean raw frames.
* stride: pixels per cell. The default is measured on a frame of 224x448 pixels.
* tubelet_frames, of a callable on clips: frames that one part of a clip covers. Its features are
  new only once in so many frames. The default is 1.

A torch module is put in eval mode and moved to --device. Frames are always on that device.
"""

# Shapes: B batch, T frames of a clip, S parts of a clip, C channels, h x w cells.

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
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.memory import ClipWindow, Memory, of_first_frames
from densevos_eval.adapters.normalisation import Triple

LAYER = "output"
MARKS = ("stride", "stream", "clip_frames")
"""Attributes that mark an object as a network, not as a function that makes one."""

KINDS = "a callable on frames, an object with stream(), or a callable on clips with clip_frames"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How a network is called; see the fields of these names of `Backbone`."""

    features: Callable[[Tensor], Tensor]
    new_memory: Callable[[], Memory] | None = None
    sees: str = "single frames"
    every: int = 1


def load(module: str, function: str) -> Backbone:
    """Import and call a function, and make a backbone of what it returns.

    Args:
        module: Name of the module.
        function: Name of the function in it, or of a network.

    Raises:
        InputError: The import or the call fails, or the result is none of the three kinds.
    """
    spec = f"{module}:{function}"
    return of_network(_made(spec), spec, files=_source(module))


def of_network(network: Any, spec: str | None = None, *, files: tuple[Path, ...] = ()) -> Backbone:
    """Make a backbone of a network of one's own.

    Args:
        network: One of the three kinds.
        spec: Its name in messages; the name of its type when left out.
        files: Files that it comes from.

    Raises:
        InputError: It is none of the three kinds, or an attribute has no sensible value.
    """
    # A class can be called too, but it would fail at the first frame, with a confusing message.
    if isinstance(network, type):
        name = network.__name__
        raise InputError(f"--encoder {spec or name}: is a class; give a network, {name}()")

    spec = spec or type(network).__name__
    kind = _kind(spec, network)

    # Another attribute of this name is ignored: torch's Conv2d has a pair as its stride.
    stride = getattr(network, "stride", None)
    if not isinstance(stride, int) or stride <= 0:
        stride = None

    return Backbone(
        kind="function",
        architecture=type(network).__name__,
        features=lambda frames, layer: kind.features(frames),
        strides={LAYER: stride},
        default=LAYER,
        new_memory=kind.new_memory,
        sees=kind.sees,
        every=kind.every,
        module=network if isinstance(network, nn.Module) else None,
        mean=_triple(spec, network, "mean", MEAN),
        std=_triple(spec, network, "std", STD),
        fixed=hasattr(network, "mean") or hasattr(network, "std"),
        # A user's network may call `view`, which fails on channels_last.
        memory_format=torch.contiguous_format,
        files=files,
    )


def _made(spec: str) -> Any:
    """The network that module:function names: the object itself, or what it returns."""
    maker = from_outside(spec, "--encoder")
    # A class of networks has these marks as well, but it must be called to make one.
    is_network = isinstance(maker, nn.Module) or any(hasattr(maker, name) for name in MARKS)
    if is_network and not isinstance(maker, type):
        return maker

    if not callable(maker):
        raise InputError(
            f"--encoder {spec}: is a {type(maker).__name__}; name a function that returns {KINDS}"
        )

    try:
        return maker()
    except Exception as error:  # the user's code may raise any type of error
        raise InputError(
            f"--encoder {spec}: cannot be made ({type(error).__name__}: {shortened(error)}); "
            f"the function must take no arguments and return {KINDS}; "
            "bind arguments with functools.partial"
        ) from error


def _kind(spec: str, network: Any) -> _Kind:
    # A network with a memory may be callable on single frames too, so stream() is looked for first.
    if callable(getattr(network, "stream", None)):
        new_memory = network.stream
        return _Kind(
            features=of_first_frames(new_memory),
            new_memory=new_memory,
            sees="all frames before as well",
        )

    if isinstance(network, Tensor) or not callable(network):
        returned = f"a {type(network).__name__}"
        if isinstance(network, Tensor):
            returned = "features instead of a network"

        raise InputError(f"--encoder {spec}: returned {returned}; must return {KINDS}")

    # A callable without any mark takes single frames.
    if not hasattr(network, "clip_frames"):
        return _Kind(features=network)

    frames = _count(spec, network, "clip_frames")
    every = 1
    if hasattr(network, "tubelet_frames"):
        every = _count(spec, network, "tubelet_frames")

    def window() -> ClipWindow:
        return ClipWindow(network, frames)

    # A new window treats each frame of a batch as the first one of a video.
    return _Kind(
        features=lambda frames: window()(frames),
        new_memory=window,
        sees=f"clips of {frames} frames that end with it",
        every=every,
    )


def _count(spec: str, network: Any, name: str) -> int:
    """An attribute that must be a number of frames."""
    value = getattr(network, name)
    if not isinstance(value, int) or value < 1:
        raise InputError(
            f"--encoder {spec}: its {name} must be a whole number of frames, is {value!r}"
        )

    return value


def _source(module: str) -> tuple[Path, ...]:
    """The file of an imported module, if it has one."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return (Path(file),) if file else ()


def _triple(spec: str, network: Any, name: str, default: Triple) -> Triple:
    """An attribute that must be three numbers, or its default."""
    value = getattr(network, name, default)
    # Unpacking checks that there are three; the attribute may also be a tensor or an array.
    try:
        red, green, blue = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--encoder {spec}: its {name} must be three numbers, is {value!r}"
        ) from error

    return red, green, blue
