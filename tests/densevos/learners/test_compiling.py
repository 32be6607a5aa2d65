"""What torch.compile can take of a DUL step is one graph each: the encoder, and the losses at given
anchors.
"""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from densevos.config import EncoderConfig, SelfTrainingConfig
from densevos.learners.self_training import losses_at
from densevos.models.encoder import DenseEncoder
from densevos.objectives.anchors import grid_indices

CONFIG = SelfTrainingConfig(anchor_grid=2, cross_view_grid=2)


@pytest.mark.slow
def test_no_graph_breaks() -> None:
    draw = torch.Generator().manual_seed(0)
    first, second = (
        F.normalize(torch.randn(2, 3, 8, 4, 4, generator=draw), dim=2) for _ in range(2)
    )
    theta = torch.tensor([[0.5, 0, 0.1], [0, 0.5, 0]]).repeat(2, 1, 1)
    cells = [grid_indices(2, 4, 4, 2, draw) for _ in range(2)]
    encoder = DenseEncoder(EncoderConfig(key_channels=8, last="res3"))
    for part in (
        partial(torch._dynamo.explain(encoder), torch.randn(2, 3, 32, 32, generator=draw)),
        partial(torch._dynamo.explain(losses_at), first, second, theta, *cells, CONFIG),
    ):
        found = part()
        assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons
