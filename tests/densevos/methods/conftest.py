"""What runs of all methods share."""

import pytest

from densevos.learners import probe
from densevos.methods import examination


@pytest.fixture(autouse=True)
def _quick_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examination of an adversarial run takes as long as the tiny runs of these tests."""
    monkeypatch.setattr(examination, "MOST_BATCHES", 2)
    monkeypatch.setattr(probe, "STEPS", 2)
