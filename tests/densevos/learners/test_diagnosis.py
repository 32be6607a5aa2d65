"""The diagnosis of an adversarial run: its cases, what is measured for it, and that nothing else
changes.
"""

import copy
import dataclasses
import re

import pytest
import torch
from torch import Tensor

from densevos.config import AdversarialConfig
from densevos.learners import probe
from densevos.learners.adversary import Adversary
from densevos.learners.diagnosis import Findings, diagnose
from densevos.learners.image_to_video import DomainFeatures
from densevos.learners.probe import accuracy, balanced, confusion_of, examine, mean_iou, train_fresh
from densevos.methods.examination import number_of_batches
from tests.densevos.learners.test_image_to_video import (
    PAIRS,
    VIDEO,
    batch_of,
    config_of,
    learner_of,
)


def found(source: float, fresh: float, own: float | None = None) -> Findings:
    return Findings(source_miou=source, fresh=fresh, own=own)


@pytest.mark.parametrize(
    ("fresh_before", "fresh_after", "own", "mu", "case", "words"),
    [
        (
            0.9,
            0.9,
            0.82,
            1,
            "undecided",
            r"still tells domains apart \(82 %\); raise --adversarial.mu or train longer",
        ),
        (0.5, 0.5, 0.82, 1, "undecided", "still tells domains apart"),
        (
            0.96,
            0.52,
            0.51,
            1,
            "beaten",
            r"a fresh discriminator is right on 52 %, and was on 96 % before\)",
        ),
        (
            0.9,
            0.9,
            0.5,
            1,
            "dead",
            r"is right on 50 %, but a fresh one on 90 %; raise --discriminator-optimiser.lr",
        ),
        (0.5, 0.9, 0.2, 1, "dead", "a fresh one on 90 %"),
        (
            0.55,
            0.5,
            0.5,
            1,
            "blind",
            r"at --placement stage1 the features never told .*; choose a later placement",
        ),
        (
            0.9,
            0.9,
            0.9,
            0,
            "control",
            "mu 0: the encoder never felt the discriminator, which is right on 90 %",
        ),
    ],
)
def test_cases(
    fresh_before: float, fresh_after: float, own: float, mu: float, case: str, words: str
) -> None:
    before, after = found(0.403, fresh_before), found(0.398, fresh_after, own)
    diagnosis = diagnose(before, after, mu=mu, placement="stage1")
    assert diagnosis.case == case
    assert diagnosis.summary.endswith("; source mIoU 40.3 before, 39.8 after")
    assert diagnosis.warning is None
    assert re.search(words, diagnosis.summary)


def test_a_source_that_lost_more_than_a_fifth_has_collapsed() -> None:
    before = found(0.403, 0.9)
    hints = {
        10: "lower --adversarial.mu, or let it rise with --adversarial.ramp-batches",
        0: "lower --optimiser.lr",
    }
    for mu, hint in hints.items():
        warning = diagnose(before, found(0.21, 0.5, 0.5), mu=mu, placement="global").warning
        assert warning is not None
        assert "its mIoU fell from 40.3 to 21.0" in warning
        assert warning.endswith(hint)
    assert diagnose(before, found(0.33, 0.5, 0.5), mu=10, placement="global").warning is None
    with pytest.raises(ValueError, match="its own discriminator"):
        diagnose(before, before, mu=1, placement="global")


def features_of(gap: float, batches: int = 8) -> list[DomainFeatures]:
    """Noise [8,1,6,4,4] of four images and four clips, whose means are `gap` apart."""
    draw = torch.Generator().manual_seed(3)
    is_source = torch.arange(8) < 4
    noise = [torch.randn(8, 1, 6, 4, 4, generator=draw) for _ in range(batches)]
    valid = torch.ones(8, 1, dtype=torch.bool)
    return [
        DomainFeatures(
            tap=one + gap * is_source[:, None, None, None, None], is_source=is_source, seen=valid
        )
        for one in noise
    ]


@pytest.mark.parametrize(("gap", "least", "most"), [(0.0, 0.3, 0.64), (1.0, 0.9, 1.0)])
@pytest.mark.parametrize("kind", ["conv", "global"])
def test_a_fresh_discriminator_tells_domains_that_differ_and_no_others(
    kind, gap: float, least: float, most: float
) -> None:
    torch.manual_seed(0)
    seen = features_of(gap, 16)
    fresh = Adversary(kind, (6, 4, 4), AdversarialConfig())
    train_fresh(fresh, seen[::2])
    assert least <= accuracy(fresh, seen[1::2], 0) <= most


def test_a_coin_has_a_balanced_accuracy_of_a_half() -> None:
    def scalars(**values: float) -> dict[str, Tensor]:
        return {f"accuracy_{name}": torch.tensor(value) for name, value in values.items()}

    assert balanced(scalars(source=1.0, target=0.0)) == 0.5
    assert balanced(scalars(source=1.0, target=1.0, mixed=0.0)) == 0.5  # all pairs called alike
    assert balanced(scalars(source=1.0, target=0.0, mixed=0.9)) == pytest.approx(0.7)


def test_the_mean_iou_is_over_the_classes_that_labels_show() -> None:
    labels = torch.tensor([[[0, 0, 1, 255]]], dtype=torch.uint8)
    logits = (
        torch.nn.functional.one_hot(torch.tensor([[[0, 1, 1, 2]]]), 3).permute(0, 3, 1, 2).float()
    )
    confusion = confusion_of(logits, labels)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert mean_iou(confusion) == pytest.approx(0.5)
    assert mean_iou(torch.zeros(3, 3, dtype=torch.int64)) == 0


@pytest.mark.parametrize(
    ("loss", "network"),
    [("general", None), ("clustered", None), ("general", VIDEO)],
    ids=["swin", "pairs", "video"],
)
def test_an_examination_leaves_everything_as_it_was(
    loss, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "STEPS", 2)
    more = {} if network is None else {"network": network}
    config = config_of(loss=loss, adversarial=dataclasses.replace(PAIRS, ramp_batches=7), **more)
    learner = learner_of(config)
    state, draws = copy.deepcopy(learner.state_dict()), torch.get_rng_state()
    batches = [batch_of(config) for _ in range(2)]

    first, second = (examine(learner, batches, 0, own=own) for own in (False, True))
    assert (first.own, first.fresh) == (None, second.fresh)
    assert second.own is not None
    assert 0 <= second.own <= 1
    assert torch.equal(torch.get_rng_state(), draws)
    assert learner.training
    assert all(parameter.grad is None for parameter in learner.parameters())
    for name, value in learner.state_dict().items():
        assert (
            torch.equal(value, state[name]) if isinstance(value, Tensor) else value == state[name]
        )


def test_a_learner_without_an_adversary_cannot_be_examined() -> None:
    with pytest.raises(ValueError, match="without an adversary"):
        examine(learner_of(config_of(loss="none")), [], 0, own=True)


def test_batches_are_few_where_they_are_large() -> None:
    assert number_of_batches(8, 512 * 8 * 8) == 16
    assert number_of_batches(16, 768 * 8 * 8) == 8
    assert number_of_batches(2, 4 * 96 * 128 * 128) == 10
    assert number_of_batches(2, 10**9) == 2
    assert number_of_batches(128, 10) == 2
