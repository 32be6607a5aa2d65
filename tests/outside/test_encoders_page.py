"""Encoders in one file outside the package, from the page of the manual to masks."""

import re
import shlex
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from densevos_eval.adapters.encoder import load_encoder
from tests.conftest import ROOT

FILE = Path(__file__).parent / "encoders.py"
PAGE = ROOT / "docs" / "encoders.md"
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), np.uint8)


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_quotes_the_file_from_its_first_line_to_its_last() -> None:
    quoted = [line for block in blocks("python") for line in block.splitlines() if line.strip()]
    assert quoted == [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip()]


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
    programs = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}
    (commands,) = blocks("bash")
    for command in commands.splitlines():
        program, *arguments = shlex.split(command)
        assert console.run(partial(programs[program], arguments)) == 0, capsys.readouterr().err

    assert "clips of 4 frames that end with it" in capsys.readouterr().out
    for name in ("patches", "memory", "tubelets", "smooth"):
        assert len(list((tmp_path / name / "val-000").glob("*.png"))) == 6
    assert (tmp_path / "smooth" / "results.json").exists()
