"""The base class of segmentation networks, with taps between the image and its classes."""

# Shapes: B samples, T frames, N = B * T frames of all samples, K classes, C channels, H x W pixels,
# h x w cells of a feature map.

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError

STAGES = ("stage1", "stage2", "stage3", "stage4")


class SegmentationNetwork(nn.Module, ABC):
    """Frames -> features at named taps -> class logits of every pixel.

    `encode` and `decode` are separate methods, so that only labelled frames need to be decoded:
    select the same frames of every feature. The last tap, `global`, is the end of the encoder, the
    same tensor as `stage4`. Swins also have a first tap, `spatial`, the normalised patch embedding.
    Subclasses implement `decode_frames`, and `encode` unless they are a FrameNetwork.
    """

    clip_frames = 1
    """Number of frames that the encoder relates to each other; 1 if it sees each frame alone."""
    initial_weights = "at random"
    """The weights that training starts from, in words."""
    head_name: str
    """Name of the module that decodes; all other modules are the encoder."""
    classifier_name: str
    """Name of the layer with one output per class."""

    def __init__(self, classes: int, taps: Mapping[str, tuple[int, int]]):
        """Keep the facts of the network.

        Args:
            classes: K, the number of classes.
            taps: Channels and stride (pixels per cell) of each tap.
        """
        super().__init__()
        self.classes = classes
        # `global` is another name of the same tensor and costs nothing.
        self._taps = {**taps, "global": taps["stage4"]}

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the features, from the image to the end of the encoder."""
        return tuple(self._taps)

    def tap_shape(self, name: str, size: tuple[int, int]) -> tuple[int, int, int]:
        """The shape of a tap.

        Args:
            name: Name of the tap.
            size: (H, W) of the frames.

        Returns:
            (C, h, w).

        Raises:
            InputError: The network has no such tap.
        """
        if name not in self._taps:
            raise InputError(
                f"placement {name}: this network has no such tap; "
                f"choose one of {', '.join(self._taps)}"
            )

        # Sides that the stride does not divide are rounded up.
        channels, stride = self._taps[name]
        return channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride)

    @abstractmethod
    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [B,T,3,H,W], ImageNet-normalised -> features [B,T,C,h,w] by tap."""

    def decode(self, features: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Decode the features of some or all samples and frames.

        Args:
            features: [B,T,C,h,w] by tap.
            size: (H, W) of the logits.

        Returns:
            Logits [B,T,K,H,W].

        Raises:
            InputError: There is a single frame in training.
        """
        samples = features["global"].shape[:2]
        # The decoder pools a map to 1 x 1: a single frame has no variance to normalise by.
        if samples.numel() < 2 and self._learns_statistics():
            raise InputError(
                f"labelled sub-batch of {samples.numel()}: the decoder's BatchNorm needs two "
                "frames or more in training; raise --loop.batch or freeze BatchNorm"
            )

        # [B,T,C,h,w] -> [N,C,h,w]: decoders are 2D and see each frame alone.
        flat = {name: feature.flatten(0, 1) for name, feature in features.items()}
        logits = self.decode_frames(flat)
        # [N,K,h,w] -> [N,K,H,W]: logits are enlarged, not classes, for smooth outlines.
        large = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)

        unflat: Tensor = large.unflatten(0, samples)
        return unflat

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,T,3,H,W] -> logits [B,T,K,H,W]."""
        return self.decode(self.encode(frames), (frames.shape[-2], frames.shape[-1]))

    @abstractmethod
    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        """Features [N,C,h,w] by tap -> logits [N,K,h,w], which are smaller than the frames."""

    def _learns_statistics(self) -> bool:
        """Whether BatchNorm in the decoder normalises by this process's batch."""
        for module in self.get_submodule(self.head_name).modules():
            if isinstance(module, nn.BatchNorm2d) and module.training:
                return True

        return False


class FrameNetwork(SegmentationNetwork):
    """A segmentation network whose encoder sees each frame alone."""

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [B,T,3,H,W], ImageNet-normalised -> features [B,T,C,h,w] by tap."""
        features = self.encode_frames(frames.flatten(0, 1))
        return {name: feature.unflatten(0, frames.shape[:2]) for name, feature in features.items()}

    @abstractmethod
    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames [N,3,H,W] -> features [N,C,h,w] by tap."""
