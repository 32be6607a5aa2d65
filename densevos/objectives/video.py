"""Video granularity: each video is its own class (MuG, Eqs. 12-14)."""

# Shapes: n query frames and N instance frames, one row per video; D numbers of a pooled feature.

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
    """Eqs. 12-14, with the mean over query frames instead of the sum.

    A row is the feature map r of a frame, averaged over its cells. GAP(r^T r') is exactly the
    product of two such averages, so the loss needs no map. The raw products overflow: rows become
    unit vectors and are compared at a temperature, as in invariant and spreading features (Ye et
    al., CVPR 2019).

    Args:
        queries: [n,D].
        instances: [N,D]; row `row_offset + i` is of the same video as query i.
        temperature: Divides the cosines.
        row_offset: The row of `instances` that belongs to the first query.
        videos: The video of each row of `instances`, [N], if a video can occur twice. Its other
            rows are then no negatives.

    Returns:
        A scalar; 0 if there is only one video.
    """
    with torch.autocast(queries.device.type, enabled=False):
        similarity = (
            F.normalize(queries.float(), dim=1)
            @ F.normalize(instances.float(), dim=1).T
            / temperature
        )

    own = torch.arange(row_offset, row_offset + len(queries), device=queries.device)
    if videos is not None:
        same_video = videos[own, None] == videos
        other_rows = same_video.scatter(1, own[:, None], False)
        similarity = similarity.masked_fill(other_rows, -torch.inf)

    log_p = F.log_softmax(similarity, dim=1)  # Eqs. 12 and 13

    # The clamp keeps the logarithm finite when one row takes all the probability.
    missed = torch.log((1 - log_p.exp()).clamp(min=1e-6))
    others = missed.sum(1) - missed.gather(1, own[:, None])[:, 0]
    log_own = log_p.gather(1, own[:, None])[:, 0]
    return -(log_own + others).mean()  # Eq. 14
