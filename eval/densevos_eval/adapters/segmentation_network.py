"""The encoder of a segmentation network of this project: model.safetensors of densevos train
i2v_cnn and its kin.
"""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from densevos.models.segmentation.network import SegmentationNetwork, load_network
from densevos_eval.adapters.backbone import PROBE, Backbone


def from_file(path: Path) -> Backbone:
    """The network's taps as layers, from the image on; the end of the encoder, global, is the
    default.

    Raises InputError as `load_network` does.
    """
    network, card = load_network(path)
    strides = {tap: PROBE[0] // network.tap_shape(tap, PROBE)[1] for tap in network.taps}
    return Backbone(
        kind="densevos segmentation network",
        architecture=card["network"]["architecture"],
        features=partial(_features, network),
        strides=strides,
        default="global",
        module=network,
        memory_format=torch.channels_last
        if network.clip_frames == 1
        else torch.contiguous_format,  # not of 5 axes
        files=(path,),
        card=card,
    )


def _features(network: SegmentationNetwork, frames: Tensor, layer: str) -> Tensor:
    """Normalised frames [B,3,H,W] -> features [B,C,h,w] of a tap.

    A network of clips sees each frame as it sees an image: with empty frames behind it
    (image-to-video paper A, Sec. 3).
    """
    clips = frames[:, None]
    if network.clip_frames > 1:
        empty = clips.new_zeros(len(clips), network.clip_frames - 1, *frames.shape[1:])
        clips = torch.cat([clips, empty], dim=1)

    return network.encode(clips)[layer][:, 0]
