"""Encoders of this project: from encoder.safetensors, from a model of a run, or untrained."""

from pathlib import Path
from typing import Any

import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.card import format_of
from densevos.models.encoder import DenseEncoder, load_encoder
from densevos.models.mug import FORMAT as MUG
from densevos.models.mug import load_model
from densevos.models.resnet import ARCHITECTURES
from densevos.models.segmentation.network import FORMAT as SEGMENTATION
from densevos_eval.adapters import segmentation_network
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.choices import DEFAULT
from densevos_eval.adapters.recognised import from_content
from densevos_eval.adapters.weights import read_snapshot

SHIPPED = Path(__file__).parents[1] / "assets" / "default.safetensors"
"""The encoder that comes with the package."""


def from_file(path: Path, of: str | None = None) -> Backbone:
    """An encoder of this project, or of another project if the file has no densevos card.

    Networks of this project are normalised by ImageNet's statistics. A network of another project
    is recognised by the names of its weights.

    Args:
        path: An encoder.safetensors, or a model.safetensors of MuG or segmentation.
        of: Which of several networks in a file of another project to take, see `weights_in`.

    Raises:
        InputError: The file cannot be read, or its network is not recognised.
    """
    # The card in the file names its format. Only files of this project have one.
    format = format_of(path, "encoder")
    if format is None:
        foreign = from_content(read_snapshot(path), path, of)
        if foreign is not None:
            return foreign

        raise InputError(
            f"{path}: has no densevos encoder card; give the encoder.safetensors of a run, or name "
            "the network that the weights belong to: timm:NAME:FILE, torchvision:NAME:FILE"
        )

    if format == SEGMENTATION:
        return segmentation_network.from_file(path)
    if format == MUG:
        # The readouts of a MuG model are not used.
        network, card = load_model(path)
        return dense(
            network.encoder, kind="encoder of a densevos MuG model", files=(path,), card=card
        )

    encoder, card = load_encoder(path)
    return dense(encoder, kind="densevos encoder", files=(path,), card=card)


def shipped() -> Backbone:
    """The encoder that comes with the package.

    Raises:
        InputError: This installation lacks its file.
    """
    if not SHIPPED.exists():
        raise InputError(
            f"--encoder {DEFAULT}: this installation lacks {SHIPPED}; "
            "install densevos again, or name another encoder"
        )

    return from_file(SHIPPED)


def untrained(name: str, seed: str | None) -> Backbone:
    """random:NAME[:SEED]: our encoder with random weights.

    Its layers are res4 (default), res3 and key, the output of the head.

    Args:
        name: Architecture, such as resnet18.
        seed: Seed of the weights; 0 when left out.

    Raises:
        InputError: The architecture is unknown, or the seed is no number.
    """
    if name not in ARCHITECTURES or not (seed or "0").isdecimal():
        choices = ", ".join(f"random:{architecture}" for architecture in ARCHITECTURES)
        spec = f"random:{name}" + (f":{seed}" if seed else "")
        raise InputError(
            f"--encoder {spec}: unknown; choose {choices}, with :SEED behind it if wanted"
        )

    # The caller's random numbers must not change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        encoder = DenseEncoder(EncoderConfig(architecture=name))  # type: ignore[arg-type]

    return dense(encoder, kind="untrained")


def dense(
    encoder: DenseEncoder,
    *,
    kind: str,
    files: tuple[Path, ...] = (),
    card: dict[str, Any] | None = None,
) -> Backbone:
    """One of our networks as a backbone.

    The first of its layers is the default, which is res4 for DUL.

    Args:
        encoder: The network.
        kind: What it is, in words.
        files: Files that it comes from.
        card: What its file says of its training.
    """
    config = encoder.config

    # Strides of a plain ResNet. Our networks keep the resolution once they reach their stride. The
    # other layers, such as key, are computed from the last one.
    plain = {"res2": 8, "res3": 16, "res4": 32}
    strides = {}
    for layer in encoder.layers:
        strides[layer] = min(config.stride, plain.get(layer, plain[config.last]))

    return Backbone(
        kind=kind,
        architecture=config.architecture,
        features=encoder.features,  # type: ignore[arg-type]
        strides=strides,
        default=encoder.layers[0],
        module=encoder,
        padded=False,
        files=files,
        card=card or {},
    )
