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
    """Features of frames in a file.

    They are on disk because the features of a single sequence may fill the memory: a frame of
    480x854 pixels with 512 channels takes 13 MB.

    file: Where the features are.
    places: Key of a frame -> offset in the file, shape and strides of its features.
    seconds: Time that computing the features took.
    """

    file: IO[bytes]
    places: dict[bytes, tuple[int, torch.Size, tuple[int, ...]]] = field(default_factory=dict)
    seconds: float = 0

    def write(self, key: bytes, features: Tensor) -> None:
        """Keep the float32 features of a frame under a key."""
        # Features are appended, and the key leads to their offset.
        end = self.file.seek(0, 2)
        self.places[key] = end, features.shape, features.stride()
        self.file.write(features.cpu().numpy().tobytes())

    def read(self, key: bytes, device: torch.device) -> Tensor:
        """The features kept under a key, on a device and with their order in memory.

        The order matters: sums over channels round differently in another one.
        """
        place, shape, stride = self.places[key]
        self.file.seek(place)
        values = torch.from_numpy(np.fromfile(self.file, np.float32, prod(shape)).reshape(shape))
        return torch.empty_strided(shape, stride, device=device).copy_(values)


@dataclass(frozen=True, kw_only=True)
class Remembering(Encoder):
    """An encoder that computes the features of a frame once, and then reads them from a file."""

    memory: FeatureFile

    @classmethod
    def of(cls, encoder: Encoder, memory: FeatureFile) -> "Remembering":
        """The same encoder, with a file for its features."""
        return cls(**_fields(encoder), memory=memory)

    def of_frame(self, frame: np.ndarray) -> Tensor:
        """The features of a frame, equal to those of `Encoder.of_frame` to the last bit."""
        # The key is a hash of the content, so equal frames share their features.
        key = hashlib.blake2b(self._content(frame)).digest()
        return self._once(key, super().of_frame, frame)

    def stream(self) -> Stream:
        """A stream with the features of `Encoder.stream`, equal to the last bit.

        If the encoder has a memory, features depend on all frames before. Their key is therefore a
        hash of all frames so far. A video is always encoded from its first frame to its last, so if
        the features of the first frame are in the file, those of all other frames are too.
        """
        if self.new_memory is None:
            return super().stream()

        # The plain encoder's stream has the memory; this one only decides when to ask it.
        plain = Encoder(**_fields(self)).stream()
        history = hashlib.blake2b()
        is_stored = False

        def compute(frame: np.ndarray) -> Tensor:
            nonlocal is_stored
            history.update(self._content(frame))
            key = history.digest()
            was_stored, is_stored = is_stored, key in self.memory.places
            # The encoder's memory has not seen the frames that were read from the file.
            assert is_stored or not was_stored, (
                "a sequence is encoded completely, or it is broken and left out"
            )

            return self._once(key, plain.compute, frame)

        def see(frame: np.ndarray) -> None:
            history.update(self._content(frame))
            if not is_stored:
                # The time that the encoder needs to see a frame belongs to the features.
                start = time.perf_counter()
                plain.see(frame)
                self.memory.seconds += time.perf_counter() - start

        return Stream(compute, see, every=self.every, between=self.between, unit=self.unit)

    def _content(self, frame: np.ndarray) -> bytes:
        """The bytes of a frame, and everything that changes its features between settings."""
        settings = (frame.shape, self.scale, self.frames, self.unit)
        return frame.tobytes() + repr(settings).encode()

    def _once(
        self, key: bytes, compute: Callable[[np.ndarray], Tensor], frame: np.ndarray
    ) -> Tensor:
        """The features under a key; they are computed and kept if there are none."""
        # Only computing counts as the features' time, reading does not.
        if key in self.memory.places:
            return self.memory.read(key, self.device)

        start = time.perf_counter()
        features = compute(frame)
        self.memory.write(key, features)
        self.memory.seconds += time.perf_counter() - start

        return features


def _fields(encoder: Encoder) -> dict[str, Any]:
    """The fields of `Encoder`, without those that a subclass adds."""
    return {field.name: getattr(encoder, field.name) for field in fields(Encoder)}
