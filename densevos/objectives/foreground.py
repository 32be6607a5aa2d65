"""Frame granularity: foreground maps, bootstrapped from round to round (MuG, Eqs. 2 and 15)."""

# Shapes: B frames of H x W pixels, h x w cells of the feature map.

from torch import Tensor
from torch.nn import functional as F

from densevos.base.masks import VOID


def bootstrapped_target(initial: Tensor, predicted: Tensor, alpha: float) -> Tensor:
    """The target alpha Q + (1 - alpha) P of Eq. 15.

    Args:
        initial: Q, the initial maps, float in [0,1].
        predicted: P, the binarised maps of the last round's model, of the same shape.
        alpha: Weight of the initial maps.
    """
    return alpha * initial + (1 - alpha) * predicted


def foreground_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of foreground logits (Eq. 2, and Eq. 15 with its sign corrected).

    Args:
        logits: [B,h,w]; enlarged (bilinear) if the targets are finer.
        target: [B,H,W] float in [0,1].
        known: [B,H,W] bool; only these places count.

    Returns:
        The mean over the known places, a scalar; 0 if there are none.
    """
    logits = logits.float()
    if logits.shape != target.shape:
        logits = F.interpolate(
            logits[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False
        )[:, 0]

    errors = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (errors * known).sum() / known.sum().clamp(min=1)


def on_cells(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Reduce foreground maps to the cells of a feature map.

    Args:
        maps: [B,H,W] uint8: 0 background, 1 foreground, 255 ignored.
        size: (h, w).

    Returns:
        The share of foreground among each cell's known pixels, [B,h,w] in [0,1], and where at least
        half of the cell is known, [B,h,w] bool.
    """
    valid = (maps != VOID).float()[:, None]
    foreground = (maps == 1).float()[:, None]
    valid_share = F.interpolate(valid, size=size, mode="area")[:, 0]
    foreground_share = F.interpolate(foreground, size=size, mode="area")[:, 0]

    return foreground_share / valid_share.clamp(min=1e-6), valid_share >= 0.5
