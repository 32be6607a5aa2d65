"""k-means on the device, without a gradient and without the host waiting (image-to-video revision,
Sec. 3.2).

Lloyd's algorithm for a fixed number of iterations: whether it has converged would have to be asked
of the device. Copies to it do not block: one that does waits for all that is under way there.
"""

import torch
from torch import Tensor


def kmeans(
    points: Tensor, clusters: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Labels [N] in 0..clusters-1 of points [N,D], and centres [clusters,D], from as many random
    points as centres.

    The generator may live on another device than the points. Raises ValueError for more clusters
    than points.
    """
    if clusters > len(points):
        raise ValueError(f"{clusters} clusters of {len(points)} points")

    first = torch.randperm(len(points), generator=generator, device=generator.device)[:clusters]
    return lloyd(points, points.detach()[first.to(points.device, non_blocking=True)], iterations)


@torch.no_grad()
def lloyd(points: Tensor, centres: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Lloyd's iterations from given centres [K,D]: the nearest centre [N] of each point [N,D], and
    the last centres.

    A cluster that loses all of its points keeps its centre. In float32, whatever autocast is on.
    """
    with torch.autocast(points.device.type, enabled=False):
        points, centres = points.float(), centres.float()
        ids = torch.arange(len(centres), device=points.device)
        for _ in range(iterations):
            # A product with the one-hot labels: summing by index is not deterministic on a GPU.
            member = (_nearest(points, centres)[:, None] == ids).float()
            size = member.sum(0)[:, None]
            centres = torch.where(size > 0, member.T @ points / size.clamp(min=1), centres)

        return _nearest(points, centres), centres


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, of which |x|^2 is the same for every centre.
    return torch.addmm(centres.square().sum(1), points, centres.T, alpha=-2).argmin(1)
