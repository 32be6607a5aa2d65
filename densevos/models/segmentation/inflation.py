"""Turn weights of the 2D Swin + UperNet into weights of the 3D one."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Name = str | Callable[[re.Match[str]], str]
"""The replacement of a pattern, as `re.sub` takes it."""

# torchvision numbers stages and patch mergings together: stages are even, mergings odd.
RENAMED: tuple[tuple[str, Name], ...] = (
    (r"^backbone\.swin\.embeddings\.patch_embeddings\.projection", "backbone.patch_embed.proj"),
    (r"^backbone\.swin\.embeddings\.norm", "backbone.patch_embed.norm"),
    (
        r"^backbone\.swin\.encoder\.layers\.(\d)\.blocks",
        lambda match: f"backbone.features.{2 * int(match[1])}",
    ),
    (
        r"^backbone\.swin\.encoder\.layers\.(\d)\.downsample",
        lambda match: f"backbone.features.{2 * int(match[1]) + 1}",
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
    """Inflate SwinUperNet's weights to VideoSwin's.

    In every frame of a clip of equal frames, the 3D network then has the features of the 2D
    network. The patch embedding still sees one frame, and the attention's position bias is the same
    for all distances in time. Softmax over T equal copies of the window's tokens therefore averages
    the same values as in 2D. This holds if the sides of each stage (in tokens) exceed the window,
    as they do at 256 x 256 pixels for a window of 7.

    Args:
        state: Weights of the 2D network, under transformers' names.
        clip_frames: T, the number of frames of a window.

    Returns:
        Weights of the 3D network, under its own names.
    """
    inflated = {}
    for name, tensor in state.items():
        if ".q_proj." in name:
            # torchvision keeps queries, keys and values in one layer.
            key, value = name.replace(".q_proj.", ".k_proj."), name.replace(".q_proj.", ".v_proj.")
            tensor = torch.cat([tensor, state[key], state[value]])
        elif ".k_proj." in name or ".v_proj." in name:
            continue
        elif name.endswith("projection.weight"):
            tensor = tensor.unsqueeze(2)  # a kernel of one frame
        elif name.endswith("relative_position_bias_table"):
            # The table has a block for each distance in time, from 1 - T to T - 1.
            tensor = tensor.repeat(2 * clip_frames - 1, 1)

        inflated[renamed(name, RENAMED)] = tensor

    return inflated


def renamed(name: str, rules: tuple[tuple[str, Name], ...]) -> str:
    """Apply substitutions to a name, one after the other."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)

    return name
