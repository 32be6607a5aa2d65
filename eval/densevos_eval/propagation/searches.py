"""Choose the fastest search for a device."""

from collections.abc import Callable

from torch import Tensor

from densevos_eval.propagation.affinity import Affinity
from densevos_eval.propagation.search import Search
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.propagation.windows import WindowSearch

NewSearch = Callable[[Tensor, PropagationConfig], Search]


def new_search(first: Tensor, config: PropagationConfig, *, bf16: bool = False) -> Search:
    """The fastest search on the device of the features.

    Args:
        first: Unit features [h,w,C] of a typical frame.
        config: Radius, window, top k and ties.
        bf16: Whether a search on a GPU may compare in bfloat16 first, see `WindowSearch`.
    """
    # The tile search chooses by values, for which the host would have to wait on a GPU.
    if first.device.type == "cpu":
        return tile_search(first, config)

    return window_search(first, config, bf16=bf16)


def tile_search(first: Tensor, config: PropagationConfig) -> Search:
    """The search for CPUs."""
    return Affinity(
        first, radius=config.radius, topk=int(config.topk), window=config.window, ties=config.ties
    )


def window_search(first: Tensor, config: PropagationConfig, *, bf16: bool = False) -> Search:
    """The search for GPUs."""
    return WindowSearch(
        first,
        radius=config.radius,
        topk=int(config.topk),
        window=config.window,
        ties=config.ties,
        bf16=bf16,
    )
