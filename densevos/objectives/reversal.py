"""Gradient reversal: the discriminator learns, what lies before it unlearns (Ganin et al., JMLR
2016).
"""

import math
from typing import Any

import torch
from torch import Tensor


def reverse(x: Tensor, mu: float) -> Tensor:
    """x forwards, -mu times the gradient backwards.

    It stands between a network and its discriminator, never after it. With it the adversarial loss
    is *added* to the total at weight 1: the minus sign and mu of Eq. 5 (L_seg - mu L_a) are in
    here. Taking the loss off again would turn the encoder's gradient back, and weighing it with mu
    as well would count mu twice.
    """
    return _Reversal.apply(x, mu)


def ramp(progress: float, steepness: float = 10.0) -> float:
    """mu that grows from 0 to 1 while the share of training that is done, `progress`, does (Ganin
    et al., Sec. 5.2).

    The first version found a constant 1 better than a slow increase.
    """
    return 2 / (1 + math.exp(-steepness * progress)) - 1


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, mu: float) -> Tensor:  # type: ignore[override]
        context.mu = mu
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -context.mu * gradient, None
