"""Turn Swin + UperNet weights of mmsegmentation or of Swin's authors into those of transformers."""

from collections.abc import Mapping

import torch
from torch import Tensor

from densevos.models.segmentation.inflation import Name, renamed

RENAMED: tuple[tuple[str, Name], ...] = (
    (
        r"^backbone\.norm(\d)\.",
        lambda match: f"backbone.hidden_states_norms.stage{int(match[1]) + 1}.",
    ),
    (
        r"^backbone\.patch_embed\.proj(ection)?\.",
        "backbone.swin.embeddings.patch_embeddings.projection.",
    ),
    (r"^backbone\.patch_embed\.norm\.", "backbone.swin.embeddings.norm."),
    (r"^backbone\.(layers|stages)\.", "backbone.swin.encoder.layers."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.(w_msa\.)?proj\.", ".attention.o_proj."),
    (r"\.attn\.(w_msa\.)?(relative_position_bias_table)", r".attention.relative_position_bias.\2"),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    (r"^decode_head\.conv_seg\.", "decode_head.classifier."),
    (r"\.bn\.", ".batch_norm."),
)
"""Patterns of mmsegmentation's names (such as stages and ffn) and of the authors'."""


def is_mmseg(state: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of Swin under names of mmsegmentation or of the authors."""
    return any(name.startswith(("backbone.layers.", "backbone.stages.")) for name in state)


def from_mmseg(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights for transformers, and split the layer of queries, keys and values in three.

    Args:
        state: Weights of mmsegmentation or of Swin's authors.

    Returns:
        Weights under the names of transformers.
    """
    # Only mmsegmentation's own code names stages, and only it merges patches by nn.Unfold.
    unfolded = any(name.startswith("backbone.stages.") for name in state)
    weights = {}
    for name, tensor in state.items():
        if ".qkv." in name:
            before, after = renamed(name, RENAMED).replace(".w_msa", "").split(".attn.qkv.")
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                weights[f"{before}.attention.{part}_proj.{after}"] = third
            continue

        if unfolded and ".downsample." in name:
            tensor = _as_sliced(tensor)

        weights[renamed(name, RENAMED)] = tensor

    return weights


def _as_sliced(weight: Tensor) -> Tensor:
    """Reorder weights [...,4C] of patch merging from the order of nn.Unfold to that of slices."""
    # nn.Unfold counts the four cells fastest. The authors, transformers and torchvision put four
    # slices side by side: channels are fastest, and rows come before columns.
    cells = weight.unflatten(-1, (-1, 4))[..., torch.tensor([0, 2, 1, 3])]
    sliced: Tensor = cells.transpose(-1, -2).flatten(-2)
    return sliced
