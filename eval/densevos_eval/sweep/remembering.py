"""Encoders that compute the features of a frame once and keep them on disk."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import prod
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from densevos_eval.adapters.encoder import Encoder
from densevos_eval.adapters.stream import Stream


@dataclass(kw_only=True)
class FeatureFile:
    """Features of frames in a file, where they lie in it, and the seconds that computing them took.

    They are on disk because those of one sequence alone fill the memory: 13 MB a frame of 480x854
    with 512 channels.
    """

    file: IO[bytes]
    places: dict[bytes, tuple[int, torch.Size, tuple[int, ...]]] = field(default_factory=dict)
    seconds: float = 0

    def write(self, key: bytes, features: Tensor) -> None:
        """Keep the features of the frame `key`."""
        self.places[key] = self.file.seek(0, 2), features.shape, features.stride()
        self.file.write(features.cpu().numpy().tobytes())

    def read(self, key: bytes, device: torch.device) -> Tensor:
        """What was kept. Sums over channels round differently in another order of memory, so that
        is kept too.
        """
        place, shape, stride = self.places[key]
        self.file.seek(place)
        values = torch.from_numpy(np.fromfile(self.file, np.float32, prod(shape)).reshape(shape))
        return torch.empty_strided(shape, stride, device=device).copy_(values)


@dataclass(frozen=True, kw_only=True)
class Remembering(Encoder):
    """An encoder that computes the features of a frame once."""

    memory: FeatureFile

    @classmethod
    def of(cls, encoder: Encoder, memory: FeatureFile) -> "Remembering":
        """`encoder` with a file."""
        return cls(**_fields(encoder), memory=memory)

    def of_frame(self, frame: np.ndarray) -> Tensor:
        """As Encoder.of_frame, to the last bit."""
        key = hashlib.blake2b(self._content(frame)).digest()
        return self._once(key, super().of_frame, frame)

    def stream(self) -> Stream:
        """As Encoder.stream, to the last bit.

        An encoder that remembers frames gives features that depend on all frames before. They are
        kept under the content of all of these, and a video whose first frame is known is known as a
        whole: it was encoded from its first frame to its last.
        """
        if self.new_memory is None:
            return super().stream()

        plain = Encoder(**_fields(self)).stream()
        history = hashlib.blake2b()
        known = False

        def compute(frame: np.ndarray) -> Tensor:
            nonlocal known
            history.update(self._content(frame))
            key = history.digest()
            was_known, known = known, key in self.memory.places
            assert known or not was_known, (
                "a sequence is encoded whole, or it is broken and left out"
            )

            return self._once(key, plain.compute, frame)

        def see(frame: np.ndarray) -> None:
            history.update(self._content(frame))
            if not known:
                start = time.perf_counter()
                plain.see(frame)
                self.memory.seconds += time.perf_counter() - start

        return Stream(compute, see, every=self.every, between=self.between, unit=self.unit)

    def _content(self, frame: np.ndarray) -> bytes:
        """A frame, and all that decides on how it is encoded and may differ between settings."""
        return frame.tobytes() + repr((frame.shape, self.scale, self.frames, self.unit)).encode()

    def _once(
        self, key: bytes, compute: Callable[[np.ndarray], Tensor], frame: np.ndarray
    ) -> Tensor:
        """The features that are kept under a key, computed where there are none."""
        if key in self.memory.places:
            return self.memory.read(key, self.device)

        start = time.perf_counter()
        features = compute(frame)
        self.memory.write(key, features)
        self.memory.seconds += time.perf_counter() - start

        return features


def _fields(encoder: Encoder) -> dict[str, Any]:
    """What an encoder is made of, whatever its class adds."""
    return {one.name: getattr(encoder, one.name) for one in fields(Encoder)}
