"""What every adapter hands over: a network, the layers it offers and what it expects of a frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD

Triple = tuple[float, float, float]

PROBE = (224, 448)  # Whole cells at the strides 4, 7, 8, 14, 16, 28 and 32.


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network on the CPU in eval mode, and how to use it.

    features: frames [B,3,H,W] normalised by `mean` and `std`, and a layer -> [B,C,h,w].
    strides: pixels per cell of each layer, None where it has to be measured; `default` is one of the layers.
    module: holds the parameters, None where there are none to be moved or counted.
    files: what was read; card: what the file says of its training.
    """

    kind: str
    architecture: str
    features: Callable[[Tensor, str], Tensor]
    strides: Mapping[str, int | None]
    default: str
    module: nn.Module | None = None
    mean: Triple = MEAN
    std: Triple = STD
    memory_format: torch.memory_format = torch.channels_last
    files: tuple[Path, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)


@torch.inference_mode()
def measured_stride(network: Callable[[Tensor], Tensor], name: str, device: torch.device) -> int:
    """Pixels per cell of a network, by what it makes of one frame of 224x448 pixels.

    Raises InputError where it cannot take such a frame or does not return square whole cells.
    """
    try:
        features = network(torch.zeros(1, 3, *PROBE, device=device))
    except Exception as error:
        raise InputError(
            f"--encoder {name}: fails on a frame of {PROBE[0]}x{PROBE[1]} pixels ({shortened(error)}); "
            "give a network that takes frames of any size"
        ) from error
    shape = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
    if not isinstance(features, Tensor) or features.ndim != 4 or len(features) != 1:
        raise InputError(f"--encoder {name}: returns {shape} for frames [1,3,H,W]; it must return features [1,C,h,w]")
    stride, rest = divmod(PROBE[0], features.shape[2])
    if rest or features.shape[3] * stride != PROBE[1]:
        raise InputError(
            f"--encoder {name}: returns {shape} for a frame of {PROBE[0]}x{PROBE[1]} pixels; "
            "its cells must be squares of whole pixels"
        )
    return stride


def shortened(error: Exception) -> str:
    """What an error says, short enough for a message of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
