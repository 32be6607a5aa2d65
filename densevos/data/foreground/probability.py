"""A frame's foreground, from saliency or class activation: the knowledge that MuG starts from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from skimage.filters import threshold_otsu

from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos.data.foreground.crf import CrfConfig, refine
from densevos.data.foreground.saliency import saliency


@dataclass(frozen=True, kw_only=True)
class ForegroundConfig:
    """How maps are made: all of it is recorded beside them."""

    method: Literal["saliency", "cam"]
    """saliency: manifold ranking, no learning. cam: class activation of an ImageNet classifier."""
    short_side: int = 240
    """Maps are computed on frames shrunk to this short side, pixels, and written at the frames' own size."""
    crf: CrfConfig | None = CrfConfig()  # noqa: RUF009 - frozen
    """Dense CRF on the shrunk frame; None does without."""
    uncertain: float = 0.1
    """Pixels whose foreground probability is within this of 0.5 become 255, which training leaves out."""
    network: str = "efficientnet_lite0"
    """Classifier of cam."""
    weights: str | None = None
    """Its weights; see densevos.data.foreground.cam.load_classifier."""

    def __post_init__(self) -> None:
        if self.short_side < 32:
            raise InputError(f"--short-side {self.short_side}: must be at least 32")
        if not 0 <= self.uncertain < 0.5:
            raise InputError(f"--uncertain {self.uncertain}: must be at least 0 and below 0.5")


def foreground_probability(image: np.ndarray, config: ForegroundConfig) -> np.ndarray:
    """Foreground probability [H,W] float32 of an RGB image [H,W,3] uint8, computed at its own size."""
    if config.method == "saliency":
        raw = saliency(image)
        neutral = saliency_threshold(raw)
    else:
        from densevos.data.foreground.cam import (  # torch, which saliency does without
            class_activation,
            loaded_classifier,
        )

        raw = class_activation(image, loaded_classifier(config.network, config.weights))
        neutral = 0.5
    probability = np.interp(raw, (0, neutral, 1), (0, 0.5, 1)).astype(np.float32)
    return refine(probability, image, config.crf) if config.crf else probability


def saliency_threshold(values: np.ndarray) -> float:
    """max(twice the mean, Otsu's threshold) of a saliency map: where salient begins, at most 0.9.

    The CRF takes it for a probability of 0.5; the mean alone marks a quarter to a half of an image as foreground.
    """
    return float(np.clip(max(2 * values.mean(), threshold_otsu(values)), 0.001, 0.9))


def to_map(probability: np.ndarray, size: tuple[int, int], uncertain: float) -> np.ndarray:
    """Foreground probability [h,w] -> ids [H,W] uint8 in 0, 1, 255; size: (H, W)."""
    resized = np.asarray(Image.fromarray(probability).resize(size[::-1], Image.Resampling.BILINEAR))
    ids = (resized > 0.5).astype(np.uint8)
    ids[np.abs(resized - 0.5) < uncertain] = VOID
    return ids
