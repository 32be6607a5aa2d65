"""MuG's objectives: the identities they rest on, against plain formulations."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from densevos.models.aggregation import aggregate
from densevos.models.encoder import DenseEncoder
from densevos.models.geometry import GeometricRegressor
from densevos.objectives.foreground import bootstrapped_target, foreground_loss, on_cells
from densevos.objectives.matching import affinity, cosines, inlier_score, matching_loss
from densevos.objectives.tracking import (
    crop,
    gaussian_map,
    peak,
    response,
    track_back,
    tracking_loss,
)
from densevos.objectives.video import instance_loss
from densevos.recipes import mug_small


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Frame granularity


@given(st.integers(0, 1000), st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_foreground_loss_is_eq_15(seed: int, alpha: float) -> None:
    logits = rand(seed, 2, 5, 6)
    initial, predicted = (
        (rand(seed + 1, 2, 5, 6) > 0).float(),
        (rand(seed + 2, 2, 5, 6) > 0).float(),
    )
    p = torch.sigmoid(logits)
    plain = -(
        (alpha * initial + (1 - alpha) * predicted) * p.log()
        + (alpha * (1 - initial) + (1 - alpha) * (1 - predicted)) * (1 - p).log()
    )
    target = bootstrapped_target(initial, predicted, alpha)
    loss = foreground_loss(logits, target, torch.ones(2, 5, 6, dtype=torch.bool))
    assert loss.item() == pytest.approx(plain.mean().item(), abs=1e-5)


def test_cells_about_which_nothing_is_known_do_not_count() -> None:
    maps = torch.zeros(1, 4, 8, dtype=torch.uint8)
    maps[:, :, 4:] = 255
    maps[:, 0, :3] = 1
    maps[:, 2:, 2:4] = 1
    target, known = on_cells(maps, (2, 4))
    assert known.tolist() == [[[True, True, False, False]] * 2]
    assert target[0, :, :2].tolist() == [[0.5, 0.25], [0, 1]]
    logits = rand(0, 1, 2, 4).requires_grad_()
    foreground_loss(logits, target, known).backward()
    assert (logits.grad[0, :, 2:] == 0).all()
    assert (logits.grad[0, :, :2] != 0).all()
    assert foreground_loss(logits, target, torch.zeros_like(known)) == 0


def test_a_target_is_the_share_of_what_is_known_of_a_cell() -> None:
    maps = torch.tensor([[[1, 255, 0, 0], [1, 255, 1, 0]]], dtype=torch.uint8)
    target, known = on_cells(maps, (1, 2))
    assert target.tolist() == [[[1.0, 0.25]]]
    assert known.all()


def test_logits_are_enlarged_to_finer_targets() -> None:
    logits = torch.tensor([[[0.0, 4.0]]])  # bilinear, pixels of a half: 0, 1, 3, 4
    target = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])
    known = torch.tensor([[[True, True, True, False]]])
    expected = F.binary_cross_entropy_with_logits(torch.tensor([0.0, 1.0, 3.0]), target[0, 0, :3])
    torch.testing.assert_close(foreground_loss(logits, target, known), expected)


# Short-term granularity


def texture_embedding(images: Tensor) -> Tensor:
    """Unit embeddings at stride 4 that know a cell by its own pixels only."""
    return F.normalize(F.pixel_unshuffle(images, 4), dim=1)


def test_the_response_is_the_mean_cosine_under_the_patch() -> None:
    patch, big = F.normalize(rand(0, 2, 3, 4, 4), dim=1), F.normalize(rand(1, 2, 3, 9, 7), dim=1)
    responses = response(patch, big)
    assert responses.shape == (2, 9, 7)
    for row, column in ((2, 2), (5, 3), (7, 5)):
        under = big[:, :, row - 2 : row + 2, column - 2 : column + 2]
        expected = (patch * under).sum(1).mean((1, 2))
        torch.testing.assert_close(responses[:, row, column], expected, atol=1e-5, rtol=0)


def test_peaks_stay_where_a_patch_fits() -> None:
    responses = torch.zeros(2, 10, 12)
    responses[0, 0, 0], responses[0, 4, 5] = 9, 1
    responses[1, 8, 10] = 1
    assert peak(responses, 4).tolist() == [[4, 5], [8, 10]]


def test_the_gaussian_has_its_peak_at_the_centre() -> None:
    maps = gaussian_map(torch.tensor([[3, 5], [0, 0]]), (8, 9), sigma=1.6)
    assert maps[0, 3, 5] == maps[1, 0, 0] == maps.max() == 1
    assert maps[0, 3, 6].item() == pytest.approx(torch.tensor(-1 / (2 * 1.6**2)).exp().item())


def test_a_moving_texture_is_tracked_forwards_and_back_to_its_start() -> None:
    texture = torch.rand(2, 3, 96, 112, generator=torch.Generator().manual_seed(3)) - 0.5
    frames = torch.stack(
        [texture[:, :, 8 * t : 8 * t + 64, 12 * t : 12 * t + 64] for t in range(3)], dim=1
    )
    maps = texture_embedding(frames.flatten(0, 1)).unflatten(0, (2, 3))
    start = torch.tensor([[10, 11], [8, 12]])
    responses, places = track_back(
        maps, start, 4, lambda at, here: texture_embedding(crop(frames[:, at], here, 4, 4))
    )
    of_features = track_back(maps, start, 4, lambda at, here: crop(maps[:, at], here, 4))
    torch.testing.assert_close(
        (responses, places), of_features
    )  # the same where cells know nothing of one another
    shift = torch.tensor([-2, -3])  # in cells, a frame
    there = [start, start + shift, start + 2 * shift]
    assert torch.equal(places, torch.stack([*there, there[1], there[0]], dim=1))
    sharp = tracking_loss(100 * (responses - 0.9), gaussian_map(start, (16, 16), 0.1), drop_worst=0)
    assert sharp < 1e-4


def test_only_the_last_response_has_a_gradient() -> None:
    frames = torch.rand(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) - 0.5
    maps = texture_embedding(frames.flatten(0, 1)).unflatten(0, (1, 3)).requires_grad_()
    responses, _ = track_back(
        maps, torch.tensor([[4, 4]]), 2, lambda at, here: crop(maps[:, at], here, 2)
    )
    responses.sum().backward()
    assert (maps.grad[0].abs().sum((1, 2, 3)) > 0).tolist() == [
        True,
        True,
        False,
    ]  # of the patch and what it is sought in


def test_an_encoder_finds_a_patch_of_its_features_again_but_not_one_of_the_image() -> None:
    """Cells see more than the patch: cut from the image, it ends on all sides where the frame does
    not.
    """
    torch.manual_seed(0)
    encoder = DenseEncoder(mug_small(Path(), Path()).encoder).eval()
    coarse = torch.rand(4, 3, 40, 40)
    frames = F.interpolate(coarse, (160, 160), mode="bilinear")
    start = torch.randint(3, 18, (4, 2))
    with torch.no_grad():
        maps = encoder(frames)
        patches = {"feature": crop(maps, start, 6), "image": encoder(crop(frames, start, 6, 8))}
        missed = {
            cut: (peak(response(one, maps), 6) - start).float().norm(dim=1)
            for cut, one in patches.items()
        }
    assert (missed["feature"] <= 1.5).all()
    assert missed["image"].mean() > 3


def test_the_worst_tracks_are_dropped_and_the_centre_can_be_balanced() -> None:
    target = gaussian_map(torch.full((10, 2), 8), (16, 16), 1.6)
    logits = torch.full((10, 16, 16), -20.0)
    logits[3] = 20
    assert tracking_loss(logits, target, drop_worst=0) > 0.09
    assert tracking_loss(logits, target, drop_worst=0.1) < 0.04  # the trivial answer costs little
    assert tracking_loss(logits, target, drop_worst=0.1, balance=True) > 0.2


# Long-term granularity


def naive_inliers(affinities: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask [h*w,h,w] of each source cell, dilated, warped, times the affinity, summed."""
    cells = size[0] * size[1]
    mask = F.max_pool2d(torch.eye(cells).view(1, cells, *size), 3, stride=1, padding=1)
    grid = F.affine_grid(theta, [len(theta), 1, *size], align_corners=True)
    warped = F.grid_sample(mask.expand(len(theta), -1, -1, -1), grid, align_corners=True)
    return (warped.flatten(2) * affinities).sum((1, 2)) / cells


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_the_box_sum_equals_the_mask(seed: int) -> None:
    size = (5, 7)
    a, b = (F.normalize(rand(seed + i, 3, 8, *size), dim=1) for i in range(2))
    theta = torch.tensor([[1.0, 0, 0], [0, 1, 0]]) + 0.3 * rand(seed + 2, 3, 2, 3)
    affinities = affinity(cosines(a, b), 0.07)
    torch.testing.assert_close(affinities.sum(1), torch.ones(3, 35))
    ours, naive = inlier_score(affinities, theta, size), naive_inliers(affinities, theta, size)
    torch.testing.assert_close(ours, naive, atol=1e-5, rtol=0)


