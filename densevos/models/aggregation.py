"""Attention of a frame's cells to other frames, without the affinity in memory (MuG, Eqs. 9-10)."""

# Shapes: B frames, R reference frames of each, C channels of keys, V channels of values,
# h x w cells of the feature map.

from torch import Tensor
from torch.nn import functional as F


def aggregate(query: Tensor, keys: Tensor, values: Tensor, temperature: float) -> Tensor:
    """x' of Eqs. 9-10: a weighted mean of the reference frames' values for each query cell.

    The weights of a query cell over all reference cells sum to 1. The release normalises twice,
    which amounts to a plain mean.

    Args:
        query: Keys [B,C,h,w] of the frames.
        keys: Keys [B,R,C,h',w'] of the reference frames.
        values: Values [B,R,V,h',w'] of the reference frames.
        temperature: Divides the products of keys.

    Returns:
        [B,V,h,w].
    """
    rows = query.flatten(2).transpose(1, 2)  # [B,h*w,C]
    columns = keys.transpose(2, 1).flatten(2).transpose(1, 2)  # [B,R*h'*w',C]
    contents = values.transpose(2, 1).flatten(2).transpose(1, 2)  # [B,R*h'*w',V]

    # The kernels that keep the affinity out of memory need an axis of heads, one width for all
    # three tensors, and contiguous rows. Zeros in the padding change no product.
    width = max(rows.shape[2], contents.shape[2])
    q, k, v = _head(rows, width), _head(columns, width), _head(contents, width)
    means = F.scaled_dot_product_attention(q, k, v, scale=1 / temperature)

    aggregated: Tensor = (
        means[:, 0, :, : contents.shape[2]].transpose(1, 2).unflatten(2, query.shape[2:])
    )
    return aggregated


def _head(rows: Tensor, width: int) -> Tensor:
    """Rows [B,n,C] as one head of attention [B,1,n,width]."""
    return F.pad(rows, (0, width - rows.shape[2]))[:, None].contiguous()
