"""Recognise the network of a weights file by the names and shapes of its weights."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.models.foreign import UnreadableError, weights_in
from densevos_eval.adapters import timm_model, torchvision_resnet
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.suggestion import suggested

LIBRARIES: dict[str, Callable[[str, str | None, str | None], Backbone]] = {
    "timm": timm_model.load,
    "torchvision": torchvision_resnet.load,
}
"""What loads a network of a library from a name, a file, and the name of a network in the file."""

OURS = re.compile(r"(?<![^.])(trunk\.layer1|head\.conv2)\.")
"""A part of the names of our own encoders' weights, in a checkpoint or in a file of a run."""


def from_content(content: Any, path: Path, of: str | None = None) -> Backbone | None:
    """The network of a file, as timm:NAME:FILE or torchvision:NAME:FILE would load it.

    Args:
        content: What the file holds.
        path: The file.
        of: Which of several networks in the file to take, see `weights_in`.

    Returns:
        The network, or None if it is not recognised.

    Raises:
        InputError: The weights do not fit, or they are of densevos but have no card.
    """
    # A ResNet of ours keeps the resolution in another way, so its weights would be mistaken for
    # those of another network.
    if any(OURS.search(name) for name in _names(content)):
        raise InputError(
            f"{path}: holds weights of densevos without the card that says their network; "
            "give encoder.safetensors of the run, "
            "or write it from a checkpoint with densevos export"
        )

    suggestion = suggested(content, path)
    if suggestion is None:
        return None

    # The suggestion is LIBRARY:NAME:FILE.
    library, name = suggestion.spec.split(":")[:2]
    return LIBRARIES[library](name, str(path), of)


def _names(content: Any) -> list[str]:
    """Names of the weights in a file, which may be a training checkpoint of ours."""
    # A checkpoint holds the weights in an entry of its own.
    if isinstance(content, dict):
        content = content.get("learner") or content

    # A file without weights has no names. Whoever called reports it.
    try:
        return list(weights_in(content))
    except UnreadableError:
        return []
