"""Encoders in one file outside the package, from the page of the manual to masks."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from densevos_eval.adapters.encoder import load_encoder
from tests import pages

FILE = Path(__file__).parent / "encoders.py"
PAGE = pages.page("encoders.md")
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), np.uint8)


def test_the_page_quotes_the_file_from_its_first_line_to_its_last() -> None:
    assert pages.quotes(PAGE, FILE)


def test_its_networks_see_what_the_page_says() -> None:
    spec = "tests.outside.encoders"
    streams = {}
    for name in ("patches", "running_mean", "tubelets"):
        encoder = load_encoder(f"{spec}:{name}", device="cpu")
        streams[name] = list(encoder.stream().over(FRAMES))
        assert all(features.shape == (32, 4, 6) for features in streams[name])
    assert torch.equal(streams["patches"][0], streams["running_mean"][0])
    assert not torch.allclose(streams["patches"][1], streams["running_mean"][1])
    assert torch.equal(streams["tubelets"][2], streams["tubelets"][3])
    assert not torch.equal(streams["tubelets"][1], streams["tubelets"][2])


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (tmp_path / "encoders.py").write_bytes(FILE.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # the working directory joins it
    pages.call_all(pages.commands(PAGE))

    assert "clips of 4 frames that end with it" in capsys.readouterr().out
    for name in ("patches", "memory", "tubelets", "smooth"):
        assert len(list((tmp_path / name / "val-000").glob("*.png"))) == 6
    assert (tmp_path / "smooth" / "results.json").exists()
