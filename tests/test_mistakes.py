"""Deliberate mistakes on both command lines: each gives one line that names the file or flag and
the fix, status 2.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from densevos import cli
from densevos.base import console
from densevos.base.masks import write_mask
from densevos_eval import cli as evaluator_cli
from tests.densevos.conftest import write_frames
from tests.eval.conftest import moving_rectangles, write_masks

PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "densevos": cli.dispatch,
    "densevos-eval": evaluator_cli.dispatch,
}

OWN_VIDEO = "densevos-eval propagate --encoder random:resnet18 --out new"
BENCHMARK = "densevos-eval propagate --encoder random:resnet18 --dataset davis17 --out new"
TRAIN = "densevos train dul_small --out new"


def run(line: str) -> int:
    """The exit status of a command line."""
    program, *words = line.split()
    return console.run(lambda: PROGRAMS[program](words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad inputs: a clip and its masks, a benchmark, files that are not what their names
    say.
    """
    root = tmp_path_factory.mktemp("mistakes")
    write_frames(root / "clip", 5)
    write_frames(root / "data" / "video", 5)

    mask = np.zeros((40, 56), np.uint8)
    write_mask(root / "black.png", mask)
    mask[10:20, 10:20] = 1
    write_mask(root / "good.png", mask)
    write_mask(root / "small.png", mask[:20, :20])

    write_frames(root / "DAVIS" / "JPEGImages" / "480p" / "dog", 6)
    write_masks(root / "DAVIS" / "Annotations" / "480p" / "dog", moving_rectangles({1: 8}))
    names = root / "DAVIS" / "ImageSets" / "2017" / "val.txt"
    names.parent.mkdir(parents=True)
    names.write_text("dog\n")

    for name in ("text.mp4", "text.png", "text.safetensors", "text.pt"):
        (root / name).write_text("no video, no picture, no weights")
    (root / "broken.json").write_text("{")
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full" / "notes.txt").write_text("mine")
    return root


