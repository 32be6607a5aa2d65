"""What every adapter hands over: a network, the layers it offers and what it expects of a frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD
from densevos_eval.adapters.memory import Memory
from densevos_eval.adapters.normalisation import Triple
from densevos_eval.base.devices import arithmetic

Precision = Literal["fp32", "tf32", "bf16"]

PROBE = (224, 448)  # Whole cells at the strides 4, 7, 8, 14, 16, 28 and 32.
ODD_PROBE = (219, 437)  # Parts of cells at all of them.


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network on the CPU in eval mode, and how to use it.

    features: frames [B,3,H,W] normalised by `mean` and `std`, and a layer -> [B,C,h,w].
    new_memory: for a network that sees more than one frame, what makes the memory of one video;
    `features` takes each frame for the first one of a video then. sees: what it sees, in words.
    every: its features are new every so many frames.
    positions: `features` by how position embeddings are interpolated, where there is a choice.
    strides: pixels per cell of each layer, None where it has to be measured; `default` is one of
    the layers. module: holds the parameters, None where there are none to be moved or counted.
    fixed: the network says itself what it wants of frames, so no protocol may prefer another mean
    or std. colour: what frames are turned into before they are normalised.
    padded: frames must be padded to whole cells; None where that has to be measured.
    files: what was read; card: what the file says of its training.
    """

    kind: str
    architecture: str
    features: Callable[[Tensor, str], Tensor]
    strides: Mapping[str, int | None]
    default: str
    positions: Mapping[str, Callable[[Tensor, str], Tensor]] = field(default_factory=dict)
    new_memory: Callable[[], Memory] | None = None
    sees: str = "single frames"
    every: int = 1
    module: nn.Module | None = None
    mean: Triple = MEAN
    std: Triple = STD
    fixed: bool = False
    colour: Literal["rgb", "lab"] = "rgb"
    memory_format: torch.memory_format = torch.channels_last
    padded: bool | None = None
    files: tuple[Path, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)


@torch.inference_mode()
def encoded(
    network: Callable[[Tensor], Tensor],
    frames: Tensor,
    *,
    name: str,
    precision: Precision,
    module: nn.Module | None = None,
) -> Tensor:
    """Features [B,C,h,w] that a network makes of normalised frames [B,3,H,W]; `module` holds its
    parameters.

    Raises InputError, which names the cause, where it fails or returns anything else.
    """
    batch, _, height, width = frames.shape
    try:
        autocast = torch.autocast(frames.device.type, torch.bfloat16, enabled=precision == "bf16")
        with arithmetic(tf32=precision == "tf32"), autocast:
            features = network(frames)
    except (InputError, MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # networks of others raise whatever they like
        raise InputError(
            f"--encoder {name}: fails on a frame of {height}x{width} pixels ({type(error).__name__}: "
            f"{shortened(error)}); {_hint(module, frames.device)}"
        ) from error

    if (
        not isinstance(features, Tensor)
        or features.ndim != 4
        or len(features) != batch
        or not features.numel()
    ):
        shape = (
            list(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
        )
        raise InputError(
            f"--encoder {name}: returns {shape} for frames [{batch},3,{height},{width}]; "
            f"it must return features [{batch},C,h,w]{_form_hint(features)}"
        )

    return features


@torch.inference_mode()
def measured_stride(
    network: Callable[[Tensor], Tensor],
    device: torch.device,
    *,
    name: str,
    precision: Precision,
    module: nn.Module | None = None,
) -> int:
    """Pixels per cell of a network, by what it makes of one frame of 224x448 pixels.

    Raises InputError where it cannot take such a frame or does not return square whole cells.
    """
    frames = torch.zeros(1, 3, *PROBE, device=device)
    features = encoded(network, frames, name=name, precision=precision, module=module)
    stride, rest = divmod(PROBE[0], features.shape[2])

    if rest or features.shape[3] * stride != PROBE[1]:
        raise InputError(
            f"--encoder {name}: returns {list(features.shape)} for a frame of {PROBE[0]}x{PROBE[1]} pixels; "
            "its cells must be squares of whole pixels"
        )

    return stride


@torch.inference_mode()
def needs_whole_cells(
    network: Callable[[Tensor], Tensor],
    device: torch.device,
    stride: int,
    *,
    name: str,
    precision: Precision,
    module: nn.Module | None = None,
) -> bool:
    """Whether frames must be padded to multiples of `stride`: networks of patches refuse others or
    cut them off.

    A network of convolutions that pad makes ceil(side / stride) cells of any side.
    """
    frames = torch.zeros(1, 3, *ODD_PROBE, device=device)
    try:
        features = encoded(network, frames, name=name, precision=precision, module=module)
    except InputError:
        return True

    return list(features.shape[2:]) != [-(-side // stride) for side in ODD_PROBE]


def _hint(module: nn.Module | None, device: torch.device) -> str:
    """What to do about a network that fails."""
    types = {p.dtype for p in module.parameters() if p.is_floating_point()} if module else set()
    other = ", ".join(sorted(short_name(dtype) for dtype in types - {torch.float32}))
    if other:
        return f"its weights are {other} and frames are float32, so return it as network.float()"

    return f"give a network that takes float32 frames of any size on {device}"


def _form_hint(features: object) -> str:
    """What to do about features of a form that networks often have."""
    if isinstance(features, Tensor):
        tokens = "; of tokens [B,N,C] leave out the class token, then tokens.mT.unflatten(2, (H // patch, W // patch))"
        return tokens if features.ndim == 3 else ""

    if isinstance(features, Mapping):
        return f"; pick one of {', '.join(map(str, list(features)[:5]))}"

    return "; pick one of them" if isinstance(features, list | tuple) else ""


def short_name(dtype: torch.dtype) -> str:
    """float16, not torch.float16."""
    return str(dtype).removeprefix("torch.")


def shortened(error: Exception) -> str:
    """What an error says, short enough for a message of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
