"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a test that failed fails again.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def shared() -> Path:
    """The folder of large golden files and real videos, where it lies beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(
            "no ../shared folder beside the checkout: golden files and real videos are not there"
        )
    return folder


@pytest.fixture
def golden() -> Path:
    """The small golden files that are part of the repository."""
    return Path(__file__).resolve().parent / "golden"
