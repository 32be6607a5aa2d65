"""Pictures of a training step of DUL."""

import torch

from densevos.config import EncoderConfig, SelfTrainingConfig, ViewConfig
from densevos.learners.panels import colours, draw, self_training_panels
from densevos.learners.views import Views
from densevos.models.encoder import DenseEncoder


def test_pictures_of_a_known_clip() -> None:
    """Two frames of 2 x 2 cells, whose keys say which cell of the reference they are; the second
    frame is mirrored.
    """
    keys = torch.eye(4).view(1, 4, 2, 2)
    keys = torch.cat([keys, keys.flip(3)])
    clip = Views(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 2, 3, 8, 8), torch.eye(2, 3)[None])
    pictures = draw(clip, keys, keys, torch.arange(4)[None], temperature=0.05)

    assert {picture.shape for picture in pictures.values()} == {(3, 8, 16)}
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures.values())
    palette = colours(4)
    cells = pictures["labels"][:, ::4, ::4]  # [3,2,4]: one pixel of each cell
    torch.testing.assert_close(
        cells.permute(1, 2, 0), palette[torch.tensor([[0, 1, 1, 0], [2, 3, 3, 2]])]
    )
    # The middle anchor is the third, the lower left cell, which is on the right of the mirrored
    # frame.
    assert pictures["affinity"][0, ::4, ::4].tolist() == [[0, 0, 0, 0], [1, 0, 0, 1]]
    torch.testing.assert_close(pictures["frames"][:, 1, 1], palette[0])
    torch.testing.assert_close(pictures["frames"][:, 0, 0], pictures["second_view"][:, 0, 0])


def test_the_encoder_stays_as_it_is() -> None:
    torch.manual_seed(0)
    encoder = DenseEncoder(EncoderConfig(key_channels=8)).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    frames = torch.randint(256, (3, 3, 64, 64), dtype=torch.uint8)
    objective, views = SelfTrainingConfig(anchor_grid=4), ViewConfig()
    drawn = [
        self_training_panels(encoder, objective, views, frames, torch.Generator().manual_seed(seed))
        for seed in (0, 0)
    ]
    assert set(drawn[0]) == {"frames", "second_view", "labels", "affinity", "error"}
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert drawn[0]["labels"].shape == (3, 64, 192)
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_colours_differ() -> None:
    palette = colours(64)
    assert palette.shape == (64, 3)
    distance = (palette[:, None] - palette[None]).abs().sum(2)
    assert distance[~torch.eye(64, dtype=torch.bool)].min() > 0.03
