"""Short-term granularity: a patch tracked forwards and back ends at its start (MuG, Eqs. 3-5)."""

# Shapes: N patches of p x p cells, T frames, C channels of an embedding, h x w cells of the feature
# map. Places are (row, column) in cells.

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Cut = Callable[[int, Tensor], Tensor]
"""From the number of a frame and centres [N,2] to embeddings [N,C,p,p] of the patches there."""


def response(patches: Tensor, maps: Tensor) -> Tensor:
    """Cross-correlate each patch with its map (Eq. 3, before its sigmoid).

    Entry (i,j) is the mean cosine when the patch's centre lies on the upper left corner of cell
    (i,j). The centre of a patch is the corner between its cells p/2-1 and p/2, so p is even. Beyond
    the border the map counts as 0.

    Args:
        patches: Unit embeddings [N,C,p,p].
        maps: Unit embeddings [N,C,h,w].

    Returns:
        [N,h,w].
    """
    count, channels, side, _ = patches.shape
    # One group of channels per patch: a single convolution serves all pairs.
    stacked = maps.reshape(1, count * channels, *maps.shape[2:])
    with torch.autocast(maps.device.type, enabled=False):  # peaks lie close together
        stacked = F.conv2d(stacked, patches, groups=count, padding=side // 2)

    # An even kernel with this padding gives one row and one column more than the map has.
    return stacked[0, :, :-1, :-1] / side**2


def peak(responses: Tensor, side: int) -> Tensor:
    """The place of the highest response at which a patch of `side` cells fits into the frame.

    Args:
        responses: [N,h,w].
        side: p, cells.

    Returns:
        Centres (row, column), [N,2] int64.

    >>> responses = torch.zeros(1, 8, 8)
    >>> responses[0, 5, 3] = 1
    >>> peak(responses, side=4).tolist()
    [[5, 3]]
    """
    height, width = responses.shape[1:]
    low = side // 2
    end_row, end_column = height - side // 2 + 1, width - side // 2 + 1
    inside = responses[:, low:end_row, low:end_column]
    best = inside.flatten(1).argmax(dim=1)

    return torch.stack([best // inside.shape[2], best % inside.shape[2]], dim=1) + low


def gaussian_map(centres: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """G_p of Eq. 5: a Gaussian of height 1 around each centre.

    Args:
        centres: (row, column), [N,2].
        size: (h, w).
        sigma: Standard deviation, cells.

    Returns:
        [N,h,w].
    """
    rows = torch.arange(size[0], device=centres.device)[None, :, None]
    columns = torch.arange(size[1], device=centres.device)[None, None, :]
    from_row = rows - centres[:, 0, None, None]
    from_column = columns - centres[:, 1, None, None]

    return torch.exp(-(from_row**2 + from_column**2) / (2 * sigma**2))


def crop(frames: Tensor, centres: Tensor, side: int, stride: int = 1) -> Tensor:
    """Cut one patch out of each frame. Patches must lie within their frames.

    Args:
        frames: [N,C,H,W] pixels, or cells at stride 1.
        centres: (row, column) in cells, [N,2].
        side: p, cells.
        stride: Pixels per cell.

    Returns:
        [N,C,S,S] with S = side * stride.
    """
    # Gathered instead of sliced: slices would need the centres on the host.
    corners = (centres - side // 2) * stride
    within = torch.arange(side * stride, device=frames.device)
    rows = corners[:, 0, None] + within  # [N,S]
    columns = corners[:, 1, None] + within  # [N,S]

    channels, width = frames.shape[1], frames.shape[3]
    bands = frames.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return bands.gather(3, columns[:, None, None, :].expand(-1, channels, bands.shape[2], -1))


def track_back(maps: Tensor, centres: Tensor, side: int, cut: Cut) -> tuple[Tensor, Tensor]:
    """Track each patch through T frames and back to the first (Eq. 4).

    Only the last response has a gradient, as in UDT (Wang et al., CVPR 2019). The steps before it
    only find places.

    Args:
        maps: Unit embeddings [N,T,C,h,w] of the frames.
        centres: Where the patches start, in cells of the first frame, [N,2].
        side: p, cells.
        cut: Makes the embeddings of patches.

    Returns:
        The last response [N,h,w], and the centres in all frames on the way, [N,2T-1,2].
    """
    last = maps.shape[1] - 1
    forwards, backwards = range(1, last + 1), range(last - 1, -1, -1)
    places, at = [centres], 0

    for to in [*forwards, *backwards]:
        final = to == 0
        with torch.set_grad_enabled(final and torch.is_grad_enabled()):
            responses = response(cut(at, places[-1]), maps[:, to])

        places.append(peak(responses.detach(), side))
        at = to

    return responses, torch.stack(places, dim=1)


def tracking_loss(
    logits: Tensor, target: Tensor, *, drop_worst: float = 0.1, balance: bool = False
) -> Tensor:
    """||sigmoid(S) - G_p||^2 of Eq. 5, as a mean over cells and patches.

    Args:
        logits: S before its sigmoid, [N,h,w].
        target: G_p, [N,h,w].
        drop_worst: Share of the patches, those with the largest errors, that do not count: their
            tracks are lost (UDT).
        balance: Give the cells near the centre as much weight as all others. Without it, an S of 0
            everywhere costs little.

    Returns:
        A scalar.
    """
    errors = (torch.sigmoid(logits.float()) - target) ** 2
    if balance:
        near = (target > 0.5).float()
        far = 1 - near
        weights = near / near.sum((1, 2), keepdim=True) + far / far.sum((1, 2), keepdim=True)
        # The weights of a map sum to 2; they are scaled to a mean of 1.
        errors = errors * weights * target[0].numel() / 2

    patch_errors = errors.mean((1, 2))
    kept = max(1, len(patch_errors) - int(drop_worst * len(patch_errors)))
    return patch_errors.topk(kept, largest=False).values.mean()
