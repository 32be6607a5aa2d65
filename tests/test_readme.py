"""Commands of the README and of docs/segment.md run as they stand, on small data."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from densevos.base.masks import read_mask, write_mask
from densevos.data.synthetic.sequences import SyntheticConfig, make_sequence, write_davis
from tests.conftest import ROOT
from tests.densevos.data.segmentation.segmentation_copies import coco, put_text, videos
from tests.densevos.data.segmentation.segmentation_copies import folder as own
from tests.densevos.test_cli import QUICK

pytestmark = pytest.mark.slow

SMALL = SyntheticConfig(height=48, width=64, frames=4)


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The code blocks of a page in a language; of none: what is typed in a shell."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M
    )
    return [block for tagged, block in found if tagged == language]


def commands() -> Iterator[list[str]]:
    """Every line of the code blocks that is a command."""
    for block in (*blocks(""), *blocks("", "docs/segment.md")):
        for line in block.splitlines():
            if re.match(r"(densevos|densevos-eval|bash) ", line):
                yield shlex.split(line, comments=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README takes for granted: videos, frames, DAVIS, a clip and its first mask."""
    folder = tmp_path_factory.mktemp("readme")
    sequences = [make_sequence(seed, SMALL) for seed in range(3)]
    (folder / "my_videos").mkdir()
    for k, sequence in enumerate(sequences):
        iio.imwrite(
            folder / "my_videos" / f"{k}.mp4", np.asarray(sequence.frames), fps=8, codec="libx264"
        )
    (folder / "clip.mp4").write_bytes((folder / "my_videos" / "0.mp4").read_bytes())
    write_mask(folder / "first.png", sequences[0].masks[0])
    write_davis(folder / "DAVIS", train=1, val=1, seed=0, config=SMALL)
    names = {
        str(number): name
        for number, name in enumerate(("person", "dog", "car", "bird", "horse"), start=1)
    }
    put_text(
        folder / "DAVIS" / "davis_semantics.json",
        json.dumps({"train-000": names, "val-000": names}),
    )
    for copy, root in ((coco, "COCO"), (own, "mine"), (videos, "clips")):
        copy(folder / root)
    write_davis(folder / "ytvos" / "train", train=2, val=0, seed=1, config=SMALL)
    return folder


QUICK_MUG = (
    "--rounds 1 --loop.epochs 1 --loop.batch 2 --loop.workers 0 --loop.device cpu --clips.size "
    "96 --clips.segments 3 --clips.window 3 --clips.pair-gap 1"
).split()


QUICK_I2V = (
    "--loop.epochs 1 --loop.batch 2 --loop.workers 0 --loop.device cpu --network.heads 1 1 2 2 "
    "--network.embed-dim 8 --network.depths 1 1 1 1 --network.hidden 8 --clips.size 64 "
    "--clips.short-side 64 64 --network.window 4"
).split()


def shortened(command: list[str]) -> list[str]:
    """Options that make a training quick."""
    if command[:2] != ["densevos", "train"] or "--config" in command:
        return []

    family = command[2].split("_")[0]
    options = {"mug": QUICK_MUG, "i2v": QUICK_I2V}.get(family, QUICK)
    # Weights of a run before it are there; published ones would be downloaded.
    if family == "i2v" and "--network.weights" not in command:
        return [*options, "--network.weights", "None"]

    return options


DISPATCH = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}


# The small copies of labelled sets show few of the classes that the README's commands learn.
@pytest.mark.filterwarnings("ignore:.*no labelled image with:UserWarning")
def test_readme_commands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # All commands run in this process: starting one for each of them would load torch each time.
    monkeypatch.chdir(folder)
    ran = 0
    for command in commands():
        program, *arguments = command

        if program == "bash":
            script = ROOT / arguments[0]
            assert script.exists()
            subprocess.run(["bash", "-n", str(script)], check=True)
            continue

        arguments += shortened(command)
        status = console.run(lambda run=DISPATCH[program], given=arguments: run(given))
        assert status == 0, f"{shlex.join(command)}: {capsys.readouterr().err}"
        ran += 1
    assert ran >= 10
    assert (folder / "out" / "davis16" / "results.json").exists()
    assert (folder / "out" / "i2v" / "confusion.png").exists()
    assert (folder / "out" / "clip" / "clip.mp4").exists()
    assert (folder / "out" / "classes" / "clip.mp4").exists()
    assert (folder / "runs" / "adapted" / "model.safetensors").exists()
    assert (folder / "out" / "objects" / "clip.mp4").exists()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_readme_example_in_python(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ten lines run as they stand, and write what the command line writes."""
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    for name in ("clip.mp4", "first.png"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    subprocess.run([sys.executable, "-W", "error", "-c", example], cwd=tmp_path, check=True)
    command = ["propagate", "--video", "clip.mp4", "--mask", "first.png", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    densevos_eval.cli.dispatch([str(argument) for argument in command])
    for t in range(SMALL.frames):
        ours, theirs = tmp_path / f"mask-{t:05d}.png", tmp_path / "out" / "clip" / f"{t:05d}.png"
        np.testing.assert_array_equal(read_mask(ours), read_mask(theirs))


def test_scripts_are_sound_bash() -> None:
    for script in sorted((ROOT / "scripts").glob("*.sh")):
        subprocess.run(["bash", "-n", str(script)], check=True)
        sourced = script.name in ("environment.sh", "common.sh", "i2v_common.sh")
        assert sourced or f"scripts/{script.name}" in (ROOT / "docs" / "scripts.md").read_text(
            encoding="utf-8"
        )
