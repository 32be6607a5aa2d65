"""Segmentation networks from their configuration, and the file that they are kept in."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.config import from_dict
from densevos.config.image_to_video import NetworkConfig
from densevos.models import card
from densevos.models.encoder import MEAN, STD
from densevos.models.segmentation.base import SegmentationNetwork
from densevos.models.segmentation.deeplab import DeepLab
from densevos.models.segmentation.swin_upernet import SwinUperNet
from densevos.models.segmentation.video_swin import VideoSwin
from densevos.models.segmentation.weights import load_initial

__all__ = ["FORMAT", "SegmentationNetwork", "load_network", "make_network", "save_network"]

FORMAT = "densevos-segmentation-1"
ARCHITECTURES: dict[str, Callable[[NetworkConfig, int], SegmentationNetwork]] = {
    "deeplabv3": DeepLab,
    "swin_upernet": SwinUperNet,
    "video_swin": VideoSwin,
}


def make_network(
    config: NetworkConfig, classes: int, names: Sequence[str] | None = None
) -> SegmentationNetwork:
    """A network of `classes` classes that starts from the configuration's weights, or from random
    ones.

    Warns when a part of it starts from random weights all the same, such as the last layer for
    another number of classes, or all of it, if the weights cannot be downloaded. Its `began` says
    so too.

    Args:
        config: The architecture and the initial weights.
        classes: Number of classes.
        names: Their names, with which a model that was trained here must agree; None to take any.

    Raises:
        InputError: The weights cannot be read, or are of another network or of other classes.
    """
    network = ARCHITECTURES[config.architecture](config, classes)
    if config.weights is not None:
        note = load_initial(network, config, names)
        network.began = note or config.weights
        if note:
            warnings.warn(f"--network.weights {note}", stacklevel=2)

    return network


def save_network(
    path: Path,
    network: SegmentationNetwork,
    *,
    config: NetworkConfig,
    classes: Sequence[str],
    size: int,
    training: Mapping[str, Any],
) -> None:
    """Write weights to `path` (.safetensors) and the card beside it (.json), each whole or not at
    all.

    classes: their names, the index is the id. size: side of the frames that it was trained on,
    pixels.
    """
    facts = {
        "format": FORMAT,
        "network": dataclasses.asdict(config),
        "classes": list(classes),
        "size": size,
        "normalisation": {"mean": MEAN, "std": STD, "input": "RGB in [0, 1]"},
        "training": dict(training),
    }
    card.save(path, network.state_dict(), facts)


def load_network(path: Path) -> tuple[SegmentationNetwork, dict[str, Any]]:
    """Read a network (in eval mode) and its card; see densevos.models.card.load for the errors."""
    weights, facts = card.load(path, FORMAT, "model")
    try:
        config = from_dict(NetworkConfig, facts["network"])
        network = make_network(dataclasses.replace(config, weights=None), len(facts["classes"]))
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: weights do not fit the network that its card names; train it again"
        ) from error

    return network.eval(), facts
