"""Suggest what to give to --encoder for a weights file, by the names and shapes of its weights."""

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
"""Sizes of vision transformers by the number of channels of their tokens."""

DEPTHS = {"tiny": 12, "small": 12, "base": 12, "large": 24, "huge": 32, "giant": 40, "7b": 40}
"""Number of blocks of vision transformers by their size."""

RESNETS = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
}
"""ResNets by the number of blocks of layer3, and whether blocks are bottlenecks."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What a file holds.

    Args:
        what: The kind of network, in words.
        spec: The --encoder that loads it.
    """

    what: str
    spec: str


def suggested(content: Any, path: Path) -> Suggestion | None:
    """Suggest the encoder that loads a file.

    Args:
        content: What the file holds.
        path: The file.

    Returns:
        A suggestion, or None if the network is not recognised.
    """
    try:
        weights = weights_in(content)
    except UnreadableError:
        return None

    # The patch embedding marks a vision transformer, a BatchNorm of layer1 a ResNet.
    transformer = _below_mark(weights, "patch_embed.proj.weight")
    if transformer:
        name = _transformer(transformer)
        if name is None or not _offered(name):
            return None

        return Suggestion(what="a vision transformer", spec=f"timm:{name}:{path}")

    name = _resnet(_below_mark(torchvision_names(weights), "layer1.0.bn1.weight"))
    if name is None:
        return None

    return Suggestion(what="a ResNet", spec=f"torchvision:{name}:{path}")


def _below_mark(weights: Mapping[str, Tensor], mark: str) -> dict[str, Tensor]:
    """The network that has a weight called `mark`, without the prefix of its names; or empty."""
    prefixes = []
    for name in weights:
        if name == mark or name.endswith(f".{mark}"):
            prefixes.append(name.removesuffix(mark))

    if not prefixes:
        return {}

    try:
        prefix = main_prefix(prefixes)
    except UnreadableError:
        # Two networks that learn together have the same architecture, so either will do.
        prefix = prefixes[0]

    network = {}
    for name, tensor in weights.items():
        if name.startswith(prefix):
            network[name.removeprefix(prefix)] = tensor

    return network


def _resnet(weights: Mapping[str, Tensor]) -> str | None:
    """The name that torchvision has for a ResNet, if it is a usual one."""
    blocks = set()
    for name in weights:
        match = re.match(r"layer3\.(\d+)\.", name)
        if match:
            blocks.add(match[1])

    has_bottlenecks = "layer1.0.conv3.weight" in weights
    return RESNETS.get((len(blocks), has_bottlenecks))


def _transformer(weights: Mapping[str, Tensor]) -> str | None:
    """The name that timm has for a vision transformer, if it is a usual one."""
    # The patch embedding is a convolution [C,3,side,side]; C is also the number of channels.
    patches = weights["patch_embed.proj.weight"]
    if patches.ndim != 4:
        return None

    size, side = WIDTHS.get(len(patches)), patches.shape[-1]

    # Training with DINOv2 keeps blocks in chunks, blocks.CHUNK.N; each block has one norm1.
    depth = sum(bool(re.fullmatch(r"blocks\.[\d.]+\.norm1\.weight", name)) for name in weights)
    if size is None or depth != DEPTHS[size]:
        return None

    # DINOv2 scales the output of its blocks. Some networks of DINOv3 have gated MLPs.
    scaled = any(name.endswith("ls1.gamma") for name in weights)
    gated = any(name.endswith("mlp.w3.weight") for name in weights)

    # DINOv3 has register tokens under this name, or rotary positions.
    if "storage_tokens" in weights or "rope_embed.periods" in weights:
        plus = "_plus" if gated and size in ("small", "huge") else ""
        biased = "_qkvb" if has_query_bias(weights) else ""
        return f"vit_{size}{plus}_patch{side}_dinov3{biased}"

    if scaled:
        # DINOv2's own files call them register_tokens, those of timm reg_token.
        has_registers = "register_tokens" in weights or "reg_token" in weights
        registers = "reg4_" if has_registers else ""
        return f"vit_{size}_patch{side}_{registers}dinov2"

    # 224 is part of timm's name; the network takes frames of any size all the same.
    return f"vit_{size}_patch{side}_224"


def _offered(name: str) -> bool:
    """Whether timm has a model of this name; yes if timm is not installed."""
    try:
        import timm
    except ImportError:
        return True

    return timm.is_model(name)


def has_query_bias(weights: Mapping[str, Tensor]) -> bool:
    """Whether a DINOv3 network has biases of queries or values that are not zero.

    Args:
        weights: Weights with timm's names.
    """
    parts: list[Tensor] = []
    for name, tensor in weights.items():
        if name.endswith("attn.qkv.bias"):
            # The thirds are queries, keys and values. Keys have no bias in DINOv3.
            parts.extend(tensor.chunk(3)[::2])

    return any(bool(part.any()) for part in parts)
