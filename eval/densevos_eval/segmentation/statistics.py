"""Estimates BatchNorm's statistics on new frames, without labels: AdaBN (Li et al., 2016)."""

# Shapes: C channels of a layer, N frames of a batch.

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Batch = TypeVar("Batch")


def batch_norm_layers(network: nn.Module, beginnings: Sequence[str] = ()) -> dict[str, _BatchNorm]:
    """The BatchNorm layers of a network by name.

    Args:
        network: any network.
        beginnings: what the layers' names begin with, each up to a dot; empty: all layers.
    """
    layers: dict[str, _BatchNorm] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, _BatchNorm) and (not beginnings or _begins(name, beginnings)):
            layers[name] = layer

    return layers


def _begins(name: str, beginnings: Sequence[str]) -> bool:
    # Up to a dot: backbone.layer1 must not name backbone.layer10.
    return any(f"{name}.".startswith(f"{beginning}.") for beginning in beginnings)


@torch.inference_mode()
def estimate_statistics(
    network: nn.Module,
    forward: Callable[[Batch], object],
    batches: Iterable[Batch],
    beginnings: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Estimate mean and variance of the inputs of BatchNorm layers over the frames of all batches.

    During the estimate each layer normalises by its batch, as in training, so that its input does
    not depend on the statistics of training. The variance is that of all frames together, which
    includes the variance between batches. Each frame has the same weight, whatever its size and its
    batch. If all frames are in one batch, the network with these statistics computes in eval mode
    exactly what it computed here.

    A layer that sees a single value per channel and frame, as after global pooling, keeps its
    statistics of training: the frames of one video are so similar there that their variance is
    close to zero.

    Args:
        network: a network in eval mode. It is left unchanged.
        forward: runs the network on one batch.
        batches: the batches to run it on.
        beginnings: what the names of the layers to estimate begin with; empty: all. The others
            keep their statistics, also during the estimate.

    Returns:
        Arrays [C] float32 to load into the network, by their names in its state_dict.
    """
    layers = batch_norm_layers(network, beginnings)
    moments = {name: Moments() for name in layers}
    with _normalised_by_batch(layers, moments):
        for batch in batches:
            forward(batch)

    # Layers that saw one value per channel have no moments, and keep their statistics.
    statistics = {}
    for name, layer_moments in moments.items():
        if layer_moments.frames:
            mean, variance = layer_moments.mean_and_variance()
            statistics[f"{name}.running_mean"] = mean.astype(np.float32)
            statistics[f"{name}.running_var"] = variance.astype(np.float32)

    return statistics


class Moments:
    """Sums over the inputs of one layer, in float64, since variances are differences of them."""

    def __init__(self) -> None:
        self.frames = 0
        self.sum = np.zeros(())
        self.squares = np.zeros(())

    def add(self, x: Tensor) -> None:
        """Add the frames of a batch [N,C,...]."""
        all_but_channels = [0, *range(2, x.ndim)]
        # [C] each. Without the correction for small samples, moments of batches can be added up.
        batch_variance, batch_mean = torch.var_mean(x, all_but_channels, correction=0)
        variance = batch_variance.cpu().numpy().astype(np.float64)
        mean = batch_mean.cpu().numpy().astype(np.float64)

        # Weighted by frames, so that batches of different sizes can be combined.
        self.frames += len(x)
        self.sum = self.sum + len(x) * mean
        # The mean of squares is the variance plus the square of the mean.
        self.squares = self.squares + len(x) * (variance + mean**2)

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of all frames so far, [C] float64 each."""
        mean = self.sum / self.frames
        # Rounding can make the difference slightly negative.
        return mean, np.maximum(self.squares / self.frames - mean**2, 0)


@contextmanager
def _normalised_by_batch(
    layers: Mapping[str, _BatchNorm], moments: Mapping[str, Moments]
) -> Iterator[None]:
    """Make layers normalise by their batch, and add their inputs to `moments`."""
    # A BatchNorm2d without running statistics normalises by its batch even in eval mode.
    kept = {name: (layer.running_mean, layer.running_var) for name, layer in layers.items()}

    def observe(name: str, x: Tensor) -> None:
        layer = layers[name]
        # A single value per channel and frame: this layer keeps its statistics of training.
        if x[0, 0].numel() == 1:
            layer.running_mean, layer.running_var = kept[name]
            return

        # Set for each input: the branch above may have put the statistics of training back.
        layer.running_mean = layer.running_var = None
        moments[name].add(x)

    hooks = []
    for name, layer in layers.items():
        # `name=name` keeps the name of this layer; a plain closure would see that of the last one.
        hook = layer.register_forward_pre_hook(
            lambda _, inputs, name=name: observe(name, inputs[0])
        )
        hooks.append(hook)

    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, layer in layers.items():
            layer.running_mean, layer.running_var = kept[name]
