"""What a network is: of a file, or of an architecture that is not trained yet."""

from pathlib import Path
from typing import Any

import torch

from densevos.base.errors import InputError
from densevos.config.image_to_video import NetworkConfig
from densevos.models import card, mug
from densevos.models.encoder import load_encoder
from densevos.models.segmentation.cost import gmacs, parameters
from densevos.models.segmentation.network import (
    ARCHITECTURES,
    FORMAT,
    SegmentationNetwork,
    load_network,
    make_network,
)


def describe(model: str, size: int | None = None, classes: int = 11) -> dict[str, Any]:
    """Parameters and card of an encoder, MuG's or a segmentation model: file, run folder, or an
    architecture's name.

    Segmentation networks are told with the multiply-accumulates of one pass over frames of size x
    size pixels: by default those that a model was trained on, 256 for an architecture. Raises
    InputError when `model` is neither.
    """
    if model in ARCHITECTURES:
        with torch.device("meta"):
            network = make_network(NetworkConfig(architecture=model), classes)  # type: ignore[arg-type]  # is a key
        return _cost(network, size or 256)

    path = Path(model)
    if not path.suffix and not path.exists():
        raise InputError(
            f"{model}: no such file, and no architecture; known are {', '.join(ARCHITECTURES)}"
        )

    if path.is_dir():  # A run's.
        path /= (
            "model.safetensors" if (path / "model.safetensors").exists() else "encoder.safetensors"
        )

    format = card.format_of(path, "encoder")
    if format == FORMAT:
        network, facts = load_network(path)
        return {**_cost(network, size or facts["size"]), **facts}

    if format == mug.FORMAT:
        learned, facts = mug.load_model(path)
        return {"parameters": parameters(learned), **facts}

    encoder, facts = load_encoder(path)
    return {"parameters": parameters(encoder), **facts}


def _cost(network: SegmentationNetwork, size: int) -> dict[str, Any]:
    cost = {"frames": network.clip_frames, "size": size, "gmacs": round(gmacs(network, size), 2)}
    return {"parameters": parameters(network), "cost": cost, "taps": network.taps}
