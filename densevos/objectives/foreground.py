"""Frame granularity: fore- and background knowledge, bootstrapped from round to round (MuG, Eqs. 2
and 15).
"""

from torch import Tensor
from torch.nn import functional as F

from densevos.base.masks import VOID


def bootstrapped_target(initial: Tensor, predicted: Tensor, alpha: float) -> Tensor:
    """alpha Q + (1 - alpha) P of Eq. 15: the initial maps Q and the binarised maps P of the last
    round's model.

    Both are of one shape, float in [0,1].
    """
    return alpha * initial + (1 - alpha) * predicted


def foreground_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of foreground logits against targets in [0,1] (Eq. 2; Eq. 15 with its sign put
    right): a scalar.

    Args:
        logits: [B,h,w]; they are enlarged (bilinear) where targets are finer.
        target: [B,H,W] float.
        known: [B,H,W] bool; the mean is over what it marks, 0 where that is nothing.
    """
    logits = logits.float()
    if logits.shape != target.shape:
        logits = F.interpolate(
            logits[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False
        )[:, 0]

    errors = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (errors * known).sum() / known.sum().clamp(min=1)


def on_cells(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Foreground maps [B,H,W] uint8 (0, 1, 255: ignored) on cells: target [B,h,w] in [0,1], known
    [B,h,w] bool.

    The target is the share of foreground among a cell's known pixels. A cell is known where at
    least half of it is.
    """
    valid = (maps != VOID).float()[:, None]
    foreground = (maps == 1).float()[:, None]
    share, inside = (
        F.interpolate(one, size=size, mode="area")[:, 0] for one in (valid, foreground)
    )

    return inside / share.clamp(min=1e-6), share >= 0.5
