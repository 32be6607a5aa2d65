"""Frame granularity: fore- and background knowledge, bootstrapped from round to round (MuG, Eqs. 2 and 15)."""

from torch import Tensor
from torch.nn import functional as F

from densevos.base.masks import VOID


def bootstrapped_target(initial: Tensor, predicted: Tensor, alpha: float) -> Tensor:
    """alpha Q + (1 - alpha) P of Eq. 15: the initial maps Q and the binarised maps P of the last round's model.

    Both are of one shape, float in [0,1].
    """
    return alpha * initial + (1 - alpha) * predicted


def foreground_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of foreground logits against targets in [0,1] (Eq. 2; Eq. 15 with its sign put right): a scalar.

    All are [B,h,w]; the mean is over the cells that `known` (bool) marks, 0 where there is none.
    """
    errors = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return (errors * known).sum() / known.sum().clamp(min=1)


def on_cells(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Foreground maps [B,H,W] uint8 (0, 1, 255: ignored) on feature cells: target [B,h,w] 0 or 1, known [B,h,w] bool.

    A cell is foreground where that is more than half of its known pixels, and known where at least half of it is.
    """
    valid = (maps != VOID).float()[:, None]
    foreground = (maps == 1).float()[:, None]
    share, inside = (F.interpolate(one, size=size, mode="area")[:, 0] for one in (valid, foreground))
    return (inside > share / 2).float(), share >= 0.5
