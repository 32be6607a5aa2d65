"""The DUL step against golden values, and what must hold for any input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from densevos.config import SelfTrainingConfig
from densevos.learners.self_training import losses_at
from densevos.objectives.anchors import align, gather_cells, grid_indices
from densevos.objectives.cross_view import cross_view_loss
from densevos.objectives.self_training import own_rows, pseudo_labels, self_training_error


def check_golden(path: Path) -> None:
    with np.load(path) as file:
        golden = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    frames = int(golden["frames_per_clip"])
    config = SelfTrainingConfig(
        anchor_grid=int(golden["anchor_grid"]),
        cross_view_grid=int(golden["cross_view_grid"]),
        temperature=float(golden["temperature"]),
        cross_view_weight=float(golden["cross_view_weight"]),
    )
    main = golden["main_features"].requires_grad_()
    first, second = (x.unflatten(0, (-1, frames)) for x in (main, golden["regularising_features"]))
    theta = golden["theta_main_to_regularising"][::frames]
    anchors, cross = golden["anchor_index"].flatten(1), golden["cross_view_index"].flatten(1)
    losses = losses_at(first, second, theta, anchors, cross, config)
    losses["loss"].backward()
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(losses["loss"].detach(), golden["loss_total"], **close)
    torch.testing.assert_close(
        losses["self_training"].detach(), golden["loss_self_training"], **close
    )
    torch.testing.assert_close(losses["cross_view"].detach(), golden["loss_cross_view"], **close)
    torch.testing.assert_close(main.grad, golden["grad_main_features"], **close)

    own = gather_cells(first[:, 0].detach(), anchors)
    labels = own_rows(pseudo_labels(second, own), own.shape[1])
    assert torch.equal(labels.flatten(0, 1), golden["pseudo_labels"])
    aligned = align(main.detach(), golden["theta_main_to_regularising"]).view_as(first)
    error = self_training_error(aligned, own.flatten(0, 1), labels, config.temperature)
    torch.testing.assert_close(error.flatten(0, 1), golden["error_map"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["small", "rect"])
def test_step_matches_golden_values(golden: Path, name: str) -> None:
    check_golden(golden / f"dul_loss_{name}.npz")


def test_step_matches_golden_values_at_full_size(shared: Path) -> None:
    check_golden(shared / "golden" / "dul_loss_default.npz")


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-3)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9), st.booleans())
def test_grid_has_one_cell_of_each_block(
    batch: int, height: int, width: int, seed: int, jitter: bool
) -> None:
    for cells in range(1, min(height, width) + 1):
        generator = torch.Generator().manual_seed(seed)
        index = grid_indices(batch, height, width, cells, generator, jitter=jitter)
        rows, columns = index // width, index % width
        assert index.shape == (batch, cells * cells)
        assert bool(
            (rows // (height // cells) == torch.arange(cells).repeat_interleave(cells)).all()
        )
        assert bool((columns // (width // cells) == torch.arange(cells).repeat(cells)).all())


def test_grid_offset_is_shared_within_a_clip_and_differs_between_clips() -> None:
    index = grid_indices(64, 32, 32, 8, torch.Generator().manual_seed(0))
    offsets = index - index[:, :1]
    assert bool((offsets == offsets[0]).all())
    assert len(index[:, 0].unique()) > 8
    still = grid_indices(64, 32, 32, 8, torch.Generator().manual_seed(0), jitter=False)
    assert len(still[:, 0].unique()) == 1


def test_grid_finer_than_the_map_is_refused() -> None:
    with pytest.raises(ValueError, match="finer than the 4 x 9"):
        grid_indices(1, 4, 9, 5, torch.Generator())


def test_gathered_cells_carry_the_gradient() -> None:
    features = unit(2, 3, 4, 5).requires_grad_()
    index = torch.tensor([[0, 7], [19, 7]])
    cells = gather_cells(features, index)
    assert torch.equal(cells[1, 0], features[1, :, 3, 4])
    cells.sum().backward()
    expected = torch.zeros(2, 20).scatter(1, index, 1.0).view(2, 1, 4, 5).expand(2, 3, 4, 5)
    assert torch.equal(features.grad, expected)


def test_align_with_identity_and_mirror() -> None:
    features = unit(1, 3, 6, 8)
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    mirror = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    assert torch.equal(align(features, identity), features)
    assert torch.equal(align(features, mirror), features.flip(-1))


def test_pseudo_labels_are_the_masked_argmax_of_the_softmax_over_all_anchors() -> None:
    keys, own = unit(3, 2, 8, 4, 4, seed=1), unit(3, 8, 5, 1, seed=2).flatten(2).transpose(1, 2)
    affinity = torch.einsum("btkhw,ak->btahw", keys, own.flatten(0, 1)).div(0.05).softmax(dim=2)
    mask = torch.block_diag(*[torch.ones(1, 5)] * 3).view(3, 1, 15, 1, 1)
    expected = (affinity * mask).argmax(dim=2)
    assert torch.equal(own_rows(pseudo_labels(keys, own), 5), expected)


def test_no_gradient_reaches_the_pseudo_labels_branch() -> None:
    first, second = (
        unit(2, 3, 8, 8, 8, seed=1).requires_grad_(),
        unit(2, 3, 8, 8, 8, seed=2).requires_grad_(),
    )
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).repeat(2, 1, 1)
    index = torch.arange(4).repeat(2, 1)
    losses = losses_at(first, second, theta, index, index, SelfTrainingConfig())
    losses["self_training"].backward()
    assert second.grad is None
    assert bool(first.grad[:, 1:].abs().sum() > 0)
    assert bool(first.grad[:, 0].flatten(2)[:, :, :4].abs().sum() > 0), (
        "the gradient flows through the anchors"
    )


def test_cross_view_loss_is_least_for_matching_views() -> None:
    cells = F.normalize(torch.randn(12, 16, generator=torch.Generator().manual_seed(3)), dim=1)
    matching = cross_view_loss(cells, cells, 0.05)
    assert matching < cross_view_loss(cells, cells.roll(1, 0), 0.05)
    plain = -torch.log_softmax(cells @ cells.T / 0.05, dim=1).diagonal().mean()
    torch.testing.assert_close(matching, plain)
    torch.testing.assert_close(
        cross_view_loss(cells[4:8], cells, 0.05, row_offset=4),
        -torch.log_softmax(cells[4:8] @ cells.T / 0.05, dim=1)[:, 4:8].diagonal().mean(),
    )
