"""Networks on disk: weights as safetensors, and a card that describes them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, write_json


def save(path: Path, weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write weights with their card to a .safetensors file, and the card beside it (.json).

    Both writes are atomic: a file is complete or does not exist.

    Args:
        path: The .safetensors file.
        weights: Tensors by parameter name, on any device.
        card: Plain values that JSON can hold.
    """
    # safetensors takes only contiguous tensors.
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # The card is in the file itself, so that it cannot get lost, and beside it for people to read.
    with atomic_write(path) as file:
        file.write(safetensors.torch.save(own, metadata={"card": json.dumps(card)}))

    write_json(path.with_suffix(".json"), card)


def copy(
    source: Path, out: Path, *, half: bool = False, about: Mapping[str, Any] | None = None
) -> None:
    """Copy weights and card of an encoder or a model, at half the size or with more facts.

    Args:
        source: The .safetensors file to copy.
        out: The .safetensors file to write; its card goes beside it.
        half: Write weights as float16. Biases and BatchNorm's statistics, which are few, stay
            float32. A network that is loaded from the copy is float32 again.
        about: Facts for the card, by their titles, such as the sources of the data and their
            licences. A file with such facts is for others, so the card then names the training
            data without its folder, which only this machine has.

    Raises:
        InputError: `source` is missing, no complete safetensors file, or has no card.
    """
    with _opened(source, "encoder") as file:
        card = _card(file)
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    # Weights without a card cannot be loaded again, so a copy of them would be useless.
    if not card:
        raise InputError(f"{source}: has no densevos card; give the encoder.safetensors of a run")

    if half:
        # Biases and statistics have one axis.
        for name, tensor in weights.items():
            if tensor.ndim > 1:
                weights[name] = tensor.half()

    if about:
        card = {**_without_folder(card), "about": dict(about)}

    save(out, weights, card)


def _without_folder(card: dict[str, Any]) -> dict[str, Any]:
    """A card that names the data of its training without the folders above them."""
    # New mappings, so that the caller's card does not change.
    training = dict(card.get("training", {}))
    config = dict(training.get("config", {}))
    if "data" in config:
        training["config"] = {**config, "data": Path(config["data"]).name}

    return {**card, "training": training}


def load(path: Path, format: str, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and card of a file.

    Args:
        path: The .safetensors file.
        format: The format that its card must name.
        what: `encoder` or `model`, for messages.

    Raises:
        InputError: The file is missing, truncated, no safetensors file (a pickle is never opened),
            or of another format.
    """
    with _opened(path, what) as file:
        # The card is checked before the weights are read: it tells densevos's files from others.
        card = _card(file)
        if card.get("format") != format:
            raise InputError(
                f"{path}: has no densevos {what} card; give the {what}.safetensors of a run"
            )

        return {name: file.get_tensor(name) for name in file.keys()}, card  # noqa: SIM118


def config_of(path: Path, what: str) -> Mapping[str, Any] | None:
    """The `encoder` part of a file's card; None without one.

    Args:
        path: The .safetensors file.
        what: `encoder` or `model`, for messages.

    Raises:
        InputError: The file is missing, or no complete safetensors file.
    """
    with _opened(path, what) as file:
        config = _card(file).get("encoder")

    # A file of other programs may have an entry of this name that is no mapping.
    return config if isinstance(config, dict) else None


def read(path: Path, what: str) -> Mapping[str, Any]:
    """A file's card; empty without one.

    Args:
        path: The .safetensors file.
        what: `encoder` or `model`, for messages.

    Raises:
        InputError: The file is missing, or no complete safetensors file.
    """
    with _opened(path, what) as file:
        return _card(file)


def format_of(path: Path, what: str) -> str | None:
    """The format that a file's card names; None without a card.

    Args:
        path: The .safetensors file.
        what: `encoder` or `model`, for messages.

    Raises:
        InputError: The file is missing, or no complete safetensors file.
    """
    with _opened(path, what) as file:
        return _card(file).get("format")


def initial_weights(facts: Mapping[str, Any]) -> str:
    """The weights that training started from, in words; `unknown` if they were not recorded.

    Args:
        facts: The entry `training` of a card, or the extra state of a checkpoint. In files of
            earlier versions the field is called `began`.
    """
    weights: str = facts.get("initial_weights", facts.get("began", "unknown"))
    return weights


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:
    """An open safetensors file; tensors are read one by one, on request."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what} file") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a complete safetensors file ({error}); "
            f"give the {what}.safetensors of a run"
        ) from error


def _card(file: Any) -> dict[str, Any]:
    """The card in a file's metadata, where it is a string; empty without a readable one."""
    try:
        # Files of other programs may have no metadata, or an entry `card` of their own.
        card = json.loads((file.metadata() or {}).get("card", "null"))
    except json.JSONDecodeError:
        card = None

    return card if isinstance(card, dict) else {}
