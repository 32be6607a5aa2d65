"""k-means and the pairs drawn within its clusters."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from densevos.models.discriminators import PairPerceptron
from densevos.objectives.clustered import (
    Pairs,
    Ratio,
    cluster_statistics,
    clustered_loss,
    draw_pairs,
    pair_accuracy,
    same_share,
)
from densevos.objectives.clustering import kmeans, lloyd
from densevos.objectives.domain import chance_level

RATIOS: list[Ratio] = [(1, 1, 1), (2, 1, 1)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed))


class NeverWaits(TorchDispatchMode):
    """Refuses operations whose result the host would have to wait for on a GPU."""

    WAITING = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "unique",
        "bincount",
        "item",
        "repeat_interleave.T",
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in self.WAITING), func
        return func(*args, **(kwargs or {}))


# k-means


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 8), st.integers(0, 30))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_lloyd_is_scikit_learns_from_the_same_centres(
    seed: int, dimensions: int, clusters: int, iterations: int
) -> None:
    points = rand(seed, 300, dimensions)
    start = points[:clusters].clone()  # on points: none is empty at first
    labels, centres = lloyd(points, start, iterations)
    if iterations == 0:
        assert torch.equal(centres, start)
        assert torch.equal(labels, torch.cdist(points, start).argmin(1))
        return
    theirs = KMeans(
        clusters, init=start.numpy(), n_init=1, max_iter=iterations, tol=0, algorithm="lloyd"
    )
    theirs.fit(points.numpy())
    np.testing.assert_allclose(centres.numpy(), theirs.cluster_centers_, atol=1e-4)
    assert (labels.numpy() == theirs.labels_).mean() > 0.99  # points halfway between two centres


def test_an_empty_cluster_keeps_its_centre() -> None:
    points, far = rand(0, 50, 2), torch.tensor([1e3, 1e3])
    labels, centres = lloyd(points, torch.stack([points[0], far]), 5)
    assert (labels == 0).all()
    assert torch.equal(centres[1], far)
    torch.testing.assert_close(centres[0], points.mean(0))


def test_kmeans_finds_what_is_apart_whatever_the_points_precision() -> None:
    middles = torch.tensor([[0.0, 0], [20, 0], [0, 20], [20, 20]])
    truth = torch.arange(4).repeat(25)
    points = middles[truth] + rand(0, 100, 2)
    tries = [kmeans(points.bfloat16(), 4, 10, seeded(seed)) for seed in range(10)]
    best, centres = min(tries, key=lambda found: (points - found[1][found[0]]).square().sum())
    assert centres.dtype == torch.float32
    assert all(len(best[truth == k].unique()) == 1 for k in range(4))


def test_kmeans_repeats_with_its_generator_and_leaves_the_graph_alone() -> None:
    points = rand(0, 200, 6).requires_grad_()
    first, again, other = (kmeans(points, 11, 20, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
    assert not first[1].requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(kmeans(points, 11, 20, seeded(3))[1], first[1])


def test_more_clusters_than_points_are_refused() -> None:
    with pytest.raises(ValueError, match="11 clusters of 10 points"):
        kmeans(rand(0, 10, 2), 11, 5, seeded())


# Pairs


def kinds(pairs: Pairs, clusters: Tensor, is_source: Tensor) -> dict[int, Counter[str]]:
    """How many pairs of each kind the clusters have."""
    found: dict[int, Counter[str]] = {}
    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        kind = "".join(sorted("ts"[int(is_source[i])] for i in (a, b)))
        found.setdefault(int(clusters[a]), Counter())[kind] += 1
    return found


@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=11).filter(
        lambda s: any(map(sum, s))
    ),
    st.integers(4, 200),
    st.sampled_from(RATIOS),
)
@settings(deadline=None, max_examples=150)
def test_pairs_are_balanced_in_every_cluster_that_has_both_domains(
    seed: int, sizes: list[tuple[int, int]], wanted: int, ratio: Ratio
) -> None:
    clusters = torch.tensor([k for k, (s, t) in enumerate(sizes) for _ in range(s + t)])
    clusters = clusters.clamp(max=len(clusters) - 1)
    is_source = torch.tensor([i < s for s, t in sizes for i in range(s + t)])
    shuffled = torch.randperm(len(clusters), generator=seeded(seed))
    clusters, is_source = clusters[shuffled], is_source[shuffled]
    pairs = draw_pairs(clusters, is_source, wanted, seeded(seed), ratio)

    count = wanted // sum(ratio) * sum(ratio)
    assert (
        pairs.first.shape == pairs.second.shape == pairs.same.shape == pairs.valid.shape == (count,)
    )
    members = {
        k: (is_source[clusters == k].sum(), (~is_source[clusters == k]).sum())
        for k in clusters.unique().tolist()
    }
    usable = {k for k, (s, t) in members.items() if s >= 2 and t >= 2}
    assert pairs.valid.all() if usable else not pairs.valid.any()
    if not usable:
        return
    assert (pairs.first != pairs.second).all()
    assert torch.equal(clusters[pairs.first], clusters[pairs.second])
    assert torch.equal(pairs.same, is_source[pairs.first] == is_source[pairs.second])
    for cluster, found in kinds(pairs, clusters, is_source).items():
        assert cluster in usable
        units = found["ss"] // ratio[1]
        assert (found["st"], found["ss"], found["tt"]) == tuple(units * part for part in ratio)


def test_clusters_have_pairs_in_proportion_to_their_features() -> None:
    sizes = (400, 200, 100, 50)
    clusters = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    is_source = torch.arange(len(clusters)) % 2 == 0
    pairs = draw_pairs(clusters, is_source, 3 * 750, seeded(), (1, 1, 1))
    drawn = clusters[pairs.first].bincount()
    assert all(abs(int(n) - 3 * size) <= 3 for n, size in zip(drawn, sizes, strict=True))


def test_every_feature_takes_part_and_the_order_tells_nothing() -> None:
    clusters = torch.zeros(12, dtype=torch.long)
    is_source = torch.arange(12) < 5
    pairs = draw_pairs(clusters, is_source, 3000, seeded())
    same, mixed = pairs.same, ~pairs.same
    assert is_source[pairs.first[mixed]].float().mean().item() == pytest.approx(0.5, abs=0.05)
    for kind, members in ((same & is_source[pairs.first], 5), (same & ~is_source[pairs.first], 7)):
        drawn = Counter(zip(pairs.first[kind].tolist(), pairs.second[kind].tolist(), strict=True))
        assert len(drawn) == members * (members - 1)  # every ordered pair, none with itself
        assert max(drawn.values()) < 3 * 1000 / len(drawn)


def test_pairs_repeat_with_their_generator() -> None:
    clusters, is_source = torch.arange(100) % 7, torch.arange(100) < 50
    first, again, other = (draw_pairs(clusters, is_source, 60, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.first, again.first)
    assert torch.equal(first.second, again.second)
    assert not torch.equal(first.first, other.first)


def test_fewer_pairs_than_a_ratio_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="3 pairs cannot be split 2:1:1"):
        draw_pairs(torch.zeros(8, dtype=torch.long), torch.arange(8) < 4, 3, seeded(), (2, 1, 1))


# Loss


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_clustered_loss_is_eq_3_with_both_terms_negative(seed: int) -> None:
    logits, same = 3 * rand(seed, 40), rand(seed + 1, 40) > 0
    q, b = torch.sigmoid(logits.double()), same.double()
    plain = -(b * q.log() + (1 - b) * (1 - q).log())
    loss = clustered_loss(logits, same, torch.ones(40, dtype=torch.bool))
    assert loss.item() == pytest.approx(plain.mean().item(), rel=1e-4)
    assert loss >= 0
    some = rand(seed + 2, 40) > 0
    assert clustered_loss(logits, same, some).item() == pytest.approx(
        plain[some].mean().item(), rel=1e-4
    )


@pytest.mark.parametrize(("ratio", "chance"), [((1, 1, 1), 0.6365), ((2, 1, 1), 0.6931)])
def test_the_chance_level_is_the_loss_of_the_best_constant(ratio: Ratio, chance: float) -> None:
    pairs = draw_pairs(torch.arange(80) % 4, torch.arange(80) < 40, 240, seeded(), ratio)
    share = same_share(ratio)
    assert pairs.same.float().mean().item() == pytest.approx(share)
    constant = torch.full((240,), float(np.log(share / (1 - share))))
    assert clustered_loss(constant, pairs.same, pairs.valid).item() == pytest.approx(
        chance, abs=1e-4
    )
    assert chance_level(share).item() == pytest.approx(chance, abs=1e-4)


def test_without_a_pair_the_discriminator_has_gradients_of_zeros() -> None:
    features = rand(0, 20, 3).requires_grad_()
    clusters = torch.arange(20) // 10
    is_source = clusters == 0  # each cluster of one domain
    pairs = draw_pairs(clusters, is_source, 30, seeded())
    discriminator = PairPerceptron(3, 4)
    logits = discriminator(features, pairs.first, pairs.second)
    loss = clustered_loss(logits, pairs.same, pairs.valid)
    loss.backward()
    assert loss == 0
    assert all((p.grad == 0).all() for p in [features, *discriminator.parameters()])
    assert pair_accuracy(logits, pairs, is_source) == {"mixed": 0, "source": 0, "target": 0}
    assert cluster_statistics(clusters, is_source) == {
        "clusters_used": 0,
        "coverage": 0,
        "domain_mix": 0,
    }


def test_accuracy_of_each_kind_of_pair() -> None:
    is_source = torch.tensor([True, True, False, False])
    first, second = torch.tensor([0, 0, 2, 1, 3]), torch.tensor([2, 1, 3, 3, 2])
    same = is_source[first] == is_source[second]
    pairs = Pairs(first=first, second=second, same=same, valid=torch.ones(5, dtype=torch.bool))
    found = pair_accuracy(torch.tensor([-1.0, 1, 1, 1, -1]), pairs, is_source)
    assert found == {"mixed": 0.5, "source": 1, "target": 0.5}
    barely = pair_accuracy(torch.tensor([0.3, 0.5, 0.5, 0.3, 0.5]), pairs, is_source)
    assert barely == {
        "mixed": 1,
        "source": 1,
        "target": 1,
    }  # three of five are of one domain, whose log odds are 0.41


def test_statistics_of_clusters() -> None:
    clusters = torch.tensor([0] * 4 + [1] * 3 + [2] * 3)
    is_source = torch.tensor([True, True, False, False, True, False, False, True, True, True])
    found = cluster_statistics(clusters, is_source)
    assert found["clusters_used"] == 1  # the second has one source only, the third no target
    assert found["coverage"].item() == pytest.approx(0.4)
    assert found["domain_mix"].item() == pytest.approx(
        2 / 6 + 1 / 6
    )  # of sources 2, 1, 3; of targets 2, 2, 0
    even = cluster_statistics(torch.arange(40) % 4, torch.arange(40) < 20)
    assert even["domain_mix"].item() == pytest.approx(1)


def clustered_step(features: Tensor, is_source: Tensor, discriminator: torch.nn.Module) -> Tensor:
    clusters, _ = kmeans(features, 11, 10, seeded())
    pairs = draw_pairs(clusters, is_source, 96, seeded())
    logits = discriminator(features, pairs.first, pairs.second)
    cluster_statistics(clusters, is_source)
    pair_accuracy(logits, pairs, is_source)
    loss = clustered_loss(logits, pairs.same, pairs.valid)
    loss.backward()
    return loss


def test_the_host_never_waits_for_the_device() -> None:
    features = rand(0, 96, 16).requires_grad_()
    with NeverWaits():
        loss = clustered_step(features, torch.arange(96) < 48, PairPerceptron(16, 8, 4))
    assert loss > 0
    assert (features.grad != 0).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_host_never_waits_for_a_gpu_and_both_find_the_same() -> None:
    features, is_source, discriminator = (
        rand(0, 96, 16),
        torch.arange(96) < 48,
        PairPerceptron(16, 8, 4),
    )
    expected = clustered_step(features.requires_grad_(), is_source, discriminator)
    on_device = features.detach().cuda().requires_grad_()
    arguments = on_device, is_source.cuda(), discriminator.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = clustered_step(*arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(loss.cpu(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(on_device.grad.cpu(), features.grad, atol=1e-5, rtol=0)
