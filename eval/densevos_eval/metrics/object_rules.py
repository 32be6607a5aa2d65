"""What scores of objects must know of their benchmark."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from densevos_eval.metrics.sequence_metric import Benchmark


class ObjectRules(Benchmark, Protocol):
    """What J, F and T must know of a benchmark; see protocols.Protocol for what each rule means."""

    @property
    def skipped(self) -> tuple[int, int]:
        """How many annotated frames at the beginning and, unless they are sparse, at the end are
        not scored.
        """
        ...

    @property
    def late_objects(self) -> bool:
        """Whether objects of any annotation count, and ids that no annotation has are no error."""
        ...

    @property
    def ignore_void(self) -> bool:
        """Whether void pixels count for neither side."""
        ...

    @property
    def max_proposals(self) -> int | None:
        """How many ids a result may hold; None: as many as there are objects."""
        ...

    @property
    def contour(self) -> bool:
        """Whether F is asked for."""
        ...

    @property
    def stability(self) -> frozenset[str]:
        """The sequences whose T is asked for."""
        ...

    @property
    def mean_over_classes(self) -> bool:
        """Whether means are over frames, then shots, then classes."""
        ...

    @property
    def decay_uint8(self) -> bool:
        """Whether decay is computed as the DAVIS toolbox does."""
        ...

    @property
    def match(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Chooses the proposal of each object from J and F."""
        ...
