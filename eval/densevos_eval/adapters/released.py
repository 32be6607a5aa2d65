"""Released snapshots of VFS, UVC and TimeCycle, which are ResNets.

* VFS (Xu and Wang, ICCV 2021): {"state_dict": backbone.*, img_head.*}, with mmcv's names. Its
  evaluation gives the four stages the strides 1, 2, 1, 1 and compares the third, here res3.
* UVC (Li et al., NeurIPS 2019): {"state_dict": gray_encoder.*, rgb_encoder.*, decoder.*}. The
  network sees the lightness of Lab in all three channels. Its evaluation compares res4, by products
  of features that are not normalised.
* TimeCycle (Wang, Jabri, Efros, CVPR 2019): {"state_dict": module.encoderVideo.*, ...}, with
  kernels of one frame. Its evaluation compares res3. layer4 is never used, so it has not learned.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from densevos.models.foreign import below
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.stages import released_resnet
from densevos_eval.adapters.weights import resnet_weights


def vfs(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a VFS snapshot: res2, res3 (default) and res4."""
    state = resnet_weights(below(weights, "backbone."), path)
    return released_resnet(state, path, name="VFS", default="res3")


def uvc(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a UVC snapshot: res2, res3 and res4 (default)."""
    state = resnet_weights(below(weights, "gray_encoder."), path)
    return released_resnet(state, path, name="UVC", default="res4", colour="lab")


def timecycle(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a TimeCycle snapshot: res2 and res3 (default)."""
    state = resnet_weights(below(weights, "encoderVideo."), path)
    return released_resnet(state, path, name="TimeCycle", default="res3", layers=("res2", "res3"))
