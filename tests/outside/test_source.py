"""A source of videos in one file outside the package: in training, lists, frames and maps."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from densevos import cli
from densevos.base import console
from densevos.data.sources.images import read_image
from densevos.engine import checkpoint, loop
from densevos.engine.run import Run

FILE = Path(__file__).parent / "drifting.py"
QUICK = (
    "--clips.frames 2 --clips.size 32 --clips.short-side 32 40 --objective.anchor-grid 2 "
    "--objective.cross-view-grid 2 --encoder.key-channels 8 --loop.batch 2 --loop.workers 1 "
    "--loop.precision fp32 --loop.log-every 1 --loop.checkpoint-every 1"
).split()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a copy of the file."""
    (tmp_path / "drifting.py").write_bytes(FILE.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "drifting", raising=False)
    torch.set_num_threads(1)
    return tmp_path


def densevos(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


@pytest.mark.slow
def test_training_reads_it_in_a_worker_and_resumes_bit_identical(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "dul_small", "--data", "drifting:videos", "--loop.epochs", 2, *QUICK)
    assert densevos(*command, "--out", "whole") == 0
    config = json.loads((folder / "whole" / "config.json").read_text())
    assert config["data"] == "drifting:videos"
    record = json.loads((folder / "whole" / "provenance.json").read_text())["data"]
    assert record == {
        "source": "drifting:videos",
        "videos": 4,
        "sha256": "drifting 8 one two three four",
    }

    step = loop.train_step

    def stop_after_second(model: object, run: Run, *rest: object) -> dict[str, float]:
        values = step(model, run, *rest)  # type: ignore[arg-type]
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return values

    monkeypatch.setattr(loop, "train_step", stop_after_second)
    assert densevos(*command, "--out", "parts") == 143
    monkeypatch.setattr(loop, "train_step", step)
    assert densevos(*command, "--out", "parts", "--resume", "auto") == 0

    first, second = (
        checkpoint.load(checkpoint.checkpoint_path(folder / name / "checkpoints", 4))
        for name in ("whole", "parts")
    )
    assert all(
        torch.equal(first["learner"][name], second["learner"][name]) for name in first["learner"]
    )


def test_resuming_with_other_videos_is_refused(folder: Path, capsys: pytest.CaptureFixture) -> None:
    command = (
        "train",
        "dul_small",
        "--data",
        "drifting:videos",
        "--out",
        "run",
        "--loop.epochs",
        1,
        *QUICK,
    )
    assert densevos(*command) == 0
    change(folder / "drifting.py", "frames: int = 8", "frames: int = 9")
    with pytest.warns(
        UserWarning, match="drifting:videos: some videos are not what they were when run started"
    ):
        assert densevos(*command, "--resume", "auto") == 0
    change(folder / "drifting.py", '"four"', '"five"')
    assert densevos(*command, "--resume", "auto") == 2
    assert "drifting:videos: holds other videos than when run started" in capsys.readouterr().err


def change(file: Path, before: str, after: str) -> None:
    """Another text in a module, which is then imported anew."""
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    del sys.modules[file.stem]


@pytest.mark.slow
def test_commands_on_data_take_it(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert densevos("data", "list", "drifting:videos") == 0
    assert capsys.readouterr().out.splitlines()[0] == "      8  drifting:one"
    assert (
        densevos(
            "data",
            "frames",
            "drifting:videos",
            "--out",
            "frames",
            "--short-side",
            24,
            "--workers",
            1,
        )
        == 0
    )
    written = sorted(path for path in (folder / "frames").iterdir() if path.is_dir())
    assert [video.name for video in written] == ["four", "one", "three", "two"]
    assert read_image(written[0] / "00007.jpg").shape == (24, 32, 3)
    command = ("--method", "saliency", "--no-crf", "--short-side", 32, "--workers", 1)
    assert densevos("data", "foreground", "drifting:videos", "--out", "maps", *command) == 0
    assert len(list((folder / "maps" / "two").glob("*.png"))) == 8


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("drifting:nothing", "gives list without names, inputs, title, open, identity"),
        ("drifting:gone", "--data drifting:gone: cannot be imported"),
        ("nowhere", "nowhere: no such data folder"),
    ],
)
def test_what_is_no_source_is_refused(
    folder: Path, capsys: pytest.CaptureFixture, spec: str, reason: str
) -> None:
    assert densevos("train", "dul_small", "--data", spec, "--out", "run", *QUICK) == 2
    assert reason in capsys.readouterr().err
    assert not (folder / "run").exists()
