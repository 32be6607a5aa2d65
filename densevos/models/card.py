"""Networks on disk: weights as safetensors, and a card that says what they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from densevos.errors import InputError
from densevos.files import write_json, written_whole


def save(path: Path, weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write weights and card to `path` (.safetensors) and the card beside it (.json), each whole or not at all."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with written_whole(path) as file:
        file.write(safetensors.torch.save(own, metadata={"card": json.dumps(card)}))
    write_json(path.with_suffix(".json"), card)


def load(path: Path, format: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and card of a file of this `format`; `what` names it in errors: encoder, or model.

    Raises InputError when the file is missing, truncated, no safetensors file (a pickle is never opened), or of
    another format.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what} file") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({error}); give the {what}.safetensors of a run"
        ) from error
    try:
        card = json.loads(metadata.get("card", "null"))
    except json.JSONDecodeError:
        card = None
    if not isinstance(card, dict) or card.get("format") != format:
        raise InputError(f"{path}: has no densevos {what} card; give the {what}.safetensors of a run")
    return weights, card
