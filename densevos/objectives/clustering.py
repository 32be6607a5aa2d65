"""k-means on the device, without gradient and without waiting for it (image-to-video, Sec. 3.2).

The number of Lloyd iterations is fixed, because a test for convergence would wait for the device.
Copies to the device do not block: a blocking copy waits for all work in progress there.
"""

# Shapes: N points of D numbers, K clusters.

import torch
from torch import Tensor


def kmeans(
    points: Tensor, clusters: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cluster points by Lloyd's algorithm, with random points as the first centres.

    Args:
        points: [N,D].
        clusters: K, the number of clusters.
        iterations: Number of iterations.
        generator: Draws the first centres; it may be on another device than the points.

    Returns:
        Labels [N] in 0..K-1 and centres [K,D].

    Raises:
        ValueError: There are more clusters than points.
    """
    if clusters > len(points):
        raise ValueError(f"{clusters} clusters of {len(points)} points")

    first = torch.randperm(len(points), generator=generator, device=generator.device)[:clusters]
    return lloyd(points, points.detach()[first.to(points.device, non_blocking=True)], iterations)


@torch.no_grad()
def lloyd(points: Tensor, centres: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Run Lloyd's iterations from given centres, in float32 even under autocast.

    A cluster that loses all of its points keeps its centre.

    Args:
        points: [N,D].
        centres: First centres [K,D].
        iterations: Number of iterations.

    Returns:
        The nearest centre [N] of each point, and the last centres [K,D].
    """
    with torch.autocast(points.device.type, enabled=False):
        points, centres = points.float(), centres.float()
        ids = torch.arange(len(centres), device=points.device)
        for _ in range(iterations):
            # A product with the one-hot labels: summing by index is not deterministic on a GPU.
            member = (_nearest(points, centres)[:, None] == ids).float()  # [N,K]
            size = member.sum(0)[:, None]
            centres = torch.where(size > 0, member.T @ points / size.clamp(min=1), centres)

        return _nearest(points, centres), centres


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2. The first term is the same for every centre: left out.
    return torch.addmm(centres.square().sum(1), points, centres.T, alpha=-2).argmin(1)
