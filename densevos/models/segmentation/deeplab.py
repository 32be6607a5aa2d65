"""The CNN: DeepLabV3 (Chen et al., 2017) on a dilated ResNet."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from densevos.config.image_to_video import NetworkConfig
from densevos.models.resnet import DenseResNet
from densevos.models.segmentation.base import STAGES, FrameNetwork

RATES = {8: (12, 24, 36), 16: (6, 12, 18)}  # dilations of the head, by output stride


class DeepLab(FrameNetwork):
    """DeepLabV3 without auxiliary classifier; torchvision's network (at stride 8) and parameter names.

    ResNet-18 stands beside torchvision's ResNet-50 and -101 for experiments on a CPU.
    """

    head_name, classifier_name = "classifier", "classifier.4"

    def __init__(self, config: NetworkConfig, classes: int):
        width = 64 if config.backbone == "resnet18" else 256
        strides = (4, 8, config.stride, config.stride)
        super().__init__(classes, {name: (width * 2**k, strides[k]) for k, name in enumerate(STAGES)})
        self.backbone = DenseResNet(config.backbone, stride=config.stride, dilated=True)
        self.classifier = DeepLabHead(width * 8, classes, RATES[config.stride])

    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        trunk = self.backbone
        x = torch.relu(trunk.bn1(trunk.conv1(frames)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        features = {}
        for name, layer in zip(STAGES, (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4), strict=True):
            x = features[name] = layer(x)
        return {**features, "global": x}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        return self.classifier(features["global"])
