"""Cross-view consistency: a place is most similar to itself in the other view (DUL, Eqs. 4-5)."""

# Shapes: n reference features of this process, m of all processes, K channels of a key.

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_view_loss(
    first: Tensor, second: Tensor, temperature: float, row_offset: int = 0
) -> Tensor:
    """Mean cross entropy of r r_hat^T / tau, with the matching cell as target (Eq. 5).

    Eq. 4 leaves the matching cell out of its denominator. This function keeps it in, as the
    published release does.

    Args:
        first: r [n,K], unit keys of the reference frames in the first view.
        second: r_hat [m,K], unit keys of the second view, spatially aligned to r. With several
            processes it holds the rows of all of them.
        temperature: tau.
        row_offset: The row of `second` that matches the first row of `first`.

    Returns:
        A scalar.
    """
    affinity = first @ second.T / temperature  # [n,m]
    # Row i of `first` belongs to row i + row_offset of `second`.
    target = torch.arange(row_offset, row_offset + len(first), device=first.device)
    return F.cross_entropy(affinity, target)
