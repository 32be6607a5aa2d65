"""Foreground by saliency, class activation, motion or consensus: the maps that MuG starts from."""

# Shapes: H x W the frame's own size, h x w the size that it is shrunk to.

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
    """How maps are made; all of it is recorded beside them."""

    method: Literal["saliency", "cam", "motion", "consensus"]
    """saliency: manifold ranking. cam: class activation of an ImageNet classifier. motion: what
    moves in another way than the scene. consensus: motion, and votes of what looks alike over the
    whole video. Only cam needs a trained network."""
    short_side: int = SHORT_SIDE
    """Short side in pixels that frames are shrunk to; maps are written at the frames' own size."""
    crf: CrfConfig | None = CrfConfig()  # noqa: RUF009 - frozen
    """Dense CRF that is applied to the shrunk frame; None applies none."""
    uncertain: float = 0.1
    """Pixels whose foreground probability differs from 0.5 by less than this become 255, which
    training ignores.
    """
    network: str = "efficientnet_lite0"
    """Name of the classifier that cam uses."""
    weights: str | None = None
    """Weights of the classifier that cam uses; see densevos.data.foreground.cam.load_classifier."""
    encoder: str | None = None
    """An encoder.safetensors; consensus compares superpixels by its features instead of colours."""

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
    """The foreground of one frame."""

    probability: np.ndarray
    """Foreground probability [h,w] float32 of the shrunk frame."""
    size: tuple[int, int]
    """Size (H, W) of the frame before it was shrunk."""


FRAMES = 32
"""Frames in one task of the methods that look at each frame by itself."""


def windows_of(length: int, config: ForegroundConfig) -> list[range]:
    """Split a video into parts that can be processed in parallel.

    Args:
        length: Number of frames of the video.
        config: How maps are made; the method decides about the size of the parts.

    Returns:
        Successive ranges of frame indices, which together are the video.
    """
    if config.method == "motion" or config.method == "consensus":
        return windows(length, config.method)

    return [range(start, min(start + FRAMES, length)) for start in range(0, length, FRAMES)]


def probabilities(
    reader: FrameReader, window: range, config: ForegroundConfig, wanted: Container[int]
) -> Iterator[tuple[int, Found | InputError]]:
    """Index and foreground of each wanted frame of the window.

    A frame that cannot be read yields its error instead. With motion and consensus, all wanted
    frames of the window then yield that error, since these methods need all of them.

    Args:
        reader: The frames of the video.
        window: Indices of the frames that are processed together.
        config: How maps are made.
        wanted: Indices of the frames that are yielded.
    """
    if config.method == "motion" or config.method == "consensus":
        describe = pixel_features(config.encoder) if config.encoder else None
        # These methods need the whole window, so one unreadable frame is the error of all.
        try:
            pairs = window_foreground(reader, window, config.method, config.short_side, describe)
            for index, (frame, probability) in zip(window, pairs, strict=True):
                if index in wanted:
                    yield index, Found(_refined(probability, frame.image, config), frame.size)
        except InputError as error:
            for index in window:
                if index in wanted:
                    yield index, error

        return

    for index in window:
        # Frames whose map exists are not even read.
        if index not in wanted:
            continue

        try:
            frame = small_frame(reader, index, config.short_side)
        except InputError as error:
            yield index, error
            continue

        yield index, Found(foreground_probability(frame.image, config), frame.size)


def foreground_probability(image: np.ndarray, config: ForegroundConfig) -> np.ndarray:
    """Foreground probability of one image by saliency or cam.

    Args:
        image: [H,W,3] uint8 RGB; it is not shrunk.
        config: How the map is made.

    Returns:
        [H,W] float32 in 0..1.
    """
    if config.method == "saliency":
        # Saliency needs a threshold for each image; class activation is relative to its maximum.
        raw = saliency(image)
        neutral = saliency_threshold(raw)
    else:
        # Imported here: it needs torch, and saliency does not.
        from densevos.data.foreground.cam import class_activation, loaded_classifier

        raw = class_activation(image, loaded_classifier(config.network, config.weights))
        neutral = 0.5

    # The threshold of the method becomes a probability of one half, which the CRF expects.
    probability = np.interp(raw, (0, neutral, 1), (0, 0.5, 1)).astype(np.float32)
    return _refined(probability, image, config)


def _refined(probability: np.ndarray, image: np.ndarray, config: ForegroundConfig) -> np.ndarray:
    return refine(probability, image, config.crf) if config.crf else probability


def saliency_threshold(values: np.ndarray) -> float:
    """Threshold of a saliency map: the larger of twice its mean and Otsu's threshold, at most 0.9.

    The CRF takes this value for a probability of 0.5. The mean alone would mark a quarter to a half
    of an image as foreground.

    Args:
        values: Saliency [H,W] in 0..1.
    """
    return float(np.clip(max(2 * values.mean(), threshold_otsu(values)), 0.001, 0.9))


def to_map(probability: np.ndarray, size: tuple[int, int], uncertain: float) -> np.ndarray:
    """Turn a foreground probability into a map of ids at the frame's own size.

    Args:
        probability: Foreground probability [h,w] float32.
        size: (H, W) of the map.
        uncertain: Pixels closer to 0.5 than this become 255.

    Returns:
        [H,W] uint8: 0 background, 1 foreground, 255 uncertain.
    """
    # Pillow takes sizes as (width, height).
    # The probability is resized and not the map, so that outlines stay smooth.
    resized = np.asarray(Image.fromarray(probability).resize(size[::-1], Image.Resampling.BILINEAR))
    ids = (resized > 0.5).astype(np.uint8)
    # Uncertain pixels come last, as they replace either id.
    ids[np.abs(resized - 0.5) < uncertain] = VOID
    return ids
