"""Describe a network: that of a file, or an architecture that is not trained yet."""

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
    """Describe an encoder, a MuG model, or a segmentation model or architecture.

    Args:
        model: A file, a run folder, or the name of an architecture.
        size: Side of the frames for which the cost of a segmentation network is computed, pixels.
            None means the size that the model was trained with, and 256 for an architecture.
        classes: Number of classes of an architecture.

    Returns:
        The number of parameters and the card; for segmentation networks also the
        multiply-accumulates of one pass, and the taps.

    Raises:
        InputError: `model` is neither a file nor an architecture.
    """
    if model in ARCHITECTURES:
        config = NetworkConfig(architecture=model)  # type: ignore[arg-type]  # is a key
        # On the device meta, weights take no memory.
        with torch.device("meta"):
            network = make_network(config, classes)

        # An architecture has no file and so no trained size; 256 pixels serve to compare them.
        return _cost(network, size or 256)

    path = Path(model)
    # A name with neither suffix nor file was meant as an architecture: list those.
    if not path.suffix and not path.exists():
        raise InputError(
            f"{model}: no such file, and no architecture; known are {', '.join(ARCHITECTURES)}"
        )

    if path.is_dir():
        # A run folder holds a model or, if the method trains only an encoder, the encoder.
        trained_model = path / "model.safetensors"
        path = trained_model if trained_model.exists() else path / "encoder.safetensors"

    # The card says which kind of network the file holds.
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
