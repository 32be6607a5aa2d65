"""BatchNorm whose statistics are of the whole batch, whatever part of it each process sees
(--loop.sync-batchnorm).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from densevos.engine.distributed import summed, world_size


def synchronised(learner: nn.Module, device: torch.device) -> nn.Module:
    """Replace every BatchNorm below `learner`: by torch's on GPUs, which knows no CPU, by
    `WholeBatchNorm` elsewhere.

    Names, parameters and buffers stay as they are.
    """
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(learner)

    for module in list(learner.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, WholeBatchNorm.like(child))

    return learner


class WholeBatchNorm(_BatchNorm):
    """BatchNorm of any number of dimensions with statistics over all ranks; gradients flow through
    them.
    """

    @classmethod
    def like(cls, other: _BatchNorm) -> "WholeBatchNorm":
        """One with the parameters, buffers and settings of another."""
        new = cls(
            other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats
        )
        new.weight, new.bias = other.weight, other.bias
        for name, buffer in other.named_buffers():
            setattr(new, name, buffer)

        return new.train(other.training)

    def forward(self, x: Tensor) -> Tensor:
        """x [B,C,...] -> the same, normalised."""
        if not self.training or world_size() == 1:
            return super().forward(x)

        flat = x.float().transpose(0, 1).flatten(1)  # [C,n]
        count = summed(torch.tensor(float(flat.shape[1])))
        mean = summed(flat.sum(1)) / count
        variance = summed((flat - mean[:, None]).square().sum(1)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        view = (1, -1, *(1,) * (x.dim() - 2))

        return F.batch_norm(
            (x.float() - mean.view(view)) * (variance + self.eps).rsqrt().view(view),
            torch.zeros_like(mean),
            torch.ones_like(variance),
            self.weight,
            self.bias,
            eps=0.0,
        ).to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as torch does."""
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return

        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions."""
