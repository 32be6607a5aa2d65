"""Which network a file of weights is of, told by names and shapes: what to give to --encoder
instead of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from densevos.models.foreign import UnreadableError, main_prefix, weights_in
from densevos_eval.adapters.weights import torchvision_names

WIDTHS = {
    192: "tiny",
    384: "small",
    768: "base",
    1024: "large",
    1280: "huge",
    1536: "giant",
    4096: "7b",
}
"""Sizes of vision transformers by the channels of their tokens."""

DEPTHS = {"tiny": 12, "small": 12, "base": 12, "large": 24, "huge": 32, "giant": 40, "7b": 40}

RESNETS = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
}
"""ResNets by the blocks of layer3, and whether blocks are bottlenecks."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What a file holds, in words, and the encoder that loads it."""

    what: str
    spec: str


def suggested(content: Any, path: Path) -> Suggestion | None:
    """The encoder that loads the file `path` with this content; None where it cannot be told."""
    try:
        weights = weights_in(content)
    except UnreadableError:
        return None

    transformer = _below_mark(weights, "patch_embed.proj.weight")
    if transformer:
        name = _transformer(transformer)
        return (
            Suggestion(what="a vision transformer", spec=f"timm:{name}:{path}")
            if name and _offered(name)
            else None
        )

    resnet = _below_mark(torchvision_names(weights), "layer1.0.bn1.weight")
    blocks = {match[1] for name in resnet if (match := re.match(r"layer3\.(\d+)\.", name))}
    name = RESNETS.get((len(blocks), "layer1.0.conv3.weight" in resnet))
    return Suggestion(what="a ResNet", spec=f"torchvision:{name}:{path}") if name else None


def _below_mark(weights: Mapping[str, Tensor], mark: str) -> dict[str, Tensor]:
    """The network that has a weight of the name `mark`, whatever stands before its names; empty if
    there is none.
    """
    prefixes = [
        name.removesuffix(mark) for name in weights if name == mark or name.endswith(f".{mark}")
    ]
    if not prefixes:
        return {}

    try:
        prefix = main_prefix(prefixes)
    except UnreadableError:
        prefix = prefixes[0]  # of two networks that learn together, one is as the other

    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def _transformer(weights: Mapping[str, Tensor]) -> str | None:
    """The name that timm has for a vision transformer, if it is one of those that are usual."""
    patches = weights["patch_embed.proj.weight"]
    if patches.ndim != 4:
        return None

    size, side = WIDTHS.get(len(patches)), patches.shape[-1]
    # Training with DINOv2 keeps blocks in chunks, blocks.CHUNK.N; each block has one norm1.
    depth = sum(bool(re.fullmatch(r"blocks\.[\d.]+\.norm1\.weight", name)) for name in weights)
    if size is None or depth != DEPTHS[size]:
        return None

    scaled = any(name.endswith("ls1.gamma") for name in weights)
    gated = any(name.endswith("mlp.w3.weight") for name in weights)
    if "storage_tokens" in weights or "rope_embed.periods" in weights:
        plus = "_plus" if gated and size in ("small", "huge") else ""
        biased = "_qkvb" if has_query_bias(weights) else ""
        return f"vit_{size}{plus}_patch{side}_dinov3{biased}"

    if scaled:
        registers = "reg4_" if "register_tokens" in weights or "reg_token" in weights else ""
        return f"vit_{size}_patch{side}_{registers}dinov2"

    return f"vit_{size}_patch{side}_224"


def _offered(name: str) -> bool:
    """Whether timm has a model of this name; taken for granted where timm is not installed."""
    try:
        import timm
    except ImportError:
        return True

    return timm.is_model(name)


def has_query_bias(weights: Mapping[str, Tensor]) -> bool:
    """Whether a DINOv3 network adds anything to queries and values; keys have no bias there."""
    biases = [tensor for name, tensor in weights.items() if name.endswith("attn.qkv.bias")]
    return any(bool(part.any()) for bias in biases for part in bias.chunk(3)[::2])
