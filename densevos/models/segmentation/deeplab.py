"""The CNN: DeepLabV3 (Chen et al., 2017) on a dilated ResNet or EfficientNet-lite0."""

from collections.abc import Mapping

from torch import Tensor
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from densevos.config.image_to_video import NetworkConfig
from densevos.models.efficientnet import LITE0, EfficientNetLite0
from densevos.models.resnet import DenseResNet
from densevos.models.segmentation.base import STAGES, FrameNetwork

RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
"""Dilations of the head, by output stride."""


class DeepLab(FrameNetwork):
    """DeepLabV3 without auxiliary classifier, with torchvision's parameter names.

    At stride 8 it is torchvision's network. Besides torchvision's ResNet-50 and -101 the backbone
    can be a ResNet-18 or an EfficientNet-lite0, for experiments on a CPU.
    """

    head_name, classifier_name = "classifier", "classifier.4"

    def __init__(self, config: NetworkConfig, classes: int):
        backbone = _backbone(config)
        channels, strides = backbone.channels.values(), (4, 8, config.stride, config.stride)
        taps = zip(channels, strides, strict=True)
        super().__init__(classes, dict(zip(STAGES, taps, strict=True)))
        self.backbone = backbone
        self.classifier = DeepLabHead(backbone.channels["res4"], classes, RATES[config.stride])

    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        # The stages of a backbone, res1 to res4, are stage1 to stage4 here.
        features = dict(zip(STAGES, self.backbone.stages(frames).values(), strict=True))
        return {**features, "global": features["stage4"]}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.classifier(features["global"])
        return logits


def _backbone(config: NetworkConfig) -> DenseResNet | EfficientNetLite0:
    if config.backbone == LITE0:
        return EfficientNetLite0(config.stride)
    return DenseResNet(config.backbone, stride=config.stride, dilated=True)
