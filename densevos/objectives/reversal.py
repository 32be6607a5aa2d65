"""Gradient reversal: a discriminator learns, the layers before it unlearn (Ganin et al., 2016)."""

# Shapes: x and its gradient can have any shape.

import math
from typing import Any

import torch
from torch import Tensor


def reverse(x: Tensor, mu: float) -> Tensor:
    """Return x in the forward pass, and -mu times the gradient in the backward pass.

    The layer stands between a network and its discriminator, never after the discriminator. The
    adversarial loss is then *added* to the total at weight 1: the minus sign and mu of Eq. 5
    (L_seg - mu L_a) are in here. Subtracting the loss would turn the encoder's gradient back, and
    weighting the loss with mu would count mu twice.
    """
    same: Tensor = _Reversal.apply(x, mu)
    return same


def ramp(progress: float, steepness: float = 10.0) -> float:
    """The factor of mu that grows from 0 to 1 during training (Ganin et al., JMLR 2016, Sec. 5.2).

    The first version of the image-to-video paper found a constant 1 better than a slow increase.

    Args:
        progress: Share of training that is done, in [0,1].
        steepness: How fast the factor grows.

    >>> [round(ramp(progress), 2) for progress in (0.0, 0.1, 0.5, 1.0)]
    [0.0, 0.46, 0.99, 1.0]
    """
    return 2 / (1 + math.exp(-steepness * progress)) - 1


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, mu: float) -> Tensor:
        context.mu = mu
        # A view is a new tensor for autograd, and copies nothing.
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # mu is a plain number and gets no gradient.
        return -context.mu * gradient, None
