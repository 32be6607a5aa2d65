"""Files of weights whose network is told by the names and shapes in them, whatever stands before
the names.
"""

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

OURS = re.compile(r"(?<![^.])(trunk\.layer1|head\.conv2)\.")
"""What names of weights of our own encoders have, in training or in a file of a run."""


def from_content(content: Any, path: Path, of: str | None = None) -> Backbone | None:
    """The network of the file `path` with this content, as timm:NAME:FILE or torchvision:NAME:FILE
    loads it.

    of: Which of several networks in the file, see `weights_in`.

    Returns None where the network cannot be told.

    Raises InputError where its weights do not fit, and for our own weights without a card: a ResNet
    of ours keeps the resolution in another way, so they would be taken for those of another
    network.
    """
    if any(OURS.search(name) for name in _names(content)):
        raise InputError(
            f"{path}: holds weights of densevos without the card that says their network; give encoder.safetensors of "
            "the run, or write it from a checkpoint with densevos export"
        )

    found = suggested(content, path)
    if found is None:
        return None

    library, name = found.spec.split(":")[:2]
    return LIBRARIES[library](name, str(path), of)


def _names(content: Any) -> list[str]:
    """Names of the weights that a file holds, those of a learner in a training checkpoint of ours
    included.
    """
    learner = content.get("learner") if isinstance(content, dict) else None
    try:
        return list(weights_in(learner or content))
    except UnreadableError:
        return []
