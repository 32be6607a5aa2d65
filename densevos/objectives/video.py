"""Video granularity: videos told apart (MuG, Eqs. 12-14)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def instance_loss(
    queries: Tensor,
    instances: Tensor,
    temperature: float,
    row_offset: int = 0,
    videos: Tensor | None = None,
) -> Tensor:
    """Eqs. 12-14 with the mean over query frames in the place of the sum: a scalar, 0 when there is
    one video only.

    queries [n,D], row i from the video of row first_row + i of `instances` [N,D]. Rows are the
    features r of a frame averaged over its cells: GAP(r^T r') is the product of the two averages,
    exactly, so no map enters the loss. They are made unit vectors and compared at a temperature, as
    in invariant and spreading features (Ye et al., CVPR 2019): the raw products overflow. videos
    [N]: which video each row of `instances` is of, where one may be there twice; it is not told
    apart from itself.
    """
    with torch.autocast(queries.device.type, enabled=False):
        similarity = (
            F.normalize(queries.float(), dim=1)
            @ F.normalize(instances.float(), dim=1).T
            / temperature
        )

    own = torch.arange(row_offset, row_offset + len(queries), device=queries.device)
    if videos is not None:
        again = videos[own, None] == videos
        similarity = similarity.masked_fill(again.scatter(1, own[:, None], False), -torch.inf)

    log_p = F.log_softmax(similarity, dim=1)  # Eqs. 12 and 13
    missed = torch.log((1 - log_p.exp()).clamp(min=1e-6))
    others = missed.sum(1) - missed.gather(1, own[:, None])[:, 0]
    return -(log_p.gather(1, own[:, None])[:, 0] + others).mean()  # Eq. 14
