"""Make segmentation networks from their configuration, and write and read their files."""

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
# The names that --network.architecture takes.
ARCHITECTURES: dict[str, Callable[[NetworkConfig, int], SegmentationNetwork]] = {
    "deeplabv3": DeepLab,
    "swin_upernet": SwinUperNet,
    "video_swin": VideoSwin,
}


def make_network(
    config: NetworkConfig, classes: int, names: Sequence[str] | None = None
) -> SegmentationNetwork:
    """Make a network with the configuration's initial weights, or with random ones.

    A warning reports parts that still start from random weights, such as the last layer for another
    number of classes. If the weights cannot be downloaded, this is the complete network. The
    attribute `initial_weights` records it too.

    Args:
        config: The architecture and the initial weights.
        classes: Number of classes.
        names: Names of the classes, which must be those of a model that was trained here; None to
            accept any.

    Raises:
        InputError: The weights cannot be read, or are of another network or of other classes.
    """
    network = ARCHITECTURES[config.architecture](config, classes)
    # Without weights the attribute keeps the class's value, "at random".
    if config.weights is not None:
        note = load_initial(network, config, names)
        network.initial_weights = note or config.weights
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
    """Write a network and its card; both writes are atomic.

    Args:
        path: The .safetensors file; the card goes beside it (.json).
        network: The network.
        config: Its configuration.
        classes: Names of the classes; the index is the id.
        size: Side of the frames that it was trained with, pixels.
        training: How it was trained, plain values for the card.
    """
    # A card must hold all that `load_network` and users of the frames need to know.
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
    """Read a network (in eval mode) and its card.

    Raises:
        InputError: See `densevos.models.card.load`; or the weights do not fit the card.
    """
    weights, facts = card.load(path, FORMAT, "model")
    try:
        config = from_dict(NetworkConfig, facts["network"])
        # The file holds all weights, so the initial ones must not be read or downloaded again.
        network = make_network(dataclasses.replace(config, weights=None), len(facts["classes"]))
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: weights do not fit the network that its card names; train it again"
        ) from error

    return network.eval(), facts
