"""Features in few bits for the first pass of a search, and the error of their products."""

# Shapes: N cells, C channels of a feature, D columns of a vector, m queries.

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.devices import multiplies_bf16

MULTIPLE = 8
"""Columns are padded to a multiple of this number.

Products on a GPU are fastest if rows are multiples of 16 bytes.
"""

SHIFTS = 4
"""Number of columns that add the origin again, see `Centred.keys`."""


def coarse_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 if the processor has instructions for its products, else float32."""
    return torch.bfloat16 if multiplies_bf16(device) else torch.float32


@dataclass(kw_only=True)
class Centred:
    """Features measured from an origin, the mean of the first frame.

    Dense features lie close together. Their differences from the mean survive rounding better than
    the features themselves.

    Args:
        origin: [C] float32.
        dtype: Type that the features are rounded to.
    """

    origin: Tensor
    dtype: torch.dtype

    # Largest relative error of a vector so far. It stays on the device, so the host need not wait.
    _rounding: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._rounding = self.origin.new_zeros(())

    def keys(self, exact: Tensor) -> Tensor:
        """Vectors [N,D] of unit features [N,C]: features minus origin, and what adds it back.

        With s(x) = x.origin - (origin.origin + 1) / 2, the product of a query q and a key k is
        (q - origin).(k - origin) + s(q) + s(k) = q.k - 1. For the best matches it is near 0, where
        floats are dense.
        """
        centred = exact - self.origin
        shift = exact @ self.origin - (self.origin @ self.origin + 1) / 2
        rounded, high = centred.to(self.dtype), shift.to(self.dtype)
        # Relative to the length of the vector, because `tolerance` multiplies it by lengths.
        error = (centred - rounded).norm(dim=1) / centred.norm(dim=1).clamp(min=1e-12)
        self._rounding = torch.maximum(self._rounding, error.max())

        # The shift is split into a high and a low part: one number of few bits would be too coarse.
        # The columns of 1 take up the shift of the other vector, see `as_queries`.
        low = (shift - high).to(self.dtype)
        ones = torch.ones_like(high)
        shifts = torch.stack([high, low, ones, ones], dim=1)
        padding = -(exact.shape[1] + SHIFTS) % MULTIPLE

        return torch.cat([F.pad(rounded, (0, padding)), shifts], dim=1)

    def tolerance(self, exact: Tensor, kth: Tensor) -> Tensor:
        """Largest error of a product of a query with a candidate near the top k.

        Rounding errors e(q), e(k) relative to the lengths of q and k, both measured from the
        origin, change a product by at most |q||k|(e(q) + e(k) + e(q)e(k)). A candidate that is at
        least as good as the k-th is within distance sqrt(-2 (kth - error)) of q, so its length is
        bounded too.

        Args:
            exact: Unit features [m,C] of the queries.
            kth: [m] the k-th best similarity - 1, or less.

        Returns:
            How far a product may be from similarity - 1, [m].
        """
        resolution = torch.finfo(self.dtype).eps
        length = (exact - self.origin).norm(dim=1)
        relative = length * self._rounding * (2 + self._rounding)
        # Errors of summing C products in float32, of the low part of the shift, and of the score.
        sums = exact.shape[1] * 2e-7 + resolution**2 + resolution * kth.abs()
        loose = 2 * relative + sums  # no vector is longer than 2
        distance = (2 * (loose - kth)).clamp(min=0).sqrt()

        bound: Tensor = relative * (length + distance) + sums
        return bound


def as_queries(keys: Tensor) -> Tensor:
    """Keys turned into queries, whose products with keys add the shifts of both.

    The last columns [high, low, 1, 1] become [1, 1, high, low].
    """
    return torch.cat([keys[..., :-4], keys[..., -2:], keys[..., -4:-2]], dim=-1)
