"""Sources of object-level foreground: a trained MuG model, and methods without training."""

# Shapes: H x W pixels of a frame, h x w cells of a feature map, C channels.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from torch.nn import functional as F

from densevos.data.foreground.video import (
    SHORT_SIDE,
    Describe,
    VideoMethod,
    window_foreground,
    windows,
)
from densevos.inference.segmenter import Segmenter
from densevos_eval.adapters.encoder import Encoder, load_encoder
from densevos_eval.base.devices import chosen
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.model import load_segmenter, model_file
from densevos_eval.zeroshot.options import ZeroShotOptions

SCALES = (1.0, 1.5)
"""Default sizes to segment at and to average over, as multiples of the size of training."""


class ForegroundSource(Protocol):
    """Predicts the foreground of every frame of a sequence."""

    @property
    def inputs(self) -> Sequence[Path]:
        """Files that are read besides those of the sequences."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Settings that the probabilities depend on, besides the sequence."""
        ...

    def title(self) -> str:
        """Name of the source, for people: a file, or a method."""
        ...

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        """Yield the probability of foreground [H,W] float32 of each frame, at the frame's size."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """Foreground that a trained MuG network finds.

    segmenter: the network at work.
    model: the file that `segmenter` was loaded from.
    """

    segmenter: Segmenter
    model: Path

    @property
    def inputs(self) -> list[Path]:
        return [self.model]

    def settings(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "weights": fingerprint([self.model]),
            "size": self.segmenter.size,
            "references": self.segmenter.segments,
            "flip": self.segmenter.flip,
            "scales": list(self.segmenter.scales),
            "device": self.segmenter.device.type,
        }

    def title(self) -> str:
        return str(self.model)

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        return self.segmenter(sequence.frames())


@dataclass(frozen=True, kw_only=True)
class WithoutTraining:
    """Foreground by motion, or by consensus over the whole video, without training.

    method: motion or consensus.
    encoder: consensus compares parts of frames by its features; None: by their colours.
    """

    method: VideoMethod
    encoder: Encoder | None = None

    @property
    def inputs(self) -> list[Path]:
        source = self.encoder.source if self.encoder else None
        return [Path(file) for file in source.files] if source else []

    def settings(self) -> dict[str, Any]:
        return {
            "foreground": self.method,
            "short_side": SHORT_SIDE,
            # None stands for votes by colours, and keeps the keys of all records equal.
            "encoder": self.encoder.name if self.encoder else None,
            "layer": self.encoder.layer if self.encoder else None,
            "weights": fingerprint(self.inputs) if self.inputs else None,
        }

    def title(self) -> str:
        votes = f", votes by features of {self.encoder.name}" if self.encoder else ""
        return f"{self.method}, without training{votes}"

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        reader = sequence.frames()
        # A long video is processed in windows, so that memory stays bounded.
        for window in windows(len(reader), self.method):
            describe = _pixel_features(self.encoder) if self.encoder else None
            maps = window_foreground(reader, window, self.method, SHORT_SIDE, describe)
            for frame, probability in maps:
                # Maps are computed on small frames; OpenCV takes width before height.
                yield cv2.resize(probability, frame.size[::-1], interpolation=cv2.INTER_LINEAR)


def load_foreground(options: ZeroShotOptions, device: str) -> ForegroundSource:
    """Load the source of foreground that the options name.

    Args:
        options: options of the command.
        device: where networks run.

    Raises:
        InputError: if the model or the encoder cannot be used.
    """
    if options.model is not None:
        model = model_file(options.model)
        # Default sizes are filled in here, so that a given --scales is recognised without a model.
        views: dict[str, Any] = {"flip": options.flip, "scales": options.scales or SCALES}
        segmenter = load_segmenter(model, chosen(device), options.references, **views)
        return TrainedModel(segmenter=segmenter, model=model)

    method: VideoMethod = "motion" if options.chosen_method == "motion" else "consensus"
    encoder = load_encoder(options.encoder, device=device) if options.encoder else None
    return WithoutTraining(method=method, encoder=encoder)


def _pixel_features(encoder: Encoder) -> Describe:
    """A function that computes features [H,W,C] float32 for each pixel of a frame [H,W,3]."""

    def describe(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        cells = encoder.of_frame(frame)[None]  # [1,C,h,w]; interpolate needs the batch axis.
        sizes = encoder.sizes((height, width))

        # If the frame was padded to whole cells, the cells cover more than the frame: the features
        # are enlarged to all that they cover, and cut to the frame.
        covered = [
            round(side * covered_side / encoded_side)
            for side, covered_side, encoded_side in zip(
                (height, width), sizes.covered, sizes.encoded, strict=True
            )
        ]
        large = F.interpolate(cells, covered, mode="bilinear", align_corners=False)
        of_frame = large[0, :, :height, :width]

        # [C,H,W] -> [H,W,C].
        return np.asarray(of_frame.permute(1, 2, 0).cpu())

    return describe
