"""General adversarial loss: is a feature of an image or of a video? (image-to-video, Eqs. 1-2)

The discriminator minimises it; a gradient reversal layer before the discriminator makes the encoder
maximise it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def domain_loss(logits: Tensor, is_source: Tensor) -> Tensor:
    """L_g of Eq. 2 with both of its terms negative, and with the mean in the place of the sum: a
    scalar >= 0.

    logits [N] or [N,...] (a grid of patches a sample): log odds of Pr(D_i = D^s | h(x_i)).
    is_source [N] bool: d_i. The papers' print lacks the second minus. 0 that touches the logits
    where N is 0.
    """
    errors = F.binary_cross_entropy_with_logits(
        logits.float(), _like(is_source, logits).float(), reduction="sum"
    )
    return errors / max(logits.numel(), 1)


def chance_level(share: float | Tensor) -> Tensor:
    """The loss of a discriminator that knows nothing but the `share` in [0,1] of positives: its
    entropy in nats.

    ln 2 for domains of one size. A loss at this level is success, or a discriminator that is dead;
    far below it the discriminator wins.
    """
    share = torch.as_tensor(share, dtype=torch.float32)
    return torch.special.entr(share) + torch.special.entr(1 - share)


@torch.no_grad()
def domain_accuracy(logits: Tensor, is_source: Tensor) -> tuple[Tensor, Tensor]:
    """The share of source and of target features that the discriminator knows as such; 0 where
    there is none.
    """
    source = _like(is_source, logits)
    right = claimed(logits, source) == source
    return share_of(right, source), share_of(right, ~source)


def claimed(logits: Tensor, positive: Tensor) -> Tensor:
    """Where a discriminator is surer of a positive than the share of positives alone makes it.

    Against even odds one that knows nothing else would call everything by the larger side, and look
    right about it.
    """
    return logits.float() > torch.logit(positive.float().mean(), eps=1e-6)


def share_of(right: Tensor, among: Tensor) -> Tensor:
    """The share of the cells marked by `among` that `right` marks too, both bool; 0 where there is
    none.
    """
    return (right & among).sum() / among.sum().clamp(min=1)


def _like(is_source: Tensor, logits: Tensor) -> Tensor:
    return is_source.view(-1, *(1,) * (logits.ndim - 1)).expand_as(logits)
