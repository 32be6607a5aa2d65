"""Cross-view consistency: the same place in two views is more alike than any other (DUL, Eqs.
4-5).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_view_loss(
    first: Tensor, second: Tensor, temperature: float, row_offset: int = 0
) -> Tensor:
    """Mean cross entropy of r r_hat^T / tau with the matching cell as target: a scalar.

    `first` r [n,K] and `second` r_hat [m,K] are spatially aligned samples of the reference frames;
    row i of `first` belongs to row `first_row + i` of `second`. Eq. 4 leaves the matching cell out
    of its denominator; like the published release this keeps it in.
    """
    affinity = first @ second.T / temperature
    return F.cross_entropy(
        affinity, torch.arange(row_offset, row_offset + len(first), device=first.device)
    )
