"""Swin + UperNet as mmsegmentation keeps it, and Swin's authors with it, under the names of
transformers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from densevos.models.segmentation.inflation import Name, renamed

RENAMED: tuple[tuple[str, Name], ...] = (
    (
        r"^backbone\.norm(\d)\.",
        lambda found: f"backbone.hidden_states_norms.stage{int(found[1]) + 1}.",
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
"""mmsegmentation's own names, stages and ffn among them, and the authors'."""


def is_mmseg(state: Mapping[str, Tensor]) -> bool:
    """Whether these are weights of Swin under such names."""
    return any(name.startswith(("backbone.layers.", "backbone.stages.")) for name in state)


def from_mmseg(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names of transformers, queries, keys and values apart."""
    unfolded = any(name.startswith("backbone.stages.") for name in state)
    found = {}
    for name, tensor in state.items():
        if ".qkv." in name:
            before, after = renamed(name, RENAMED).replace(".w_msa", "").split(".attn.qkv.")
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{before}.attention.{part}_proj.{after}"] = third
        else:
            found[renamed(name, RENAMED)] = (
                _as_sliced(tensor) if unfolded and ".downsample." in name else tensor
            )

    return found


def _as_sliced(weight: Tensor) -> Tensor:
    """Weights of patch merging [...,4C] of four cells unfolded, cells fastest, as of four slices: C
    fastest, row first.

    mmsegmentation merges by nn.Unfold; the authors, transformers and torchvision put slices side by
    side.
    """
    cells = weight.unflatten(-1, (-1, 4))[..., torch.tensor([0, 2, 1, 3])]
    return cells.transpose(-1, -2).flatten(-2)
