"""Every command of `densevos`, as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from densevos import cli
from densevos.base import console
from densevos.models.encoder import load_encoder
from tests.densevos.conftest import write_frames

QUICK = (
    "--clips.frames 2 --clips.size 32 --clips.short-side 32 40 --objective.anchor-grid 2 "
    "--objective.cross-view-grid 2 --encoder.key-channels 8 --loop.epochs 1 --loop.batch 2 "
    "--loop.workers 0 --loop.precision fp32"
).split()


def densevos(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps."""
    folder = tmp_path_factory.mktemp("cli")
    for k in range(4):
        write_frames(folder / "data" / f"video{k}", 5, seed=k)
    assert (
        densevos("train", "dul_small", "--data", folder / "data", "--out", folder / "run", *QUICK)
        == 0
    )
    return folder / "run"


def test_train_says_what_it_wrote(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (run.parent / "data" / "broken.mp4").write_text("no video")
    try:
        assert (
            densevos(
                "train",
                "dul_small",
                "--data",
                run.parent / "data",
                "--out",
                tmp_path / "run",
                *QUICK,
            )
            == 0
        )
    finally:
        (run.parent / "data" / "broken.mp4").unlink()
    said = capsys.readouterr()
    assert "encoder.safetensors: 2 steps" in said.out
    assert "1 videos skipped" in said.out
    assert "skipped: " in said.err
    assert "broken.mp4" in said.err


def test_config_file_reproduces_a_run(run: Path, tmp_path: Path) -> None:
    assert densevos("train", "--config", run / "config.json", "--out", tmp_path / "again") == 0
    first, again = (
        load_encoder(r / "encoder.safetensors")[0].state_dict() for r in (run, tmp_path / "again")
    )
    assert all(bool((first[name] == again[name]).all()) for name in first)
    assert (tmp_path / "again" / "config.json").read_text() == (run / "config.json").read_text()


def test_a_run_does_not_go_on_with_other_settings(run: Path, capsys: pytest.CaptureFixture) -> None:
    data = ("--data", run.parent / "data", "--out", run, *QUICK)
    assert densevos("train", "dul_small", *data, "--resume", "auto", "--optimiser.lr", 7) == 2
    assert "differs from this command in --optimiser.lr" in capsys.readouterr().err


def test_export_and_describe(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "best.safetensors"
    assert densevos("export", run / "checkpoints" / "best.pt", "--out", out) == 0
    assert densevos("export", run, "--out", tmp_path / "made" / "newest.safetensors") == 0
    assert "newest.safetensors: from " in (text := capsys.readouterr().out)
    assert "step-00000002.pt" in text
    assert densevos("describe", out) == 0
    text = capsys.readouterr().out
    described = json.loads(text[text.index("{") :])
    assert described["encoder"]["architecture"] == "resnet18"
    assert described["parameters"] > 11_000_000


def test_data_synth_frames_and_list(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = tmp_path / "synth"
    small = ("--train", 2, "--val", 1, "--height", 48, "--width", 64, "--frames", 3)
    assert densevos("data", "synth", "--out", root, *small) == 0
    assert (root / "ImageSets" / "2017" / "val.txt").exists()
    assert densevos("data", "list", root / "train_videos.txt") == 0
    assert capsys.readouterr().out.count("      3  ") == 2
    frames = (
        "data",
        "frames",
        root / "JPEGImages",
        "--out",
        tmp_path / "frames",
        "--short-side",
        24,
        "--workers",
        1,
    )
    assert densevos(*frames) == 0
    assert len(list((tmp_path / "frames").glob("*/"))) == 3
    assert "3 videos written, 0 skipped" in capsys.readouterr().out
    assert densevos(*frames) == 0
    assert "0 videos written and 3 kept" in capsys.readouterr().out
    (root / "bad.mp4").write_text("no video")
    with pytest.warns(UserWarning, match=r"Annotations/480p/.*: masks are left out"):
        assert densevos("data", "list", root) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("train", "dul_best"), "unknown recipe; known are dul_ytvos"),
        (
            ("train", "nowhere_at_all:recipe"),
            "densevos train nowhere_at_all:recipe: cannot be imported",
        ),
        (
            ("train", "densevos.recipes:RECIPES"),
            "densevos.recipes:RECIPES: is no recipe; a recipe is a function",
        ),
        (("train", "pathlib:Path"), "pathlib:Path: is no recipe; a recipe is a function"),
        (("train", "dul_small", "--data", "nowhere", "--out", "x"), "nowhere: no such data folder"),
        (("train", "--config", "none.json", "--out", "x"), "none.json: no such configuration file"),
        (
            ("train", "dul_small", "--data", ".", "--out", "x", "--clips.size", "33"),
            "--clips.size must be a multiple",
        ),
        (("describe", "none.safetensors"), "none.safetensors: no such encoder file"),
        (
            ("export", "run/none.pt", "--out", "x.safetensors"),
            "run/none.pt: no such checkpoint; give a run folder",
        ),
        (("export", "none.pt", "--out", "x.pt"), "must end in .safetensors"),
        (("data", "list", "nowhere"), "nowhere: no such data folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert densevos(*arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert reason in said[0]
    assert list(tmp_path.iterdir()) == []


def test_train_help_lists_the_recipes(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as exit_:
        densevos("train", "--help")
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert all(
        name in text
        for name in ("dul_ytvos", "dul_oxuva", "dul_kinetics", "dul_trackingnet", "dul_small")
    )


def test_exit_status_of_the_process() -> None:
    command = [sys.executable, "-m", "densevos", "describe", "none.safetensors"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: none.safetensors")
