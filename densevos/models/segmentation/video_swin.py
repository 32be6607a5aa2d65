"""The 3D Transformer: torchvision's Video Swin (Liu et al., 2022), and UperNet for each frame."""

# Shapes: B clips, T frames, C channels, H x W pixels, h x w tokens.

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.video.swin_transformer import SwinTransformer3d

from densevos.config.image_to_video import NetworkConfig
from densevos.models.segmentation.base import STAGES, SegmentationNetwork
from densevos.models.segmentation.swin_upernet import make_upernet, swin_taps


class VideoSwin(SegmentationNetwork):
    """Patches of one frame, attention over windows of all frames, and the 2D network's decoder.

    The encoder is torchvision's. The norms before the decoder are those of transformers' Swin
    backbone, so that weights of the 2D network can be inflated
    (densevos.models.segmentation.inflation). If a side of a stage has fewer tokens than the window,
    torchvision shrinks the window. If this matters, choose a window that divides the sides.
    """

    head_name, classifier_name = "decode_head", "decode_head.classifier"
    decode_head: Any

    def __init__(self, config: NetworkConfig, classes: int):
        taps = swin_taps(config)
        super().__init__(classes, taps)
        self.clip_frames = config.clip_frames
        self.checkpointing = config.checkpointing
        self.backbone = SwinTransformer3d(
            patch_size=[1, 4, 4],
            embed_dim=config.embed_dim,
            depths=list(config.depths),
            num_heads=list(config.heads),
            window_size=[config.clip_frames, config.window, config.window],
            stochastic_depth_prob=config.drop_path,
        )
        # These layers classify clips. Unused parameters would never get a gradient.
        del self.backbone.norm, self.backbone.head
        self.norms = nn.ModuleDict({name: nn.LayerNorm(taps[name][0]) for name in STAGES})
        self.decode_head = make_upernet(config, classes).decode_head

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Clips [B,T,3,H,W], ImageNet-normalised -> features [B,T,C,h,w] by tap."""
        # In all of the encoder, x is [B,T,h,w,C].
        x = self.backbone.patch_embed(frames.transpose(1, 2))
        features = {"spatial": _channels_first(x)}

        # Stages and patch mergings take turns; there is no merging before the first stage.
        stages = self.backbone.features[0::2]
        merges = [nn.Identity(), *self.backbone.features[1::2]]

        for name, merge, stage in zip(STAGES, merges, stages, strict=True):
            x = merge(x)
            for block in stage:
                x = self._run(block, x)
            features[name] = _channels_first(self.norms[name](x))

        return {**features, "global": features["stage4"]}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.decode_head([features[name] for name in STAGES])
        return logits

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        """A block's output; with checkpointing, the backward pass computes the block again."""
        output: Tensor
        if self.checkpointing and self.training and torch.is_grad_enabled():
            output = checkpoint(block, x, use_reentrant=False)
        else:
            output = block(x)

        return output


def _channels_first(x: Tensor) -> Tensor:
    """[B,T,h,w,C] -> [B,T,C,h,w]."""
    return x.permute(0, 1, 4, 2, 3)
