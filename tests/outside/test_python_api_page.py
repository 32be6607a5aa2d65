"""The examples of the page on Python run as they stand, in its order, and print what it says."""

from pathlib import Path

import pytest

from tests import pages

PAGE = pages.page("python-api.md")


def test_the_examples_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.call_all(pages.commands(PAGE))
    assert pages.check_examples(PAGE) > 30
    assert len(list(tmp_path.glob("mask-*.png"))) == 6
    assert (tmp_path / "frame-3.png").exists()
