"""Optimiser, learning rate schedule and precision, from the configuration to torch objects."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from densevos.base.devices import multiplies_bf16
from densevos.base.errors import InputError
from densevos.config import LoopConfig, OptimiserConfig

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

Optimisers = Mapping[str, OptimiserConfig]
"""Name of a submodule of the learner -> how it is optimised; "" is the complete learner."""


@dataclass
class Optimised:
    """One part of a learner with its optimiser and schedule."""

    module: nn.Module
    optimiser: Optimizer
    schedule: LambdaLR
    clip_gradient: float | None
    """Longest norm of the gradient; None for no limit."""

    def gradient_norm(self) -> Tensor:
        """The L2 norm [] of the gradient of all parameters together."""
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def clip(self, norm: Tensor) -> None:
        """Scale the gradient down if its norm is above the limit.

        Args:
            norm: What `gradient_norm` returned, [].
        """
        # The norm is an argument, because the loop logs it too and it is computed only once.
        if self.clip_gradient is not None:
            nn.utils.clip_grads_with_norm_(self.module.parameters(), self.clip_gradient, norm)


def optimise(
    learner: nn.Module, configs: Optimisers, epochs: int, steps_per_epoch: int
) -> dict[str, Optimised]:
    """Make the optimisers and schedules of a learner.

    Args:
        learner: The learner.
        configs: Name of a submodule -> how it is optimised.
        epochs: Length of the run, which schedules need.
        steps_per_epoch: Steps in an epoch.

    Returns:
        The parts under the names of `configs`, in the same order.
    """
    parts = {}
    for name, config in configs.items():
        module = learner.get_submodule(name)
        optimiser = make_optimiser(module, config)
        schedule = make_schedule(optimiser, config, epochs, steps_per_epoch)
        parts[name] = Optimised(module, optimiser, schedule, config.clip_gradient)

    return parts


def make_optimiser(module: nn.Module, config: OptimiserConfig) -> Optimizer:
    """Make the optimiser of one part of a learner.

    Adam and SGD take weight decay as an L2 penalty on the gradient; AdamW decouples it. Biases do
    not decay, and their learning rate is `bias_lr_factor` times as high.

    Args:
        module: The part; parameters that need no gradient are left out.
        config: Name and settings of the optimiser.

    Returns:
        An optimiser with two parameter groups: weights, biases.
    """
    weights: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        # Frozen parameters get no gradient and would only take memory in the optimiser.
        if parameter.requires_grad:
            group = biases if name.endswith("bias") else weights
            group.append(parameter)

    groups = [
        {"params": weights, "lr": config.lr, "weight_decay": config.weight_decay},
        {"params": biases, "lr": config.lr * config.bias_lr_factor, "weight_decay": 0.0},
    ]

    # On a GPU one fused kernel updates many parameters. In float16 that kernel also skips a step
    # whose gradient overflowed, without asking the host. None leaves the choice to torch.
    fused = all(parameter.is_cuda for parameter in (*weights, *biases)) or None

    if config.name == "adam":
        return torch.optim.Adam(groups, betas=config.betas, fused=fused)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, betas=config.betas, fused=fused)

    return torch.optim.SGD(groups, momentum=config.momentum, fused=fused)


def make_schedule(
    optimiser: Optimizer, config: OptimiserConfig, epochs: int, steps_per_epoch: int
) -> LambdaLR:
    """Make the learning rate schedule, which is advanced once per step.

    The schedule `step` is constant within an epoch; `cosine`, `poly` and the warm-up change with
    every step.

    Args:
        optimiser: The optimiser whose rates change.
        config: Name and settings of the schedule.
        epochs: Length of the run.
        steps_per_epoch: Steps in an epoch.

    Returns:
        The schedule, at step 0.
    """

    def factor(step: int) -> float:
        """The rate of this step, divided by the configured rate."""
        epoch = step / steps_per_epoch  # a fraction within an epoch
        if epoch < config.warmup:
            # step + 1, so that the first step does not have rate 0.
            return (step + 1) / (config.warmup * steps_per_epoch)

        # Part of the run after the warm-up that is finished, 0..1.
        progress = min((epoch - config.warmup) / max(epochs - config.warmup, 1), 1.0)
        if config.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        if config.schedule == "poly":
            # Power 0.9 is the usual one for segmentation.
            share: float = (1 - progress) ** 0.9
            return share

        return config.decay_factor ** (int(epoch) // config.decay_every)

    return LambdaLR(optimiser, factor)


def choose_device(config: LoopConfig, local_rank: int = 0) -> torch.device:
    """The device that --loop.device selects; auto is a GPU if there is one, else the CPU.

    Args:
        config: Options of the loop.
        local_rank: This process's number on its machine, which selects its GPU.

    Returns:
        The device.

    Raises:
        InputError: torch knows no such device, or this machine has no such GPU.
    """
    own_gpu = torch.device("cuda", local_rank)
    if config.device == "auto":
        return own_gpu if torch.cuda.is_available() else torch.device("cpu")

    try:
        device = torch.device(config.device)
    except RuntimeError as error:
        raise InputError(f"--loop.device {config.device}: {str(error).splitlines()[0]}") from error

    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"--loop.device {config.device}: no such GPU is usable here; leave it on auto"
        )

    # "cuda" without a number leaves the choice to us: each process takes a GPU of its own.
    return own_gpu if config.device == "cuda" else device


def choose_precision(config: LoopConfig, device: torch.device) -> torch.dtype:
    """The number format that --loop.precision selects.

    Args:
        config: Options of the loop.
        device: Where the networks compute.

    Returns:
        The format; auto is bfloat16 if the device multiplies it natively, else float32.
    """
    if config.precision != "auto":
        return PRECISIONS[config.precision]

    # Devices that emulate bfloat16 are slower with it than with float32.
    return torch.bfloat16 if multiplies_bf16(device) else torch.float32
