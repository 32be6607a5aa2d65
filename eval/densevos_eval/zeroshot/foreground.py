"""Where object-level foreground comes from: the contract, and the source that is a trained MuG model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from densevos.inference.segmenter import Segmenter
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.sequences.sequence import Sequence as VideoSequence


class ForegroundSource(Protocol):
    """Tells foreground from background in every frame of a sequence.

    inputs: Files that are read besides those of the sequences.
    """

    @property
    def inputs(self) -> Sequence[Path]: ...

    def settings(self) -> Mapping[str, Any]:
        """What the maps depend on besides the sequence."""
        ...

    def title(self) -> str:
        """What made the masks, for people: a file, or the name of a method."""
        ...

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        """Probability of foreground [H,W] float32 of each frame, in order, at its own size."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """Foreground that a trained MuG network finds; `model` is the file that `segmenter` is from."""

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