MISTAKES = [
    # Which command.
    ("densevos", "densevos: no command; write one of demo, export, describe, train"),
    ("densevos --data clip", "densevos --data: a command must come first; write one of"),
    ("densevos trian", "densevos trian: unknown command; did you mean densevos train?"),
    (
        "densevos propogate",
        "densevos propogate: unknown command; did you mean densevos-eval propagate?",
    ),
    ("densevos propagate --help", "densevos propagate: is a command of densevos-eval"),
    ("densevos-eval demo", "densevos-eval demo: is a command of densevos"),
    ("densevos info", "densevos info: is called describe now; write densevos describe"),
    (
        "densevos data lst data",
        "densevos data lst: unknown command; did you mean densevos data list?",
    ),
    # Which recipe.
    (
        "densevos train --data data --out new",
        "densevos train --data: a recipe must come first; known are dul_ytvos",
    ),
    (
        "densevos train dul_smal --data data",
        "unknown recipe; known are .*; did you mean dul_small?",
    ),
    (
        "densevos train --config",
        "densevos train --config: has no value; name the config.json of a run",
    ),
    (
        "densevos train --config broken.json --out new",
        "broken.json: is not valid JSON .* correct it",
    ),
    (
        "densevos train --config clip --out new",
        "clip: is a folder; name the file, such as clip/config.json",
    ),
    # Options.
    (
        f"{OWN_VIDEO} --input clip",
        "propagate --input: unknown option; did you mean --video or --root?",
    ),
    (f"{OWN_VIDEO} --radus 3", "propagate --radus: unknown option; did you mean --radius?"),
    (
        f"{TRAIN} --data data --epochs 2",
        "train dul_small --epochs: unknown option; did you mean --loop.epochs?",
    ),
    (
        f"{TRAIN} --data data --zzz 2",
        "train dul_small --zzz: unknown option; --help lists all options",
    ),
    (TRAIN, "densevos train dul_small: --data is missing; --help tells what it takes"),
    ("densevos-eval score --dataset davis17", "densevos-eval score: --results is missing"),
    (
        "densevos export",
        "densevos export: CHECKPOINT and --out are missing; --help tells what they take",
    ),
    (
        "densevos export --out e.safetensors",
        "densevos export: CHECKPOINT is missing; write A run folder",
    ),
    ("densevos data synth --out", "densevos data synth --out: has no value; write one after it"),
    (f"{OWN_VIDEO} --radius many", "propagate --radius many: must be a number"),
    (
        f"{TRAIN} --data data --loop.batch=x",
        "train dul_small --loop.batch x: must be a whole number",
    ),
    (
        "densevos data pack data --out new --format jpg",
        "pack --format jpg: must be clips or jpeg; did you mean jpeg?",
    ),
    ("densevos data pack data new", "densevos data pack: --out is missing"),
    ("densevos data list data new", "densevos data list new: unexpected argument"),
    (f"{BENCHMARK} --root DAVIS --shard 5/4", "--shard 5/4: must be I/N with I from 1 to N"),
    # Videos and masks.
    (
        f"{OWN_VIDEO} --video none.mp4 --mask good.png",
        "none.mp4: no such frame folder or video file",
    ),
    (f"{OWN_VIDEO} --video empty --mask good.png", "empty: folder holds no images"),
    (
        f"{OWN_VIDEO} --video text.mp4 --mask good.png",
        "text.mp4: video cannot be decoded .* re-encode or remove it",
    ),
    (f"{OWN_VIDEO} --video clip", "--video clip: give a --mask too"),
    (f"{OWN_VIDEO} --video clip --mask none.png", "none.png: mask is missing; paint it over what"),
    (
        f"{OWN_VIDEO} --video clip --mask text.png",
        "text.png: mask cannot be read .* write it again",
    ),
    (
        f"{OWN_VIDEO} --video clip --mask small.png",
        "small.png: mask is 20x20 but the frames of clip are 56x40; resize",
    ),
    (
        f"{OWN_VIDEO} --video clip --mask black.png",
        "black.png: mask holds no object .* give each object an id",
    ),
    # Benchmarks.
    (f"{BENCHMARK} --root none", "none: folder is missing; davis17 needs JPEGImages"),
    (f"{BENCHMARK} --root text.mp4", "text.mp4: is a file, not a folder"),
    (
        f"{BENCHMARK} --root DAVIS --split vla",
        r"vla.txt: list of sequences is missing \(there: val\)",
    ),
    (f"{BENCHMARK} --root DAVIS --sequences dgo", "DAVIS/JPEGImages/480p/dgo: folder is missing"),
    (
        "densevos-eval compare empty",
        "empty/results.json: is missing; write it with densevos-eval score",
    ),
    # Encoders and checkpoints.
    (
        f"{OWN_VIDEO} --video clip --mask good.png --encoder text.safetensors",
        "text.safetensors: not a complete",
    ),
    (
        f"{OWN_VIDEO} --video clip --mask good.png --encoder random:resnet19",
        "random:resnet19: unknown; choose",
    ),
    (
        "densevos export text.pt --out e.safetensors",
        "text.pt: is not in a run folder; give a run folder",
    ),
    ("densevos export empty --out e.safetensors", "empty: holds no checkpoint; give a run folder"),
    ("densevos export none --out e.safetensors", "none: no such checkpoint; give a run folder"),
    # Output folders.
    (
        f"{OWN_VIDEO} --video clip --mask good.png --out full",
        "full: output folder exists and is not empty; pass",
    ),
    (
        f"{OWN_VIDEO} --video clip --mask good.png --out text.mp4",
        "text.mp4: is a file, not a folder; choose another",
    ),
    (
        "densevos data synth --out /proc/x",
        "/proc/x: this folder cannot be made .* choose another --out",
    ),
    (
        "densevos-eval frame clip --out /proc/x/first.png",
        "/proc/x: this folder cannot be made .* choose another --out",
    ),
    (
        "densevos-eval features clip --out /proc/x/f.npz",
        "/proc/x: this folder cannot be made .* choose another --out",
    ),
    (
        "densevos-eval studio clip --out /proc/x",
        "/proc/x.*: this folder cannot be made .* choose another --out",
    ),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_gives_one_line_and_status_2(
    line: str,
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(os.listdir())
    assert run(line) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, printed.err
    assert re.search(message.replace("?", r"\?"), lines[0]), lines[0]
    assert sorted(os.listdir()) == before


def test_the_list_of_commands_names_each_and_help_is_no_mistake(
    capsys: pytest.CaptureFixture,
) -> None:
    assert run("densevos --help") == run("densevos-eval --help") == run("densevos data --help") == 0
    pages = capsys.readouterr().out
    assert all(f"\n  {name} " in pages for name in ("demo", "train", "propagate", "watch", "pack"))


def test_the_version(capsys: pytest.CaptureFixture) -> None:
    assert run("densevos --version") == run("densevos-eval --version") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "densevos"
    assert second.split() == ["densevos-eval", first.split()[1]]


def test_each_program_knows_the_commands_of_the_other() -> None:
    trainer = {*cli.COMMANDS, "train", "launch", "data"}
    evaluator = {*evaluator_cli.COMMANDS, "launch", "watch"}
    assert set(evaluator_cli.TRAINER) == trainer - evaluator
    assert set(cli.EVALUATOR) >= evaluator - trainer
