"""The graph of votes, and what it settles at."""

import numpy as np
import pytest
from scipy import sparse

from densevos.data.foreground import consensus as module
from densevos.data.foreground.consensus import (
    ALIKE,
    LEAST_TRUST,
    NEIGHBOURS_SHARE,
    Nodes,
    Passage,
    consensus,
    graph,
    look_alike,
    nodes,
    passage,
    settled,
)
from densevos.data.foreground.motion import Motion
from densevos.data.foreground.superpixels import superpixel_means, touching

H, W = 60, 90


def motion(moving: np.ndarray, trust: float = 1.0, fastest: float = 5.0) -> Motion:
    return Motion(map=moving.astype(np.float32), trust=trust, fastest=fastest)


def picture(place: int) -> tuple[np.ndarray, np.ndarray]:
    """A red square on noisy green, and where it is."""
    rng = np.random.default_rng(place)
    inside = np.zeros((H, W), bool)
    inside[20:40, place : place + 20] = True
    colours = np.where(inside[..., None], (200, 40, 40), (60, 140, 70))
    return (colours + rng.integers(0, 20, (H, W, 3))).astype(np.uint8), inside


def test_means_and_neighbours_of_superpixels() -> None:
    labels = np.array([[0, 0, 1], [2, 2, 1]])
    assert superpixel_means(labels, np.arange(6.0).reshape(2, 3, 1)).tolist() == [
        [0.5],
        [3.5],
        [3.5],
    ]
    assert touching(labels).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_alike_are_the_nearest_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).random((50, 7)).astype(np.float32)
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    expected = np.zeros((50, 50))
    for node, row in enumerate(distance):
        nearest = np.argsort(row)[1:13]
        expected[node, nearest] = np.exp(-((row[nearest] / ALIKE) ** 2))
    expected = np.maximum(expected, expected.T)
    for block in (7, 256):
        monkeypatch.setattr(module, "BLOCK", block)
        assert look_alike(features).toarray() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_fewer_nodes_than_are_asked_for() -> None:
    assert look_alike(np.zeros((1, 4), np.float32)).nnz == 0
    assert look_alike(np.zeros((3, 4), np.float32)).toarray() == pytest.approx(1 - np.eye(3))


def test_a_passage_has_the_shares_of_pixels() -> None:
    labels = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 2, axis=0)
    found = passage(
        labels,
        labels,
        np.stack([np.full((2, 8), 1.0), np.zeros((2, 8))], axis=2).astype(np.float32),
    )
    shares = dict(
        zip(
            zip(found.start.tolist(), found.end.tolist(), strict=True),
            found.shares.tolist(),
            strict=True,
        )
    )
    assert shares == {(0, 0): 0.75, (0, 1): 0.25, (1, 1): 0.75}  # a quarter of 1 leaves the frame


def test_votes_settle_at_the_solution_of_their_equation(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.random((5, 5))
    matrix /= matrix.sum(axis=1, keepdims=True)
    moving, trust = rng.random(5), np.full(5, 1.5)
    # (S + trust) x = S M x + trust moving
    expected = np.linalg.solve(
        np.diag(NEIGHBOURS_SHARE + trust) - NEIGHBOURS_SHARE * matrix, trust * moving
    )
    monkeypatch.setattr(module, "ROUNDS", 1000)
    assert settled(sparse.csr_matrix(matrix), moving, trust - LEAST_TRUST) == pytest.approx(
        expected, abs=1e-6
    )


def test_who_is_not_trusted_takes_the_votes_of_the_others() -> None:
    pair = sparse.csr_matrix([[0.0, 1.0], [1.0, 0.0]])
    votes = settled(pair, np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    assert votes.min() > 0.9


def test_the_graph_joins_what_touches_and_what_flows() -> None:
    first, second = (nodes(picture(place)[0], motion(picture(place)[1])) for place in (20, 22))
    step = np.zeros((H, W, 2), np.float32)
    start = np.array([0, len(first.features), len(first.features) + len(second.features)])
    matrix = graph([first, second], [passage(first.labels, second.labels, step)], start)
    assert np.asarray(matrix.sum(axis=1)).ravel() == pytest.approx(1)
    apart = graph([first, second], [None], start)
    assert (matrix > 0).sum() > (apart > 0).sum()


def test_a_square_that_stands_still_is_found_by_its_looks() -> None:
    places = [10, 16, 22, 28, 28, 28]
    frames = []
    for index, place in enumerate(places):
        image, inside = picture(place)
        moves = index < 3
        frames.append(
            nodes(
                image,
                motion(inside & moves, trust=1.0 if moves else 0.0, fastest=5.0 if moves else 0.1),
            )
        )
    for place, probability in zip(places, consensus(frames, [None] * 5), strict=True):
        found, inside = probability > 0.5, picture(place)[1]
        assert (found & inside).sum() / (found | inside).sum() > 0.8


def test_where_nothing_moves_nothing_is_found() -> None:
    still = nodes(picture(20)[0], motion(np.zeros((H, W)), trust=0.0, fastest=0.2))
    assert not any(one.any() for one in consensus([still, still], [None]))
    assert consensus([], []) == []


def test_features_take_the_place_of_colours() -> None:
    image, inside = picture(20)
    described = np.stack([inside, ~inside], axis=2).astype(np.float32)
    found: Nodes = nodes(image, motion(inside), described)
    assert found.features.shape[1] == 4  # two features and the position
    assert np.linalg.norm(found.features[:, :2], axis=1) == pytest.approx(1)


def test_small_shares_are_no_passage() -> None:
    labels = np.zeros((1, 30), np.int16)
    following = np.zeros((1, 30), np.int16)
    following[0, :2] = 1  # a fifteenth
    found: Passage = passage(labels, following, np.zeros((1, 30, 2), np.float32))
    assert found.end.tolist() == [0]
