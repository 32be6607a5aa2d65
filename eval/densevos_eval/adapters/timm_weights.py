"""Weights from a file in a model of timm's: which of them are used, and what frames they were
trained on.
"""

from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD
from densevos.models.foreign import UnreadableError, below, of_network
from densevos_eval.adapters.normalisation import Triple
from densevos_eval.adapters.suggestion import has_query_bias
from densevos_eval.adapters.weights import read_weights, refusal

PREFIXES = ("module.", "backbone.")  # of names that timm converts, and so are not the model's own
UNUSED = (
    "decoder_",
    "masked_embed",
)  # beside the encoder: MAE's decoder, what iBOT puts for masked patches
INCEPTION = (0.5, 0.5, 0.5)
"""Mean and standard deviation of the supervised transformers that timm publishes."""


def options(timm: Any, name: str, file: Path, of: str | None) -> dict[str, Any]:
    """Arguments of timm.create_model that load the weights, strictly: all must be there, and no
    others.

    of: which of several networks, see `weights_in`.

    Raises InputError for a file that cannot be read, and where timm would drop weights of the
    network.
    """
    state = read_weights(file, of)
    expected = wanted(timm, name)
    try:
        state = of_network(state, expected)
    except UnreadableError as error:
        raise refusal(file, error) from error

    for prefix in PREFIXES:
        state = below(state, prefix) or state

    if "storage_tokens" in state:
        state = _without_idle_bias(state, expected, file, name)

    config = timm.get_pretrained_cfg(name)
    classifier = getattr(config, "classifier", None) or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    unused = (*UNUSED, *(f"{head}." for head in heads))
    state = {key: tensor for key, tensor in state.items() if not key.startswith(unused)}
    overlay = {"state_dict": state, "num_classes": 0, "label_offset": 0}

    return {"pretrained": True, "pretrained_cfg_overlay": overlay, **_size(state)}


def wanted(timm: Any, name: str) -> dict[str, Tensor]:
    """Names and shapes of a model's weights; none where it cannot be made without values."""
    try:
        with torch.device("meta"):
            return timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    except Exception:  # what is wrong with the model is told when it is made
        return {}


def normalisation(model: Any, name: str, file: Path | None) -> tuple[Triple, Triple]:
    """Mean and standard deviation of the frames that a model's weights were trained on.

    A plain name, such as vit_base_patch16_224, stands for the supervised weights that timm
    publishes, whose .5 is not what a file under that name was trained with: MAE, CropMAE, DINO,
    iBOT and MoCo v3 take ImageNet's statistics. A name with a tag, such as
    vit_base_patch16_224.augreg_in21k, says which weights are meant, and so do the names of models
    that have other statistics, such as CLIP's.
    """
    mean, std = tuple(model.pretrained_cfg["mean"]), tuple(model.pretrained_cfg["std"])
    supervised = type(model).__name__ == "VisionTransformer" and mean == std == INCEPTION
    if file and supervised and "." not in name and "siglip" not in name:
        return MEAN, STD

    return mean, std


def _size(state: dict[str, Tensor]) -> dict[str, Any]:
    """The image size that position embeddings are of, so that they are interpolated once, from it
    to a frame.
    """
    table, patches = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if table is None or patches is None or table.ndim != 3 or patches.ndim != 4:
        return {}

    return {
        "img_size": isqrt(table.shape[1]) * patches.shape[-1]
    }  # class and register tokens make no row


def _without_idle_bias(
    state: dict[str, Tensor], expected: dict[str, Tensor], file: Path, name: str
) -> dict[str, Tensor]:
    """DINOv3's weights without biases of queries, keys and values, if the model has none and they
    are zero.

    Raises InputError where they are not zero: timm would leave them out.
    """
    if any(key.endswith("attn.q_bias") for key in expected):
        return state
    if has_query_bias(state):
        raise InputError(
            f"{file}: adds biases to queries and values, and {name} has none; load it with timm:{name}_qkvb:{file}"
        )

    return {key: tensor for key, tensor in state.items() if not key.endswith("attn.qkv.bias")}
