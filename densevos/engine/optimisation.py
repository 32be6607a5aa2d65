"""Optimiser, learning rate schedule, precision: from configuration to torch objects."""

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
"""How each part of a learner is optimised, by the name of the submodule; "" is all of it."""


@dataclass
class Optimised:
    """One part of a learner with its optimiser and schedule."""

    module: nn.Module
    optimiser: Optimizer
    schedule: LambdaLR
    clip_gradient: float | None

    def gradient_norm(self) -> Tensor:
        """The length [] of the gradient of all parameters together."""
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def clip(self, norm: Tensor) -> None:
        """Shorten the gradient, whose length is `norm`, where it is too long."""
        if self.clip_gradient is not None:
            nn.utils.clip_grads_with_norm_(self.module.parameters(), self.clip_gradient, norm)


def optimise(
    learner: nn.Module, configs: Optimisers, epochs: int, steps_per_epoch: int
) -> dict[str, Optimised]:
    """The parts of `learner` that `configs` names, each with its optimiser."""
    parts = {}
    for name, config in configs.items():
        module = learner.get_submodule(name)
        optimiser = make_optimiser(module, config)
        schedule = make_schedule(optimiser, config, epochs, steps_per_epoch)
        parts[name] = Optimised(module, optimiser, schedule, config.clip_gradient)

    return parts


def make_optimiser(module: nn.Module, config: OptimiserConfig) -> Optimizer:
    """Adam or SGD with coupled L2, or AdamW with decoupled, on all but biases.

    Biases do not decay, and their learning rate is `bias_lr_factor` times as high. On a GPU one
    kernel updates many parameters (fused); with float16 it also leaves a step out by itself where a
    gradient has overflowed.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    biases = [p for name, p in named if name.endswith("bias")]
    weights = [p for name, p in named if not name.endswith("bias")]
    groups = [
        {"params": weights, "lr": config.lr, "weight_decay": config.weight_decay},
        {"params": biases, "lr": config.lr * config.bias_lr_factor, "weight_decay": 0.0},
    ]
    fused = all(p.is_cuda for _, p in named) or None  # None: as torch thinks best
    if config.name == "adam":
        return torch.optim.Adam(groups, betas=config.betas, fused=fused)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, betas=config.betas, fused=fused)

    return torch.optim.SGD(groups, momentum=config.momentum, fused=fused)


def make_schedule(
    optimiser: Optimizer, config: OptimiserConfig, epochs: int, steps_per_epoch: int
) -> LambdaLR:
    """Learning rate per step, constant within an epoch for `step`, smooth for the others and the
    warm-up.
    """

    def factor(step: int) -> float:
        epoch = step / steps_per_epoch
        if epoch < config.warmup:
            return (step + 1) / (config.warmup * steps_per_epoch)

        done = min((epoch - config.warmup) / max(epochs - config.warmup, 1), 1.0)
        if config.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        if config.schedule == "poly":
            return (1 - done) ** 0.9

        return config.decay_factor ** (int(epoch) // config.decay_every)

    return LambdaLR(optimiser, factor)


def choose_device(config: LoopConfig, local_rank: int = 0) -> torch.device:
    """The device of `--loop.device`; auto is this rank's GPU where there is one, else the CPU."""
    if config.device == "auto":
        return (
            torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
        )

    try:
        device = torch.device(config.device)
    except RuntimeError as error:
        raise InputError(f"--loop.device {config.device}: {str(error).splitlines()[0]}") from error

    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"--loop.device {config.device}: no such GPU is usable here; leave it on auto"
        )

    return torch.device("cuda", local_rank) if config.device == "cuda" else device


def choose_precision(config: LoopConfig, device: torch.device) -> torch.dtype:
    """The number format of `--loop.precision`; auto is bf16 where the device multiplies it
    natively.
    """
    if config.precision != "auto":
        return PRECISIONS[config.precision]

    return torch.bfloat16 if multiplies_bf16(device) else torch.float32
