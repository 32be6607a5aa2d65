"""General adversarial loss: is a feature of an image or of a video? (image-to-video, Eqs. 1-2)

The discriminator minimises this loss. A gradient reversal layer before the discriminator makes the
encoder maximise it.
"""

# Shapes: N features, some of images (source) and the others of videos (target).

import torch
from torch import Tensor
from torch.nn import functional as F


def domain_loss(logits: Tensor, is_source: Tensor) -> Tensor:
    """L_g of Eq. 2, with both of its terms negative and the mean instead of the sum.

    The printed equation lacks the second minus sign.

    Args:
        logits: Log odds of Pr(D_i = D^s | h(x_i)), [N] or [N,...] (a grid of patches per sample).
        is_source: d_i, [N] bool: the feature is of an image.

    Returns:
        A scalar >= 0. If N is 0 it is a 0 that depends on the logits.
    """
    # The sum is divided here and not by torch, whose mean of nothing is NaN.
    errors = F.binary_cross_entropy_with_logits(
        logits.float(), _like(is_source, logits).float(), reduction="sum"
    )
    return errors / max(logits.numel(), 1)


def chance_level(share: float | Tensor) -> Tensor:
    """The loss of a discriminator that knows only the share of positives: its entropy in nats.

    It is ln 2 for domains of equal size. A loss at this level means success or a dead
    discriminator. A loss far below it means that the discriminator wins.

    Args:
        share: Share of positives, in [0,1].

    Returns:
        A scalar, or as many values as there are shares.

    >>> round(float(chance_level(0.5)), 4)
    0.6931
    """
    # entr(p) is -p ln p, and 0 at 0, so a share of 0 or 1 is no special case.
    share = torch.as_tensor(share, dtype=torch.float32)
    entropy: Tensor = torch.special.entr(share) + torch.special.entr(1 - share)
    return entropy


@torch.no_grad()
def domain_accuracy(logits: Tensor, is_source: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of source and of target features that the discriminator recognises.

    Args:
        logits: Log odds of the source domain, [N] or [N,...].
        is_source: [N] bool.

    Returns:
        Two scalars in 0..1; the share of a domain without features is 0.
    """
    source = _like(is_source, logits)
    right = claimed(logits, source) == source
    return share_of(right, source), share_of(right, ~source)


def claimed(logits: Tensor, positive: Tensor) -> Tensor:
    """Where a discriminator is surer of a positive than the share of positives alone makes it.

    With a threshold of even odds, a discriminator that knows only this share would call everything
    by the larger side, and would look right.

    Args:
        logits: Log odds of a positive, of any shape.
        positive: The truth, bool, of the same shape.

    Returns:
        The answers, bool, of the same shape.
    """
    return logits.float() > torch.logit(positive.float().mean(), eps=1e-6)


def share_of(right: Tensor, among: Tensor) -> Tensor:
    """The share of the cells of `among` that are in `right` too, both bool; 0 if there are none."""
    return (right & among).sum() / among.sum().clamp(min=1)


def _like(is_source: Tensor, logits: Tensor) -> Tensor:
    """Domains [N], repeated to the shape of logits [N,...]."""
    # All patches of a sample are of its domain.
    patch_axes = (1,) * (logits.ndim - 1)
    return is_source.view(-1, *patch_axes).expand_as(logits)
