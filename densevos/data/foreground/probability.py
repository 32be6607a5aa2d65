"""Foreground from saliency, class activation, motion or consensus: the knowledge that MuG starts
from.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from skimage.filters import threshold_otsu

from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos.data.foreground.crf import CrfConfig, refine
from densevos.data.foreground.features import pixel_features
from densevos.data.foreground.saliency import saliency
from densevos.data.foreground.video import SHORT_SIDE, small_frame, window_foreground, windows
from densevos.data.sources.source import FrameReader


@dataclass(frozen=True, kw_only=True)
class ForegroundConfig:
    """How maps are made: all of it is recorded beside them."""

    method: Literal["saliency", "cam", "motion", "consensus"]
    """saliency: manifold ranking. cam: class activation of an ImageNet classifier. motion: what
    moves in another way than the scene. consensus: motion, and votes of what looks alike over the
    whole video. All but cam learn nothing."""
    short_side: int = SHORT_SIDE
    """Maps are computed on frames shrunk to this short side, pixels, and written at the frames' own
    size.
    """
    crf: CrfConfig | None = CrfConfig()  # noqa: RUF009 - frozen
    """Dense CRF on the shrunk frame; None does without."""
    uncertain: float = 0.1
    """Pixels whose foreground probability is within this of 0.5 become 255, which training leaves
    out.
    """
    network: str = "efficientnet_lite0"
    """Classifier of cam."""
    weights: str | None = None
    """Its weights; see densevos.data.foreground.cam.load_classifier."""
    encoder: str | None = None
    """Votes of consensus are cast between features of this encoder.safetensors instead of
    colours.
    """

    def __post_init__(self) -> None:
        if self.short_side < 32:
            raise InputError(f"--short-side {self.short_side}: must be at least 32")
        if not 0 <= self.uncertain < 0.5:
            raise InputError(f"--uncertain {self.uncertain}: must be at least 0 and below 0.5")
        if self.encoder and self.method != "consensus":
            raise InputError(
                f"--encoder: is for --method consensus, not for {self.method}; leave it out"
            )


@dataclass(frozen=True)
class Found:
    """The foreground of a frame: its probability [h,w] float32 at the shrunk size, and the frame's
    size (H, W).
    """

    probability: np.ndarray
    size: tuple[int, int]


FRAMES = 32
"""Frames that are shared out together where each is looked at by itself."""


def windows_of(length: int, config: ForegroundConfig) -> list[range]:
    """Parts of a video of so many frames that can be worked on side by side."""
    if config.method == "motion" or config.method == "consensus":
        return windows(length, config.method)
    return [range(start, min(start + FRAMES, length)) for start in range(0, length, FRAMES)]


def probabilities(
    reader: FrameReader, window: range, config: ForegroundConfig, wanted: Container[int]
) -> Iterator[tuple[int, Found | InputError]]:
    """Index and foreground of each wanted frame of the window.

    In the place of a frame that cannot be read there is the error; of a method that looks at
    several frames, in the place of all frames of the window.
    """
    if config.method == "motion" or config.method == "consensus":
        describe = pixel_features(config.encoder) if config.encoder else None
        try:
            found = window_foreground(reader, window, config.method, config.short_side, describe)
            for index, (frame, probability) in zip(window, found, strict=True):
                if index in wanted:
                    yield index, Found(_refined(probability, frame.image, config), frame.size)
        except InputError as error:
            yield from ((index, error) for index in window if index in wanted)

        return

    for index in window:
        if index not in wanted:
            continue

        try:
            frame = small_frame(reader, index, config.short_side)
        except InputError as error:
            yield index, error
            continue

        yield index, Found(foreground_probability(frame.image, config), frame.size)


def foreground_probability(image: np.ndarray, config: ForegroundConfig) -> np.ndarray:
    """Foreground probability [H,W] float32 of an RGB image [H,W,3] uint8 by saliency or cam, at its
    own size.
    """
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

    return _refined(np.interp(raw, (0, neutral, 1), (0, 0.5, 1)).astype(np.float32), image, config)


def _refined(probability: np.ndarray, image: np.ndarray, config: ForegroundConfig) -> np.ndarray:
    return refine(probability, image, config.crf) if config.crf else probability


def saliency_threshold(values: np.ndarray) -> float:
    """max(twice the mean, Otsu's threshold) of a saliency map: where salient begins, at most 0.9.

    The CRF takes it for a probability of 0.5; the mean alone marks a quarter to a half of an image
    as foreground.
    """
    return float(np.clip(max(2 * values.mean(), threshold_otsu(values)), 0.001, 0.9))


def to_map(probability: np.ndarray, size: tuple[int, int], uncertain: float) -> np.ndarray:
    """Foreground probability [h,w] -> ids [H,W] uint8 in 0, 1, 255; size: (H, W)."""
    resized = np.asarray(Image.fromarray(probability).resize(size[::-1], Image.Resampling.BILINEAR))
    ids = (resized > 0.5).astype(np.uint8)
    ids[np.abs(resized - 0.5) < uncertain] = VOID
    return ids
