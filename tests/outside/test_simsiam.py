"""A method in one file outside the package, from the page of the manual to masks."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from densevos.engine import checkpoint
from densevos.models.encoder import load_encoder
from tests import pages
from tests.conftest import ROOT

FILE = Path(__file__).parent / "simsiam.py"
PAGE = pages.page("extending-method.md")


def started(folder: Path, *arguments: object) -> subprocess.Popen:
    """Start `densevos ...` or `densevos-eval ...` in `folder` as a console command does: without it
    on the path.
    """
    program, *rest = map(str, arguments)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "eval"))),
        "OMP_NUM_THREADS": "1",
        "FORCE_COLOR": "1",  # Makes the progress bar believe in a terminal.
        "COLUMNS": "200",
    }
    command = [sys.executable, "-P", "-m", program.replace("-", "_"), *rest]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: object) -> str:
    """Run a command to its end; what it printed, progress first."""
    process = started(folder, *arguments)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return errors + output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the file, in which the commands of the page ran; their output is in
    output.txt.
    """
    folder = tmp_path_factory.mktemp("mine")
    (folder / "simsiam.py").write_bytes(FILE.read_bytes())
    outputs = []
    for command in pages.commands(PAGE):
        if command.startswith("densevos train"):
            outputs.append(
                run(folder, *shlex.split(command))
            )  # A process of its own must find the file too.
        else:
            with contextlib.chdir(folder):
                pages.call(command)
    (folder / "output.txt").write_text("".join(outputs), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_page_quotes_the_file_from_its_first_line_to_its_last() -> None:
    assert pages.quotes(PAGE, FILE)


@pytest.mark.slow
def test_it_trains_and_shows_its_own_losses(folder: Path) -> None:
    assert json.loads((folder / "run" / "config.json").read_text())["method"] == "simsiam:SIMSIAM"
    plain = re.sub(
        r"\x1b\[[0-9;?]*[A-Za-z]", "", (folder / "output.txt").read_text(encoding="utf-8")
    )
    assert re.search(
        r"loss -\d\.\d{3}  similarity \d\.\d{3}  spread \d\.\d{3}  [\d.]+ clips/s", plain
    )
    lines = [
        json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["similarity"] == pytest.approx(-line["loss"]) for line in lines)
    assert all(line["spread"] > 0 for line in lines)


@pytest.mark.slow
def test_export_writes_its_encoder(folder: Path) -> None:
    states = [
        load_encoder(folder / name)[0].state_dict()
        for name in ("run/encoder.safetensors", "best.safetensors")
    ]
    assert all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )  # the only checkpoint is the best
    _, card = load_encoder(folder / "best.safetensors")
    assert card["training"]["checkpoint"] == "best.pt"
    assert card["training"]["config"]["hidden"] == 32


@pytest.mark.slow
def test_the_evaluator_takes_its_encoder(folder: Path) -> None:
    assert len(list((folder / "masks" / "val-000").glob("*.png"))) == 6


@pytest.mark.slow
def test_killed_and_resumed_ends_bit_identical(folder: Path) -> None:
    options = ("--data", "clips/train_videos.txt", "--loop.epochs", 2, "--loop.checkpoint-every", 1)
    process = started(
        folder, "densevos", "train", "simsiam:simsiam_small", *options, "--out", "killed"
    )
    saved = checkpoint.checkpoint_path(folder / "killed" / "checkpoints", 2)
    deadline = time.monotonic() + 120
    while not saved.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (folder / "killed" / "encoder.safetensors").exists()
    run(
        folder,
        "densevos",
        "train",
        "--config",
        "killed/config.json",
        "--out",
        "killed",
        "--resume",
        "auto",
    )

    last = [
        checkpoint.load(checkpoint.checkpoint_path(folder / name / "checkpoints", 4))
        for name in ("run", "killed")
    ]
    assert all(
        torch.equal(last[0]["learner"][name], last[1]["learner"][name])
        for name in last[0]["learner"]
    )
