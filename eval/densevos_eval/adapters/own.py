"""Encoders of this project: encoder.safetensors with its card, those within whole models, and
untrained ones.
"""

from pathlib import Path

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


def from_file(path: Path, of: str | None = None) -> Backbone:
    """Our encoder.safetensors, or the encoder of a MuG or segmentation network's model.safetensors.

    Their normalisation is ImageNet's. A file of another project, without our card, is taken for
    what its names tell.

    of: Which of several networks in such a file, see `weights_in`.

    Raises InputError as the functions that load them do.
    """
    format = format_of(path, "encoder")
    if format is None:
        foreign = from_content(read_snapshot(path), path, of)
        if foreign is not None:
            return foreign

        raise InputError(
            f"{path}: has no densevos encoder card; give the encoder.safetensors of a run, or name the network that "
            "the weights belong to: timm:NAME:FILE, torchvision:NAME:FILE"
        )

    if format == SEGMENTATION:
        return segmentation_network.from_file(path)
    if format == MUG:
        network, card = load_model(path)
        return dense(
            network.encoder, kind="encoder of a densevos MuG model", files=(path,), card=card
        )

    encoder, card = load_encoder(path)
    return dense(encoder, kind="densevos encoder", files=(path,), card=card)


def shipped() -> Backbone:
    """The encoder that comes with the package. Raises InputError where this installation lacks its
    file.
    """
    if not SHIPPED.exists():
        raise InputError(
            f"--encoder {DEFAULT}: this installation lacks {SHIPPED}; install densevos again, or name another encoder"
        )

    return from_file(SHIPPED)


def untrained(name: str, seed: str | None) -> Backbone:
    """random:NAME[:SEED]: our encoder before it learns; layers res4 (default), res3 and key, the
    head's output.
    """
    if name not in ARCHITECTURES or not (seed or "0").isdecimal():
        known = ", ".join(f"random:{known}" for known in ARCHITECTURES)
        spec = f"random:{name}" + (f":{seed}" if seed else "")
        raise InputError(
            f"--encoder {spec}: unknown; choose {known}, with :SEED behind it if wanted"
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        encoder = DenseEncoder(EncoderConfig(architecture=name))  # type: ignore[arg-type]

    return dense(encoder, kind="untrained")


def dense(
    encoder: DenseEncoder, *, kind: str, files: tuple[Path, ...] = (), card: dict | None = None
) -> Backbone:
    """One of our networks as a backbone; the first of its layers is the default (res4, of one that
    learned as DUL).
    """
    config = encoder.config
    own = {"res2": 8, "res3": 16, "res4": 32}
    return Backbone(
        kind=kind,
        architecture=config.architecture,
        features=encoder.features,  # type: ignore[arg-type]
        strides={
            layer: min(config.stride, own.get(layer, own[config.last])) for layer in encoder.layers
        },
        default=encoder.layers[0],
        module=encoder,
        padded=False,
        files=files,
        card=card or {},
    )
