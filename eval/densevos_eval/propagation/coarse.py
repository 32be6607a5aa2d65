"""Features for the first pass of a search, in few bits: the vectors, their products, and how far
these may be off.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.devices import multiplies_bf16

MULTIPLE = 8  # Columns: matrix products on a GPU are fastest where rows are multiples of 16 bytes.
SHIFTS = 4  # Columns that add the origin again.


def coarse_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor has instructions for its products, else float32."""
    return torch.bfloat16 if multiplies_bf16(device) else torch.float32


@dataclass(kw_only=True)
class Centred:
    """Features measured from an origin, the mean of the first frame.

    Dense features lie close together, and their differences survive rounding better.

    origin: [C] float32.
    dtype: What the features are rounded to.
    """

    origin: Tensor
    dtype: torch.dtype
    _rounding: Tensor = field(
        init=False
    )  # Largest relative error of a vector so far; stays on the device.

    def __post_init__(self) -> None:
        self._rounding = self.origin.new_zeros(())

    def keys(self, exact: Tensor) -> Tensor:
        """Vectors [N,D] of unit features [N,C]: the features less the origin, and what adds it
        again.

        With s(x) = x.origin - (origin.origin + 1) / 2 the product of a query q and a key k is
        (q - origin).(k - origin) + s(q) + s(k) = q.k - 1: near 0, where floats are dense, for the
        best.
        """
        centred = exact - self.origin
        shift = exact @ self.origin - (self.origin @ self.origin + 1) / 2
        rounded, high = centred.to(self.dtype), shift.to(self.dtype)
        error = (centred - rounded).norm(dim=1) / centred.norm(dim=1).clamp(min=1e-12)
        self._rounding = torch.maximum(self._rounding, error.max())
        one = torch.ones_like(high)
        shifts = torch.stack([high, (shift - high).to(self.dtype), one, one], dim=1)
        padding = -(exact.shape[1] + SHIFTS) % MULTIPLE

        return torch.cat([F.pad(rounded, (0, padding)), shifts], dim=1)

    def tolerance(self, exact: Tensor, kth: Tensor) -> Tensor:
        """How far the product of queries [m,C] with a candidate near the top k may be from its
        similarity - 1: [m].

        kth: [m] at most the k-th best similarity - 1.

        Rounding errors e(q), e(k) relative to the lengths of q and k, both measured from the
        origin, change a product by at most |q||k|(e(q) + e(k) + e(q)e(k)). As a candidate at least
        as good as the k-th is within distance sqrt(-2 (kth - error)) of q, its length is bounded
        too.
        """
        resolution = torch.finfo(self.dtype).eps
        length = (exact - self.origin).norm(dim=1)
        relative = length * self._rounding * (2 + self._rounding)
        sums = exact.shape[1] * 2e-7 + resolution**2 + resolution * kth.abs()
        loose = 2 * relative + sums  # No vector is longer than 2.
        distance = (2 * (loose - kth)).clamp(min=0).sqrt()

        return relative * (length + distance) + sums


def as_queries(keys: Tensor) -> Tensor:
    """Vectors whose products with keys add the shifts of both: [.., high, low, 1, 1] turned."""
    return torch.cat([keys[..., :-4], keys[..., -2:], keys[..., -4:-2]], dim=-1)
