"""The encoder of a segmentation network of this project.

It comes from model.safetensors of densevos train i2v_cnn and similar methods.
"""

# Shapes: B batch, T frames of a clip, C channels of a feature, h x w cells of the feature map.

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from densevos.models.segmentation.network import SegmentationNetwork, load_network
from densevos_eval.adapters.backbone import PROBE, Backbone


def from_file(path: Path) -> Backbone:
    """Load the network with its taps as layers; global, the end of the encoder, is the default.

    Raises:
        InputError: `load_network` fails.
    """
    network, card = load_network(path)
    strides = {tap: PROBE[0] // network.tap_shape(tap, PROBE)[1] for tap in network.taps}

    # torch has no channels_last for tensors of 5 axes, which networks of clips take.
    memory_format = torch.channels_last
    if network.clip_frames > 1:
        memory_format = torch.contiguous_format

    return Backbone(
        kind="densevos segmentation network",
        architecture=card["network"]["architecture"],
        features=partial(_features, network),
        strides=strides,
        default="global",
        module=network,
        memory_format=memory_format,
        files=(path,),
        card=card,
    )


def _features(network: SegmentationNetwork, frames: Tensor, layer: str) -> Tensor:
    """Normalised frames [B,3,H,W] -> features [B,C,h,w] of a tap.

    A network of clips sees each frame like an image: followed by empty frames (image-to-video paper
    A, Sec. 3).
    """
    # [B,1,3,H,W], then [B,T,3,H,W] for a network of clips.
    clips = frames[:, None]
    if network.clip_frames > 1:
        empty = clips.new_zeros(len(clips), network.clip_frames - 1, *frames.shape[1:])
        clips = torch.cat([clips, empty], dim=1)

    # [B,T,C,h,w] -> [B,C,h,w]: the first place in time holds the only real frame.
    return network.encode(clips)[layer][:, 0]
