"""The rules of a benchmark that scores of objects depend on."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from densevos_eval.metrics.sequence_metric import Benchmark


class ObjectRules(Benchmark, Protocol):
    """The rules that J, F and T depend on; protocols.Protocol explains them."""

    @property
    def skipped(self) -> tuple[int, int]:
        """How many annotated frames at the start and, unless sparse, at the end are not scored."""
        ...

    @property
    def late_objects(self) -> bool:
        """Whether objects of any annotation count, and other ids of a result are background."""
        ...

    @property
    def ignore_void(self) -> bool:
        """Whether void pixels count for neither side."""
        ...

    @property
    def max_proposals(self) -> int | None:
        """How many ids a result may hold; None for the number of objects."""
        ...

    @property
    def contour(self) -> bool:
        """Whether F is measured beside J."""
        ...

    @property
    def stability(self) -> frozenset[str]:
        """Names of the sequences whose T is measured."""
        ...

    @property
    def mean_over_classes(self) -> bool:
        """Whether means are taken over frames, then shots, then classes."""
        ...

    @property
    def decay_uint8(self) -> bool:
        """Whether decay reproduces the 8-bit error of the DAVIS toolbox."""
        ...

    @property
    def match(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Function that chooses the proposal of each object from J and F."""
        ...
