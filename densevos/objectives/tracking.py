"""Short-term granularity: a patch tracked forwards and back ends where it began (MuG, Eqs. 3-5)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Cut = Callable[[int, Tensor], Tensor]
"""The number of a frame and centres [N,2] -> embeddings [N,C,side,side] of the patches there."""


def response(patches: Tensor, maps: Tensor) -> Tensor:
    """Cross-correlation of each patch with its map (Eq. 3, before its sigmoid): [N,C,p,p] *
    [N,C,h,w] -> [N,h,w].

    Entry (i,j) is the mean cosine when the patch's centre, the corner between its cells p/2-1 and
    p/2, lies on the upper left corner of cell (i,j): p is even. Beyond the border the map counts as
    0.
    """
    count, channels, side, _ = patches.shape
    stacked = maps.reshape(1, count * channels, *maps.shape[2:])
    with torch.autocast(maps.device.type, enabled=False):  # peaks lie close together
        stacked = F.conv2d(stacked, patches, groups=count, padding=side // 2)

    return stacked[0, :, :-1, :-1] / side**2


def peak(responses: Tensor, side: int) -> Tensor:
    """Centres (row, column) [N,2] at which the responses [N,h,w] are highest and a patch of `side`
    cells fits.
    """
    height, width = responses.shape[1:]
    low, end = side // 2, (height - side // 2 + 1, width - side // 2 + 1)
    inside = responses[:, low : end[0], low : end[1]]
    best = inside.flatten(1).argmax(dim=1)

    return torch.stack([best // inside.shape[2], best % inside.shape[2]], dim=1) + low


def gaussian_map(centres: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """G_p of Eq. 5: a Gaussian of height 1 around each centre (row, column) [N,2], in cells:
    [N,h,w].
    """
    rows = torch.arange(size[0], device=centres.device)[None, :, None] - centres[:, 0, None, None]
    columns = (
        torch.arange(size[1], device=centres.device)[None, None, :] - centres[:, 1, None, None]
    )

    return torch.exp(-(rows**2 + columns**2) / (2 * sigma**2))


def crop(frames: Tensor, centres: Tensor, side: int, stride: int = 1) -> Tensor:
    """The patch of side * stride pixels around each centre [N,2] (in cells) of its frame [N,C,H,W].

    Patches lie within their frames. They are gathered: slices would need the centres on the host.
    """
    corners = (centres - side // 2) * stride
    within = torch.arange(side * stride, device=frames.device)
    rows, columns = (corners[:, axis, None] + within for axis in (0, 1))  # [N,S]

    channels, width = frames.shape[1], frames.shape[3]
    bands = frames.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return bands.gather(3, columns[:, None, None, :].expand(-1, channels, bands.shape[2], -1))


def track_back(maps: Tensor, centres: Tensor, side: int, cut: Cut) -> tuple[Tensor, Tensor]:
    """Track a patch through T frames and back: the last response [N,h,w] (Eq. 4), all centres
    [N,2T-1,2].

    maps: embeddings [N,T,C,h,w] of the frames. centres [N,2]: where the patches of `side` cells
    start, in cells of the first frame. On the way only places are found, without a gradient: only
    the last response carries one, as in UDT (Wang et al., CVPR 2019).
    """
    last = maps.shape[1] - 1
    there_and_back = [*range(1, last + 1), *range(last - 1, -1, -1)]
    places, at = [centres], 0

    for to in there_and_back:
        final = to == 0
        with torch.set_grad_enabled(final and torch.is_grad_enabled()):
            responses = response(cut(at, places[-1]), maps[:, to])

        places.append(peak(responses.detach(), side))
        at = to

    return responses, torch.stack(places, dim=1)


def tracking_loss(
    logits: Tensor, target: Tensor, *, drop_worst: float = 0.1, balance: bool = False
) -> Tensor:
    """||sigmoid(S) - G_p||^2 (Eq. 5), as a mean over cells and patches: logits, target [N,h,w] -> a
    scalar.

    drop_worst: the share of patches with the largest errors that is left out (their tracks are
    lost; UDT). balance: weigh the cells near the centre and all others alike; without it an S of 0
    everywhere costs little.
    """
    errors = (torch.sigmoid(logits.float()) - target) ** 2
    if balance:
        near = (target > 0.5).float()
        far = 1 - near
        weights = near / near.sum((1, 2), keepdim=True) + far / far.sum((1, 2), keepdim=True)
        errors = errors * weights * target[0].numel() / 2

    each = errors.mean((1, 2))
    kept = max(1, len(each) - int(drop_worst * len(each)))
    return each.topk(kept, largest=False).values.mean()
