"""Weights of the 2D Swin + UperNet as weights of the 3D one."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Name = str | Callable[[re.Match[str]], str]

RENAMED: tuple[tuple[str, Name], ...] = (
    (r"^backbone\.swin\.embeddings\.patch_embeddings\.projection", "backbone.patch_embed.proj"),
    (r"^backbone\.swin\.embeddings\.norm", "backbone.patch_embed.norm"),
    (
        r"^backbone\.swin\.encoder\.layers\.(\d)\.blocks",
        lambda found: f"backbone.features.{2 * int(found[1])}",
    ),
    (
        r"^backbone\.swin\.encoder\.layers\.(\d)\.downsample",
        lambda found: f"backbone.features.{2 * int(found[1]) + 1}",
    ),
    (r"^backbone\.hidden_states_norms", "norms"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"attention\.q_proj", "attn.qkv"),
    (r"attention\.o_proj", "attn.proj"),
    (r"attention\.relative_position_bias\.", "attn."),
    (r"mlp\.fc1", "mlp.0"),
    (r"mlp\.fc2", "mlp.3"),
)


def inflate(state: Mapping[str, Tensor], clip_frames: int) -> dict[str, Tensor]:
    """SwinUperNet's weights -> VideoSwin's: a clip that stands still gets the 2D network's features
    in every frame.

    The patch embedding sees one frame as before, and the attention's position bias is the same for
    all distances in time; softmax over T equal copies of the window's tokens then averages what it
    averaged in 2D. It holds where the sides of a stage (in tokens) exceed the window: at 256 x 256
    pixels for a window of 7.
    """
    inflated = {}
    for name, tensor in state.items():
        if ".q_proj." in name:
            tensor = torch.cat(
                [
                    state[name.replace(".q_proj.", part)]
                    for part in (".q_proj.", ".k_proj.", ".v_proj.")
                ]
            )
        elif ".k_proj." in name or ".v_proj." in name:
            continue
        elif name.endswith("projection.weight"):
            tensor = tensor.unsqueeze(2)
        elif name.endswith("relative_position_bias_table"):
            tensor = tensor.repeat(2 * clip_frames - 1, 1)

        inflated[renamed(name, RENAMED)] = tensor

    return inflated


def renamed(name: str, rules: tuple[tuple[str, Name], ...]) -> str:
    """`name` after every substitution, in order."""
    for pattern, other in rules:
        name = re.sub(pattern, other, name)
    return name
