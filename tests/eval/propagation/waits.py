"""What makes the host wait for a GPU, counted on a CPU: values read back, shapes that depend on
values, host data.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ASKED = (
    "_local_scalar_dense",
    "item",
    "nonzero",
    "masked_select",
    "is_nonzero",
    "equal",
    "_unique2",
    "lift_fresh",
)
INDEXING = ("index", "index_put_", "index_put", "_index_put_impl_")


class Waits(TorchDispatchMode):
    """Counts, by the names of the operations, what a GPU would make the host wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping | None = None,
    ) -> Any:
        name = func.__name__.partition(".")[0]
        by_mask = name in INDEXING and any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if name in ASKED or by_mask:
            self.counted[name] += 1
        return func(*args, **(kwargs or {}))
