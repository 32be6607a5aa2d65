"""BatchNorm with statistics over the batch of all processes (--loop.sync-batchnorm)."""

# Shapes: B samples of this rank, C channels, n values of one channel on this rank (B x positions)

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from densevos.engine.distributed import summed, world_size


def synchronised(learner: nn.Module, device: torch.device) -> nn.Module:
    """Replace every BatchNorm of a learner by one that is synchronised between processes.

    Names, parameters and buffers stay the same, so checkpoints fit both.

    Args:
        learner: The module whose submodules are replaced in place.
        device: Where it computes.

    Returns:
        The learner.
    """
    # torch's own SyncBatchNorm is faster, but works on GPUs only.
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(learner)
        return converted

    for module in list(learner.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, WholeBatchNorm.like(child))

    return learner


class WholeBatchNorm(_BatchNorm):
    """BatchNorm for any number of dimensions, with statistics over all ranks.

    Gradients flow through the statistics to the samples of every rank.
    """

    @classmethod
    def like(cls, other: _BatchNorm) -> "WholeBatchNorm":
        """Make one with the parameters, buffers and settings of another BatchNorm.

        Args:
            other: The BatchNorm whose parameters and buffers are shared, not copied.

        Returns:
            The new module.
        """
        new = cls(
            other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats
        )
        new.weight, new.bias = other.weight, other.bias
        for name, buffer in other.named_buffers():
            setattr(new, name, buffer)

        return new.train(other.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel.

        Args:
            x: [B,C,...] of any number of further dimensions.

        Returns:
            Normalised values of the same shape and number format.
        """
        # Running statistics are the same on all ranks, so evaluation needs no exchange.
        if not self.training or world_size() == 1:
            return super().forward(x)

        flat = x.float().transpose(0, 1).flatten(1)  # [C,n]
        count = summed(torch.tensor(float(flat.shape[1])))
        mean = summed(flat.sum(1)) / count
        variance = summed((flat - mean[:, None]).square().sum(1)) / count

        # As in torch, batches are normalised with the biased variance, and the running variance
        # follows the unbiased one.
        self._follow(mean.detach(), variance.detach() * count / (count - 1))

        # Values are normalised already: F.batch_norm with mean 0 and variance 1 only applies the
        # weight and the bias.
        view = [1] * x.dim()
        view[1] = -1
        return F.batch_norm(
            (x.float() - mean.view(view)) * (variance + self.eps).rsqrt().view(view),
            torch.zeros_like(mean),
            torch.ones_like(variance),
            self.weight,
            self.bias,
            eps=0.0,
        ).to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as torch does."""
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return

        self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            weight = self.momentum
        else:  # torch's rule: the plain mean over all batches so far
            weight = 1 / float(self.num_batches_tracked)

        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept any number of dimensions."""
