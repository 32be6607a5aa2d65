"""What each cell of a frame finds in other frames (MuG, Eqs. 9 and 10): attention without the
affinity in memory.
"""

from torch import Tensor
from torch.nn import functional as F


def aggregate(query: Tensor, keys: Tensor, values: Tensor, temperature: float) -> Tensor:
    """x' of Eqs. 9-10: what each query cell finds in the reference frames, [B,V,h,w].

    query [B,C,h,w], keys [B,R,C,h',w'], values [B,R,V,h',w'] of R reference frames. Each query
    cell's weights over all reference cells sum to 1 (the release's double softmax is a mean in
    disguise). The affinity is never in memory.
    """
    rows = query.flatten(2).transpose(1, 2)
    columns, contents = (one.transpose(2, 1).flatten(2).transpose(1, 2) for one in (keys, values))
    # The kernels that keep the affinity out of memory want an axis of heads, one width, and rows in
    # one piece.
    wide = max(rows.shape[2], contents.shape[2])
    q, k, v = (
        F.pad(one, (0, wide - one.shape[2]))[:, None].contiguous()
        for one in (rows, columns, contents)
    )
    found = F.scaled_dot_product_attention(q, k, v, scale=1 / temperature)

    return found[:, 0, :, : contents.shape[2]].transpose(1, 2).unflatten(2, query.shape[2:])
