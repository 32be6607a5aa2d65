"""Gradient reversal, the general adversarial loss, what it judges, and the segmentation loss beside
it.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.masks import VOID
from densevos.objectives.clustered import clustered_loss, draw_pairs
from densevos.objectives.clustering import kmeans
from densevos.objectives.domain import chance_level, domain_accuracy, domain_loss
from densevos.objectives.domain_samples import clips_of, domains_of, frames_of, maps_of, tokens_of
from densevos.objectives.reversal import ramp, reverse
from densevos.objectives.segmentation import class_weights, segmentation_loss


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Reversal


@given(st.integers(0, 1000), st.floats(0, 10))
@settings(deadline=None, max_examples=20)
def test_reversal_is_the_identity_forwards_and_minus_mu_backwards(seed: int, mu: float) -> None:
    x, weight = rand(seed, 4, 3), rand(seed + 1, 4, 3)
    plain, turned = x.clone().requires_grad_(), x.clone().requires_grad_()
    (plain.sin() * weight).sum().backward()
    out = reverse(turned, mu)
    assert torch.equal(out, turned)
    (out.sin() * weight).sum().backward()
    torch.testing.assert_close(turned.grad, -mu * plain.grad)


def test_the_discriminator_learns_at_full_rate_what_the_encoder_unlearns() -> None:
    images, is_source = (
        rand(0, 32, 4) + torch.tensor([1.0, 0, 0, 0]) * (torch.arange(32) < 16)[:, None],
        torch.arange(32),
    )
    is_source = is_source < 16
    torch.manual_seed(0)
    encoder, discriminator = nn.Linear(4, 4), nn.Linear(4, 1)

    def gradients(mu: float | None) -> tuple[Tensor, Tensor]:
        features = encoder(images)
        seen = features if mu is None else reverse(features, mu)
        loss = domain_loss(discriminator(seen)[:, 0], is_source)
        of_encoder, of_discriminator = torch.autograd.grad(
            loss, [encoder.weight, discriminator.weight]
        )
        return of_encoder, of_discriminator

    plain, reversed_, half = gradients(None), gradients(1.0), gradients(0.5)
    torch.testing.assert_close(reversed_[0], -plain[0])
    torch.testing.assert_close(half[0], -0.5 * plain[0])
    assert torch.equal(reversed_[1], plain[1])
    assert torch.equal(half[1], plain[1])

    def loss() -> Tensor:
        return domain_loss(discriminator(encoder(images))[:, 0], is_source)

    before = loss()
    with torch.no_grad():
        discriminator.weight -= 0.1 * reversed_[1]
        after_discriminator = loss()
        discriminator.weight += 0.1 * reversed_[1]
        encoder.weight -= 0.1 * reversed_[0]
        after_encoder = loss()
    assert (
        after_discriminator < before < after_encoder
    )  # each by a step of gradient descent on L_seg + L_adv


def test_the_ramp_goes_from_nothing_to_one() -> None:
    values = [ramp(step / 100) for step in range(101)]
    assert values[0] == 0
    assert values[-1] == pytest.approx(1, abs=1e-4)
    assert values == sorted(values)
    assert ramp(0.1) == pytest.approx(2 / (1 + math.exp(-1)) - 1)


# General loss


@given(st.integers(0, 1000), st.sampled_from([(), (3, 5), (2, 3, 3)]))
@settings(deadline=None, max_examples=30)
def test_domain_loss_is_eq_2_with_both_terms_negative(seed: int, grid: tuple[int, ...]) -> None:
    logits, is_source = 3 * rand(seed, 6, *grid), rand(seed + 1, 6) > 0
    total = 0.0
    for row, source in zip(logits, is_source, strict=True):
        p = torch.sigmoid(row.double())
        total += float(-(p.log() if source else (1 - p).log()).sum())
    loss = domain_loss(logits, is_source)
    assert loss >= 0
    assert loss.item() == pytest.approx(total / logits.numel(), rel=1e-4)


def test_domain_loss_is_that_of_large_logits_and_of_low_precision() -> None:
    is_source = torch.tensor([True, False])
    assert domain_loss(torch.tensor([-200.0, 200.0]), is_source) == 200
    assert (
        domain_loss(torch.tensor([0.5, 0.5], dtype=torch.bfloat16), is_source).dtype
        == torch.float32
    )
    nothing = torch.zeros(0, requires_grad=True)
    domain_loss(nothing, is_source[:0]).backward()
    assert nothing.grad.shape == (0,)


@pytest.mark.parametrize(
    ("share", "chance"), [(0.5, math.log(2)), (2 / 3, 0.6365), (0.2, 0.5004), (0, 0), (1, 0)]
)
def test_chance_levels(share: float, chance: float) -> None:
    assert chance_level(share).item() == pytest.approx(chance, abs=1e-4)
    if 0 < share < 1:
        is_source = torch.arange(30) < 30 * share - 1e-6
        constant = torch.full((30,), math.log(share / (1 - share)))
        assert domain_loss(constant, is_source).item() == pytest.approx(chance, abs=1e-4)
        assert domain_loss(constant + 0.1, is_source).item() > chance


def test_accuracy_of_each_domain() -> None:
    is_source = torch.tensor([True, True, True, False])
    assert domain_accuracy(torch.tensor([2.0, 2, -1, -1]), is_source) == (pytest.approx(2 / 3), 1)
    assert domain_accuracy(torch.tensor([1.0, 1, 1.2, 1]), is_source) == (
        pytest.approx(1 / 3),
        1,
    )  # odds of 3 are 1.1
    patches = torch.tensor([2.0, 2, 2, 2])[:, None].repeat(1, 5) * torch.tensor([1, 1, 1, 1, -1])
    assert domain_accuracy(patches, is_source) == (pytest.approx(0.8), pytest.approx(0.2))
    assert domain_accuracy(torch.full((3,), 20.0), torch.ones(3, dtype=torch.bool)) == (1, 0)


# What is judged

VALID = torch.tensor([[True, False, False], [True, True, True]])  # an image, padded, and a clip


def test_frames_maps_and_tokens_of_a_tap() -> None:
    tap = rand(0, 2, 3, 5, 4, 6)
    frames = frames_of(tap, VALID)
    assert torch.equal(frames, torch.cat([tap[0, :1], tap[1]]))
    maps, tokens = maps_of(tap, VALID), tokens_of(tap, VALID)
    assert maps.shape == (4 * 5, 24)
    assert torch.equal(maps[7], tap[1, 0, 2].flatten())
    assert tokens.shape == (4 * 24, 5)
    assert torch.equal(tokens[24 + 7], tap[1, 0, :, 1, 1])
    assert domains_of(torch.tensor([True, False]), VALID).tolist() == [True, False, False, False]
    assert domains_of(torch.tensor([True, False]), VALID, 5).tolist() == [True] * 5 + [False] * 15


def test_a_padded_image_is_a_clip_that_stands_still() -> None:
    tap = rand(0, 2, 3, 5, 4, 6)
    clips = clips_of(tap, VALID)
    assert clips.shape == (2, 5, 3, 4, 6)
    assert torch.equal(clips[0], tap[0, :1].transpose(0, 1).expand(5, 3, 4, 6))
    assert torch.equal(clips[1], tap[1].transpose(0, 1))


@pytest.mark.parametrize("kind", ["frames", "maps", "tokens", "clips", "clustered"])
def test_padded_frames_have_no_adversarial_gradient(kind: str) -> None:
    tap = rand(0, 2, 3, 8, 4, 4).requires_grad_()
    seen, is_source = reverse(tap, 1.0), torch.tensor([True, False])
    if kind == "clustered":
        generator = torch.Generator().manual_seed(0)
        maps, of_maps = maps_of(seen, VALID), domains_of(is_source, VALID, 8)
        pairs = draw_pairs(kmeans(maps, 2, 5, generator)[0], of_maps, 60, generator)
        assert pairs.valid.all()
        loss = clustered_loss(
            (maps[pairs.first] * maps[pairs.second]).sum(1), pairs.same, pairs.valid
        )
    elif kind == "clips":
        loss = domain_loss(clips_of(seen, VALID).sin().flatten(1).sum(1), is_source)
    else:
        rows, units = {"frames": (frames_of, 1), "maps": (maps_of, 8), "tokens": (tokens_of, 16)}[
            kind
        ]
        loss = domain_loss(
            rows(seen, VALID).sin().flatten(1).sum(1), domains_of(is_source, VALID, units)
        )
    loss.backward()
    assert (tap.grad[~VALID] == 0).all()
    assert (tap.grad[VALID] != 0).any(dim=(1, 2, 3)).all()


def test_the_literal_reading_shows_padded_frames_too() -> None:
    tap = rand(0, 2, 3, 8, 4, 4).requires_grad_()
    everything = torch.ones_like(VALID)
    maps = maps_of(reverse(tap, 1.0), everything)
    domain_loss(maps.sum(1), domains_of(torch.tensor([True, False]), everything, 8)).backward()
    assert (tap.grad != 0).all()


# Segmentation


@given(st.integers(0, 1000), st.booleans())
@settings(deadline=None, max_examples=20)
def test_segmentation_loss_is_the_weighted_mean_over_labelled_pixels(
    seed: int, weighted: bool
) -> None:
    logits = rand(seed, 2, 4, 5, 6)
    labels = torch.randint(
        0, 4, (2, 5, 6), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )
    labels[rand(seed + 1, 2, 5, 6) > 0] = VOID
    weights = torch.tensor([0.1, 1.0, 2.0, 5.0]) if weighted else None
    expected = F.cross_entropy(logits, labels.long(), weights, ignore_index=VOID)
    loss = segmentation_loss(logits, labels, weights)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss >= 0


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_without_a_label_the_segmentation_loss_is_a_zero_with_gradients(
    weights: Tensor | None,
) -> None:
    logits = rand(0, 2, 3, 4, 4).requires_grad_()
    loss = segmentation_loss(logits, torch.full((2, 4, 4), VOID, dtype=torch.uint8), weights)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_unlabelled_frames_do_not_reach_the_segmentation_loss() -> None:
    logits = rand(0, 2, 3, 4, 4).requires_grad_()
    labels = torch.zeros(2, 4, 4, dtype=torch.uint8)
    labels[1] = VOID
    segmentation_loss(logits, labels).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).all()


def test_rare_classes_weigh_more() -> None:
    assert class_weights(torch.tensor([900, 100, 0, 50])).tolist() == pytest.approx(
        [1 / 9, 1, 1, 2]
    )