def test_a_perfect_match_scores_one_in_each_direction() -> None:
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    one = torch.eye(36)[None]
    assert matching_loss(one, one, identity, identity, (6, 6)).item() == pytest.approx(-2)
    assert matching_loss(one, one, identity, identity, (6, 6), "sum").item() == pytest.approx(-72)


KNOWN = torch.tensor([[[0.8, 0.1, 0.35], [-0.15, 0.9, -0.3]]])


def warped_pair(seed: int, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Smooth random embeddings of frame i, and the same seen through KNOWN in frame j."""
    noise = torch.randn(count, 24, 6, 6, generator=torch.Generator().manual_seed(seed))
    field = F.interpolate(noise, size=(side, side), mode="bicubic")
    grid = F.affine_grid(KNOWN.expand(count, 2, 3), [count, 1, side, side], align_corners=True)
    warped = F.grid_sample(field, grid, align_corners=True, padding_mode="border")
    return F.normalize(field, dim=1), F.normalize(warped, dim=1)


def distance_in_cells(theta: Tensor, side: int) -> float:
    """Mean distance of the places to which theta and KNOWN send the cells."""
    there, known = (
        F.affine_grid(t[:1], [1, 1, side, side], align_corners=True) for t in (theta, KNOWN)
    )
    return ((there - known).norm(dim=3).mean() * (side - 1) / 2).item()


@pytest.mark.slow
def test_kappa_starts_at_the_identity_and_recovers_a_known_affine_map() -> None:
    torch.manual_seed(0)
    side, kappa = 12, GeometricRegressor(12)
    optimiser = torch.optim.Adam(kappa.parameters(), lr=1e-3)
    unseen = cosines(*warped_pair(10_000, 32, side))
    assert torch.equal(kappa(unseen)[0], torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    assert distance_in_cells(kappa(unseen), side) > 2.5
    for step in range(200):
        similarity = cosines(*warped_pair(step, 8, side))
        score = inlier_score(affinity(similarity, 0.02), kappa(similarity), (side, side)).mean()
        optimiser.zero_grad()
        (-score).backward()
        optimiser.step()
    kappa.eval()
    assert distance_in_cells(kappa(unseen).mean(0, keepdim=True), side) < 1  # iota asks for no more


# Video granularity


@given(st.integers(0, 1000), st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_aggregation_equals_the_explicit_softmax(seed: int, references: int) -> None:
    query, keys, values = (
        rand(seed, 2, 4, 3, 5),
        rand(seed + 1, 2, references, 4, 2, 3),
        rand(seed + 2, 2, references, 6, 2, 3),
    )
    weights = torch.einsum("bchw,brcxy->bhwrxy", query, keys).flatten(3) / 0.5
    weights = torch.softmax(weights, dim=3)
    explicit = torch.einsum("bhwn,bvn->bvhw", weights, values.transpose(1, 2).flatten(2))
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where the affinity would be in memory
        torch.testing.assert_close(aggregate(query, keys, values, 0.5), explicit, atol=1e-5, rtol=0)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_the_average_of_all_products_is_the_product_of_averages(seed: int) -> None:
    r, other = rand(seed, 6, 4, 5), rand(seed + 1, 6, 4, 5)
    products = r.flatten(1).T @ other.flatten(1)
    torch.testing.assert_close(
        products.mean(), r.mean((1, 2)) @ other.mean((1, 2)), atol=1e-5, rtol=0
    )


def test_the_instance_loss_is_eq_14_and_nothing_for_one_video() -> None:
    queries, instances = F.normalize(rand(0, 4, 6), dim=1), F.normalize(rand(1, 4, 6), dim=1)
    p = torch.softmax(queries @ instances.T / 0.1, dim=1)
    plain = -p.diagonal().log().sum()
    for n in range(4):
        for i in range(4):
            plain = plain - (1 - p[n, i]).log() if i != n else plain
    assert instance_loss(3 * queries, instances, 0.1).item() == pytest.approx(
        plain.item() / 4, rel=1e-4
    )
    assert instance_loss(queries[:1], instances[:1], 0.1) == 0
    one_rank = instance_loss(queries[2:], instances, 0.1, row_offset=2)
    twice = torch.tensor([5, 7, 5, 5])
    alone = instance_loss(
        queries[2:3], instances[1:3], 0.1, row_offset=1
    )  # the one other video is in row 1
    torch.testing.assert_close(instance_loss(queries[2:3], instances, 0.1, 2, twice), alone)
    assert instance_loss(queries, instances, 0.1, videos=torch.zeros(4)) == 0
    both = instance_loss(queries[:2], instances, 0.1) + one_rank
    assert (both / 2).item() == pytest.approx(
        instance_loss(queries, instances, 0.1).item(), rel=1e-5
    )
