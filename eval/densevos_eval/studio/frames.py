"""Frames of the clip for the screen: decoded in any order, with a cache of the last ones."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

import cv2
import numpy as np

from densevos.data.sources.source import FrameReader

Value = TypeVar("Value")

VIEW = 1600
"""Longest side, in pixels, of frames on the screen; larger frames are shrunk to it."""

# Sizes of the caches: decoded frames are large, JPEGs are small.
FULL_FRAMES, PICTURES = 2, 48


class Recent(Generic[Value]):
    """A cache of the last values of a function.

    Args:
        compute: The function, of a number.
        count: Number of values to keep.
    """

    def __init__(self, compute: Callable[[int], Value], count: int):
        self._compute = compute
        self._count = count
        self._values: OrderedDict[int, Value] = OrderedDict()

    def get(self, number: int) -> Value:
        """The value for a number, computed if it is not in the cache."""
        if number not in self._values:
            self._values[number] = self._compute(number)

        # The value that was used last is dropped last.
        self._values.move_to_end(number)
        while len(self._values) > self._count:
            self._values.popitem(last=False)

        return self._values[number]


class Frames:
    """Frames by index; several threads may use it.

    size: [H,W] of the frames.
    view: [H,W] of the frames on the screen.

    Args:
        reader: Decodes the frames; it takes one call at a time.
    """

    def __init__(self, reader: FrameReader):
        self._reader = reader
        self._lock = Lock()
        self._full = Recent(lambda index: reader.read([index])[0], FULL_FRAMES)
        self._pictures = Recent(self._encoded, PICTURES)
        height, width = self._full.get(0).shape[:2]
        self.size = (height, width)
        scale = min(1.0, VIEW / max(self.size))
        self.view = (max(1, round(height * scale)), max(1, round(width * scale)))

    def __len__(self) -> int:
        return len(self._reader)

    def full(self, index: int) -> np.ndarray:
        """A frame [H,W,3] uint8 RGB."""
        with self._lock:
            frame: np.ndarray = self._full.get(index)
            return frame

    def jpeg(self, index: int) -> bytes:
        """A frame as a JPEG of the size `view`."""
        with self._lock:
            return self._pictures.get(index)

    def _encoded(self, index: int) -> bytes:
        """A frame as a JPEG; called under the lock."""
        frame = resized(self._full.get(index), self.view, cv2.INTER_AREA)
        bgr = frame[..., ::-1]  # the order of channels in OpenCV
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])
        return data.tobytes()


def mask_png(mask: np.ndarray, view: tuple[int, int]) -> bytes:
    """Encode a mask as a grey PNG whose values are ids.

    Args:
        mask: Ids [H,W] uint8.
        view: [H,W] that the mask is resized to.
    """
    # Nearest neighbour: averages of ids would be ids of other objects.
    ids = resized(mask, view, cv2.INTER_NEAREST)
    # Little compression: the picture goes to a browser on the same machine.
    _, data = cv2.imencode(".png", ids, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def resized(picture: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """Resize a picture [h,w,...] to [H,W] = `size`."""
    if picture.shape[:2] == size:
        return picture

    # OpenCV takes width, height.
    return cv2.resize(picture, size[::-1], interpolation=interpolation)
