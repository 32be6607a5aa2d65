"""BatchNorm's statistics of other frames than those of training, without labels: AdaBN (Li et al.,
2016).

Shapes: C channels of a layer, N frames of a batch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Batch = TypeVar("Batch")


def batch_norm_layers(network: nn.Module) -> dict[str, _BatchNorm]:
    """All layers of BatchNorm by name."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, _BatchNorm)}


@torch.inference_mode()
def estimate_statistics(
    network: nn.Module, forward: Callable[[Batch], object], batches: Iterable[Batch]
) -> dict[str, np.ndarray]:
    """Mean and variance of the input of BatchNorm layers, over the frames of all batches.

    Meanwhile each layer normalises by its own batch, as in training, so that what a layer sees does
    not depend on the statistics of training. Variances are those of all frames together, also
    between batches. Each frame counts the same, whatever its size and its batch. If all frames are
    one batch, the network then computes in eval mode what it computed here.

    A layer that sees a single value of each channel in a frame, as behind a global pooling, keeps
    its statistics of training: frames of one video are so alike there that their variance is nearly
    nothing.

    Args:
        network: In eval mode. It is left as it was.
        forward: Shows one batch to the network.
        batches: What to show.

    Returns:
        The arrays [C] float32 to load into the network, by their names in its state_dict.
    """
    layers = batch_norm_layers(network)
    moments = {name: Moments() for name in layers}
    with _normalised_by_batch(layers, moments):
        for batch in batches:
            forward(batch)

    statistics = {}
    for name, one in moments.items():
        if one.frames:
            mean, variance = one.mean_and_variance()
            statistics[f"{name}.running_mean"] = mean.astype(np.float32)
            statistics[f"{name}.running_var"] = variance.astype(np.float32)

    return statistics


class Moments:
    """Sums over what one layer sees: float64, since variances are their differences."""

    def __init__(self) -> None:
        self.frames = 0
        self.sum = np.zeros(())
        self.squares = np.zeros(())

    def add(self, x: Tensor) -> None:
        """Count the frames of a batch [N,C,...]."""
        places = [0, *range(2, x.ndim)]
        variance, mean = (
            each.cpu().numpy().astype(np.float64)
            for each in torch.var_mean(x, places, correction=0)
        )
        self.frames += len(x)
        self.sum = self.sum + len(x) * mean
        self.squares = self.squares + len(x) * (variance + mean**2)

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """[C] float64 each, of all frames so far."""
        mean = self.sum / self.frames
        return mean, np.maximum(self.squares / self.frames - mean**2, 0)


@contextmanager
def _normalised_by_batch(
    layers: Mapping[str, _BatchNorm], moments: Mapping[str, Moments]
) -> Iterator[None]:
    """Layers without running statistics normalise by the batch, and nothing is updated; see
    nn.BatchNorm2d.
    """
    kept = {name: (layer.running_mean, layer.running_var) for name, layer in layers.items()}

    def look(name: str, x: Tensor) -> None:
        layer = layers[name]
        if x[0, 0].numel() == 1:
            layer.running_mean, layer.running_var = kept[name]
            return

        layer.running_mean = layer.running_var = None
        moments[name].add(x)

    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: look(name, inputs[0]))
        for name, layer in layers.items()
    ]

    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, layer in layers.items():
            layer.running_mean, layer.running_var = kept[name]
