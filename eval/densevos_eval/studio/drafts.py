"""Masks that are being made: each mark changes the mask that the marks before it led to, which is
remembered.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from densevos_eval.studio.cut import changed
from densevos_eval.studio.marks import Mark

REMEMBERED = 12


class Drafts:
    """The last masks, by what they depend on; for several threads."""

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
        """The mask [H,W] bool after the marks.

        Args:
            key: What tells frames and masks apart.
            marks: What the user has drawn, in order.
            frame: Gives the frame [H,W,3] uint8.
            before: Gives the mask [H,W] bool that the object had.
        """
        if not marks:
            return before()

        with self._lock:
            if (key, marks) in self._masks:
                return self._masks[key, marks]

        mask = changed(frame(), self.mask(key, marks[:-1], frame, before), marks)
        with self._lock:
            self._masks[key, marks] = mask
            while len(self._masks) > REMEMBERED:
                self._masks.popitem(last=False)

        return mask
