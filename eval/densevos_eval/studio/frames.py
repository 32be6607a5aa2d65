"""Frames of the clip for the screen: decoded at random, a few of them remembered."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

import cv2
import numpy as np

from densevos.data.sources.source import FrameReader

Value = TypeVar("Value")

VIEW = 1600
"""Longest side, in pixels, of frames on the screen; larger ones are shown smaller."""
FULL_FRAMES, PICTURES = 2, 48


class Recent(Generic[Value]):
    """The last values of a function, by number."""

    def __init__(self, compute: Callable[[int], Value], count: int):
        self._compute = compute
        self._count = count
        self._values: OrderedDict[int, Value] = OrderedDict()

    def get(self, number: int) -> Value:
        if number not in self._values:
            self._values[number] = self._compute(number)

        self._values.move_to_end(number)
        while len(self._values) > self._count:
            self._values.popitem(last=False)

        return self._values[number]


class Frames:
    """Frames by index, for several threads. Decoders take one call at a time."""

    def __init__(self, reader: FrameReader):
        self._reader = reader
        self._lock = Lock()
        self._full = Recent(lambda index: reader.read([index])[0], FULL_FRAMES)
        self._pictures = Recent(self._encoded, PICTURES)
        self.size = (self._full.get(0).shape[0], self._full.get(0).shape[1])
        scale = min(1.0, VIEW / max(self.size))
        self.view = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))

    def __len__(self) -> int:
        return len(self._reader)

    def full(self, index: int) -> np.ndarray:
        """A frame [H,W,3] uint8 RGB."""
        with self._lock:
            return self._full.get(index)

    def jpeg(self, index: int) -> bytes:
        """A frame as a JPEG of the size `view`."""
        with self._lock:
            return self._pictures.get(index)

    def _encoded(self, index: int) -> bytes:
        frame = resized(self._full.get(index), self.view, cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        return data.tobytes()


def mask_png(mask: np.ndarray, view: tuple[int, int]) -> bytes:
    """A mask [H,W] uint8 as a grey PNG of the size `view`; its values are ids."""
    _, data = cv2.imencode(
        ".png", resized(mask, view, cv2.INTER_NEAREST), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    return data.tobytes()


def resized(picture: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """The picture at [H,W] = `size`."""
    return (
        picture
        if picture.shape[:2] == size
        else cv2.resize(picture, size[::-1], interpolation=interpolation)
    )
