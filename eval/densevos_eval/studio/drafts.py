"""A cache of unfinished masks: each mark changes the mask that the marks before it made."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from densevos_eval.studio.cut import changed
from densevos_eval.studio.marks import Mark

# Number of masks that are kept, each with one byte per pixel.
REMEMBERED = 12


class Drafts:
    """The last masks, by everything that they depend on; several threads may use it."""

    def __init__(self) -> None:
        self._masks: OrderedDict[tuple[Any, ...], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def mask(
        self,
        key: tuple[Any, ...],
        marks: tuple[Mark, ...],
        frame: Callable[[], np.ndarray],
        before: Callable[[], np.ndarray],
    ) -> np.ndarray:
        """The mask after the marks, from the cache if it is there.

        Args:
            key: Identifies the frame and the mask before the marks.
            marks: The user's marks, in order.
            frame: Returns the frame [H,W,3] uint8.
            before: Returns the mask [H,W] bool before the marks.

        Returns:
            A mask [H,W] bool.
        """
        if not marks:
            return before()

        with self._lock:
            if (key, marks) in self._masks:
                return self._masks[key, marks]

        # Computed without the lock: another thread may want a mask that is in the cache.
        # Recursive: usually the mask before the last mark is in the cache.
        earlier = self.mask(key, marks[:-1], frame, before)
        mask = changed(frame(), earlier, marks)
        with self._lock:
            self._masks[key, marks] = mask
            while len(self._masks) > REMEMBERED:
                self._masks.popitem(last=False)

        return mask
