"""Discriminators: what they see, what they answer, how large they are."""

import pytest
import torch
from torch import nn

from densevos.base.errors import InputError
from densevos.models.discriminators import PAIRED, PairPerceptron, make_discriminator


@pytest.mark.parametrize(
    ("kind", "seen", "answer"),
    [
        ("conv", (3, 8, 17, 20), (3,)),
        ("maps", (24, 340), (24,)),
        ("tokens", (7, 8), (7,)),
        ("global", (3, 2720), (3,)),
        ("patch2d", (3, 8, 17, 20), (3, 1, 1)),
        ("patch3d", (3, 8, 4, 17, 20), (3, 4, 1, 1)),
    ],
)
def test_a_logit_for_every_item(kind, seen, answer) -> None:
    discriminator = make_discriminator(kind, (8, 17, 20))
    logits = discriminator(torch.randn(seen))
    assert logits.shape == answer
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


@pytest.mark.parametrize("pairs", [5, 40])
def test_a_pair_is_seen_side_by_side(pairs: int) -> None:
    discriminator = make_discriminator("pairs", (8, 3, 4))
    assert isinstance(discriminator, PairPerceptron)
    features = torch.randn(20, 12)
    first, second = torch.randint(0, 20, (2, pairs))
    weight = torch.cat([discriminator.left.weight, discriminator.right.weight], dim=1)
    both = torch.cat([features[first], features[second]], dim=1)
    expected = discriminator.rest(nn.functional.linear(both, weight, discriminator.right.bias))
    assert torch.allclose(discriminator(features, first, second), expected, atol=1e-5)


@pytest.mark.parametrize("pairs", [5, 40])
def test_a_siamese_sees_each_alike(pairs: int) -> None:
    discriminator = make_discriminator("siamese", (8, 3, 4))
    features = torch.randn(20, 12)
    first, second = torch.randint(0, 20, (2, pairs))
    logits = discriminator(features, first, second)
    assert logits.shape == (pairs,)
    assert torch.allclose(discriminator(features, second, first), logits, atol=1e-6)
    whole = torch.stack(
        [discriminator(features, *pair[:, None])[0] for pair in torch.stack([first, second], 1)]
    )
    assert torch.allclose(whole, logits, atol=1e-6)
    logits.sum().backward()
    assert all(parameter.grad.any() for parameter in discriminator.parameters())


def test_a_siamese_learns_at_once_what_pairs_side_by_side_must_discover() -> None:
    """Two domains that one of 64 numbers tells apart."""
    losses = {}
    for kind in PAIRED:
        torch.manual_seed(0)
        discriminator = make_discriminator(kind, (1, 8, 8))
        optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-4, betas=(0.5, 0.999))
        for _ in range(80):
            is_source = torch.arange(64) < 32
            features = torch.randn(64, 64)
            features[:, 0] += torch.where(is_source, 2.0, -2.0)
            first, second = torch.randint(0, 64, (2, 96))
            same = (is_source[first] == is_source[second]).float()
            loss = nn.functional.binary_cross_entropy_with_logits(
                discriminator(features, first, second), same
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses[kind] = float(loss.detach())
    assert losses["siamese"] < losses["pairs"] - 0.05


@pytest.mark.parametrize(
    ("kind", "shape", "millions"),
    [
        ("maps", (96, 64, 64), 2.23),
        ("pairs", (96, 64, 64), 4.33),
        ("siamese", (96, 64, 64), 2.36),
        ("tokens", (96, 64, 64), 0.058),
        ("global", (768, 8, 8), 25.3),
        ("patch2d", (96, 128, 128), 0.76),
    ],
)
def test_sizes_that_the_papers_leave_open(kind, shape, millions: float) -> None:
    with torch.device("meta"):
        discriminator = make_discriminator(kind, shape)
    assert sum(p.numel() for p in discriminator.parameters()) / 1e6 == pytest.approx(
        millions, rel=0.03
    )


def test_patches_of_the_papers_3d_tap() -> None:
    with torch.device("meta"):
        flat, clips = (make_discriminator(kind, (96, 128, 128)) for kind in ("patch2d", "patch3d"))
        assert flat(torch.empty(4, 96, 128, 128)).shape == (4, 15, 15)
        assert clips(torch.empty(1, 96, 4, 128, 128)).shape == (1, 4, 15, 15)


def test_the_3d_patches_see_other_frames() -> None:
    discriminator = make_discriminator("patch3d", (2, 16, 16))
    clip = torch.randn(1, 2, 9, 16, 16, requires_grad=True)
    discriminator(clip)[0, 4].sum().backward()
    assert (clip.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).all()


@pytest.mark.parametrize(
    "kind", ["conv", "maps", *PAIRED, "tokens", "global", "patch2d", "patch3d"]
)
def test_no_statistics_of_a_batch_of_both_domains(kind) -> None:
    norms = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    assert not any(
        isinstance(module, norms) for module in make_discriminator(kind, (4, 16, 16)).modules()
    )


@pytest.mark.parametrize("kind", ["patch2d", "patch3d"])
def test_maps_too_small_for_patches(kind) -> None:
    with pytest.raises(
        InputError, match=f"discriminator {kind}: .*16 x 16 cells or more, not 8 x 8"
    ):
        make_discriminator(kind, (4, 8, 8))


def test_conv_has_the_papers_layers_in_their_order() -> None:
    layers = [
        type(layer)
        for layer in make_discriminator("conv", (4, 8, 8))
        if not isinstance(layer, nn.Flatten)
    ]
    assert layers == [nn.Conv2d, nn.Linear, nn.Dropout, nn.ReLU, nn.Linear]
