"""What every adapter returns: a network, its layers and what it expects of a frame."""

# Shapes: B batch, H x W pixels of a frame, C channels of a feature, h x w cells of the feature map.

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

PROBE = (224, 448)
"""[H,W] of a frame with whole cells at the strides 4, 7, 8, 14, 16, 28 and 32."""

ODD_PROBE = (219, 437)
"""[H,W] of a frame that ends inside a cell at each of these strides."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network on the CPU in eval mode, and how to use it.

    Args:
        kind: What the network is or where it comes from, in words.
        architecture: Name of the network.
        features: Frames [B,3,H,W], normalised by `mean` and `std`, and a layer -> [B,C,h,w].
        strides: Pixels per cell of each layer; None if the stride has to be measured.
        default: The layer that is compared if no other is named.
        positions: Functions like `features`, by the way in which they interpolate position
            embeddings; empty if there is no choice.
        new_memory: Makes the memory of one video, for a network that sees more than one frame. Its
            `features` treats each frame as the first one of a video.
        sees: Which frames it sees, in words.
        every: Its features are new only once in so many frames.
        module: Holds the parameters; None if there are none to be moved or counted.
        mean: Mean of R, G and B in 0 to 1.
        std: Standard deviation of R, G and B in 0 to 1.
        fixed: The network itself names its mean and std, so no protocol may prefer others.
        colour: Colours that frames are converted to before they are normalised.
        memory_format: Order in memory in which the network is fastest.
        padded: Whether frames must be padded to whole cells; None if that has to be measured.
        files: Files that were read.
        card: What the file says of its training.
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
    """Call a network and check what it returns.

    Args:
        network: Any network, which may be a user's own.
        frames: Normalised frames [B,3,H,W].
        name: Name of the encoder, for messages.
        precision: Arithmetic of the network.
        module: The module that holds its parameters, for messages.

    Returns:
        Features [B,C,h,w].

    Raises:
        InputError: The network fails or returns anything else. The message names the cause.
    """
    batch, _, height, width = frames.shape
    try:
        # With bf16 the network computes in bfloat16 while its weights stay float32.
        autocast = torch.autocast(frames.device.type, torch.bfloat16, enabled=precision == "bf16")
        with arithmetic(tf32=precision == "tf32"), autocast:
            features = network(frames)
    except (InputError, MemoryError, torch.cuda.OutOfMemoryError):
        # These have a message of their own; the caller knows what to do about a lack of memory.
        raise
    except Exception as error:  # a user's network may raise any type of error
        raise InputError(
            f"--encoder {name}: fails on a frame of {height}x{width} pixels "
            f"({type(error).__name__}: {shortened(error)}); {_hint(module, frames.device)}"
        ) from error

    # A network of one's own may return anything, in spite of its type here.
    is_tensor = isinstance(features, Tensor)
    if is_tensor and features.ndim == 4 and len(features) == batch and features.numel():
        return features

    returned = list(features.shape) if is_tensor else f"a {type(features).__name__}"
    raise InputError(
        f"--encoder {name}: returns {returned} for frames [{batch},3,{height},{width}]; "
        f"it must return features [{batch},C,h,w]{_form_hint(features)}"
    )


@torch.inference_mode()
def measured_stride(
    network: Callable[[Tensor], Tensor],
    device: torch.device,
    *,
    name: str,
    precision: Precision,
    module: nn.Module | None = None,
) -> int:
    """Measure the stride of a network with one frame of 224x448 pixels.

    Args:
        network: Normalised frames [B,3,H,W] -> features [B,C,h,w].
        device: Where it computes.
        name: Name of the encoder, for messages.
        precision: Arithmetic of the network.
        module: The module that holds its parameters, for messages.

    Returns:
        Pixels per cell.

    Raises:
        InputError: The network cannot take such a frame, or its cells are no squares of whole
            pixels.
    """
    # Only the shape of the features counts, so the frame may be black.
    frames = torch.zeros(1, 3, *PROBE, device=device)
    features = encoded(network, frames, name=name, precision=precision, module=module)
    # The height gives the stride, and the width must agree with it.
    stride, remainder = divmod(PROBE[0], features.shape[2])

    if remainder or features.shape[3] * stride != PROBE[1]:
        raise InputError(
            f"--encoder {name}: returns {list(features.shape)} for a frame of "
            f"{PROBE[0]}x{PROBE[1]} pixels; its cells must be squares of whole pixels"
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
    """Whether frames must be padded to multiples of `stride`.

    A network of convolutions that pad makes ceil(side / stride) cells of any side. A network of
    patches fails on a side that is no multiple of its stride, or cuts it off.

    Args:
        network: Normalised frames [B,3,H,W] -> features [B,C,h,w].
        device: Where it computes.
        stride: Pixels per cell.
        name: Name of the encoder, for messages.
        precision: Arithmetic of the network.
        module: The module that holds its parameters, for messages.
    """
    frames = torch.zeros(1, 3, *ODD_PROBE, device=device)
    try:
        features = encoded(network, frames, name=name, precision=precision, module=module)
    except InputError:
        return True

    # Rounded up: a cell that the frame fills only partly is still a cell.
    return list(features.shape[2:]) != [-(-side // stride) for side in ODD_PROBE]


def _hint(module: nn.Module | None, device: torch.device) -> str:
    """What to do about a network that fails."""
    # The usual mistake is a network in half precision, so such weights are named.
    types = set()
    parameters = list(module.parameters()) if module else []
    for parameter in parameters:
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            types.add(short_name(parameter.dtype))

    if types:
        others = ", ".join(sorted(types))
        return f"its weights are {others} and frames are float32, so return it as network.float()"

    return f"give a network that takes float32 frames of any size on {device}"


def _form_hint(features: object) -> str:
    """What to do about features of a form that networks often have."""
    if isinstance(features, Tensor):
        # Features of three axes are most likely the tokens of a transformer.
        if features.ndim != 3:
            return ""

        return (
            "; of tokens [B,N,C] leave out the class token, then "
            "tokens.mT.unflatten(2, (H // patch, W // patch))"
        )

    if isinstance(features, Mapping):
        return f"; pick one of {', '.join(map(str, list(features)[:5]))}"

    if isinstance(features, list | tuple):
        return "; pick one of them"

    return ""


def short_name(dtype: torch.dtype) -> str:
    """The name of a type without its module: float16, not torch.float16."""
    return str(dtype).removeprefix("torch.")


def shortened(error: Exception) -> str:
    """The text of an error, short enough for a message of one line."""
    # Errors of torch may have many lines, and a message has one.
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:160]
