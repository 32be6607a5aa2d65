"""What every segmentation network offers: taps between the image and its classes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError

STAGES = ("stage1", "stage2", "stage3", "stage4")


class SegmentationNetwork(nn.Module, ABC):
    """Frames -> features at named taps -> class logits of every pixel.

    `encode` and `decode` are apart so that only labelled frames need be decoded: slice every
    feature alike. The last tap, global, is the end of the encoder (the same tensor as stage4);
    Swins have a first, spatial, which is the normalised patch embedding. Subclasses give `encode`,
    or are a FrameNetwork, and `decode_frames`.
    """

    clip_frames = 1
    """Frames that the encoder relates to each other; 1: it sees each alone."""
    began = "at random"
    """Which weights it had before training, in words."""
    head_name: str
    """Name of the module that decodes; all others are the encoder."""
    classifier_name: str
    """Name of the layer that has one output a class."""

    def __init__(self, classes: int, taps: Mapping[str, tuple[int, int]]):
        """taps: channels and pixels per cell of each."""
        super().__init__()
        self.classes = classes
        self._taps = {**taps, "global": taps["stage4"]}

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the features, from the image to the end of the encoder."""
        return tuple(self._taps)

    def tap_shape(self, name: str, size: tuple[int, int]) -> tuple[int, int, int]:
        """(C, h, w) of a tap for frames of `size` (H, W); InputError when the network has no such
        tap.
        """
        if name not in self._taps:
            raise InputError(
                f"placement {name}: this network has no such tap; choose one of {', '.join(self._taps)}"
            )

        channels, stride = self._taps[name]
        return channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride)

    @abstractmethod
    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [B,T,3,H,W], ImageNet-normalised -> features [B,T,C,h,w] by tap."""

    def decode(self, features: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Features [B,T,C,h,w] of some or all samples and frames -> logits [B,T,K,H,W] of `size`
        (H, W).

        Raises InputError for a single frame in training: its 1 x 1 pooled map has no variance to
        normalise by.
        """
        samples = features["global"].shape[:2]
        if samples.numel() < 2 and self._learns_statistics():
            raise InputError(
                f"labelled sub-batch of {samples.numel()}: the decoder's BatchNorm needs two frames or more in "
                "training; raise --loop.batch or freeze BatchNorm"
            )

        logits = self.decode_frames(
            {name: feature.flatten(0, 1) for name, feature in features.items()}
        )
        large = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)

        return large.unflatten(0, samples)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,T,3,H,W] -> logits [B,T,K,H,W]."""
        return self.decode(self.encode(frames), (frames.shape[-2], frames.shape[-1]))

    @abstractmethod
    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features [N,C,h,w] by tap -> logits [N,K,h,w], smaller than the frames."""

    def _learns_statistics(self) -> bool:
        """Whether BatchNorm of the decoder normalises by this process's batch."""
        return any(
            isinstance(m, nn.BatchNorm2d) and m.training
            for m in self.get_submodule(self.head_name).modules()
        )


class FrameNetwork(SegmentationNetwork):
    """One whose encoder sees each frame alone."""

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [B,T,3,H,W], ImageNet-normalised -> features [B,T,C,h,w] by tap."""
        features = self.encode_frames(frames.flatten(0, 1))
        return {name: feature.unflatten(0, frames.shape[:2]) for name, feature in features.items()}

    @abstractmethod
    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [N,3,H,W] -> features [N,C,h,w] by tap."""
