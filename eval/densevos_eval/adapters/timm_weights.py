"""Load weights from a file into a model of timm, and find the statistics of their frames."""

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

PREFIXES = ("module.", "backbone.")
"""Prefixes of names that timm converts, so they may remain when names are compared with its own."""

UNUSED = ("decoder_", "masked_embed")
"""Starts of names that are no part of an encoder: MAE's decoder, iBOT's token of masked patches."""

INCEPTION = (0.5, 0.5, 0.5)
"""Mean and standard deviation of the supervised transformers that timm publishes."""


def options(timm: Any, name: str, file: Path, of: str | None) -> dict[str, Any]:
    """Arguments of timm.create_model that load weights strictly: all of them, and no others.

    Args:
        timm: The module.
        name: Name of the model.
        file: The file.
        of: Which of several networks in it to take, see `weights_in`.

    Raises:
        InputError: The file cannot be read, or timm would drop weights of the network.
    """
    state = read_weights(file, of)
    expected = wanted(timm, name)
    try:
        state = of_network(state, expected)
    except UnreadableError as error:
        raise refusal(file, error) from error

    # A prefix may be before all names of the network, which `below` takes away.
    for prefix in PREFIXES:
        state = below(state, prefix) or state

    if "storage_tokens" in state:
        state = _without_idle_bias(state, expected, file, name)

    # The classifier and parts beside the encoder are left out.
    config = timm.get_pretrained_cfg(name)
    classifier = getattr(config, "classifier", None) or ()
    heads = [classifier] if isinstance(classifier, str) else classifier  # one name or several
    unused = UNUSED + tuple(f"{head}." for head in heads)
    state = {key: tensor for key, tensor in state.items() if not key.startswith(unused)}
    overlay = {"state_dict": state, "num_classes": 0, "label_offset": 0}

    return {"pretrained": True, "pretrained_cfg_overlay": overlay, **_size(state)}


def wanted(timm: Any, name: str) -> dict[str, Tensor]:
    """Names and shapes of a model's weights; empty if timm cannot make it on the meta device."""
    try:
        # Weights on the meta device have names and shapes, but take no memory.
        with torch.device("meta"):
            weights: dict[str, Tensor] = timm.create_model(
                name, pretrained=False, num_classes=0
            ).state_dict()
            return weights
    except Exception:  # the same error is reported when the model is created
        return {}


def normalisation(model: Any, name: str, file: Path | None) -> tuple[Triple, Triple]:
    """Mean and standard deviation of the frames that a model's weights were trained on.

    For a plain name, such as vit_base_patch16_224, timm has the statistics of its own supervised
    weights, .5. A file that is loaded under that name was usually trained with ImageNet's: MAE,
    CropMAE, DINO, iBOT and MoCo v3 use these. A name with a tag, such as
    vit_base_patch16_224.augreg_in21k, means certain weights, and so do names of models with other
    statistics, such as CLIP's. These keep timm's statistics.

    Args:
        model: The model.
        name: Its name.
        file: The file of its weights; None if they are timm's own.
    """
    mean, std = tuple(model.pretrained_cfg["mean"]), tuple(model.pretrained_cfg["std"])
    # SigLIP is left out, as its own files were trained with these statistics too.
    supervised = type(model).__name__ == "VisionTransformer" and mean == std == INCEPTION
    if file and supervised and "." not in name and "siglip" not in name:
        return MEAN, STD

    return mean, std


def _size(state: dict[str, Tensor]) -> dict[str, Any]:
    """The image size of the position embeddings, as an argument of timm.create_model.

    With it they are interpolated only once, from that size to a frame.
    """
    table, patches = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if table is None or patches is None or table.ndim != 3 or patches.ndim != 4:
        return {}

    # The root is rounded down, so class and register tokens do not count: they fill no row.
    side = isqrt(table.shape[1])
    return {"img_size": side * patches.shape[-1]}


def _without_idle_bias(
    state: dict[str, Tensor], expected: dict[str, Tensor], file: Path, name: str
) -> dict[str, Tensor]:
    """DINOv3's weights without biases of queries, keys and values, if the model has none.

    Raises InputError if they are not zero, because timm would leave them out.
    """
    if any(key.endswith("attn.q_bias") for key in expected):
        return state
    if has_query_bias(state):
        raise InputError(
            f"{file}: adds biases to queries and values, and {name} has none; "
            f"load it with timm:{name}_qkvb:{file}"
        )

    return {key: tensor for key, tensor in state.items() if not key.endswith("attn.qkv.bias")}
