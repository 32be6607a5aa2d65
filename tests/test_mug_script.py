"""scripts/mug_dev.sh and what gathers its results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densevos.base.masks import read_mask, write_mask
from tests.conftest import ROOT

# Instead of what installs the commands; they write down what they were called with, and leave what they would make.
ENVIRONMENT = """
BIN="$FOLDER/bin"
ROOT="$FOLDER"
"""
COMMAND = f"""#!{sys.executable}
import json, os, pathlib, sys
from PIL import Image
argv = sys.argv[1:]
with open(os.environ["FOLDER"] + "/called", "a") as called:
    called.write(" ".join(argv) + "\\n")
given = dict(zip(argv, argv[1:]))
out = pathlib.Path(given.get("--out", given.get("--results", ".")))
def masks(folder, share):
    for name in ("00000", "00001"):
        (folder / "bear").mkdir(parents=True, exist_ok=True)
        ids = Image.new("L", (10, 4))
        ids.paste(1, (0, 0, share, 4))
        if not (folder / "bear" / (name + ".png")).exists():  # as the commands do
            ids.save(folder / "bear" / (name + ".png"))
if argv[:2] == ["data", "frames"]:
    (out / "bear").mkdir(parents=True)
elif argv[:2] == ["data", "foreground"]:
    masks(out, 4)
elif argv[0] == "train":
    facts = {{"steps": 8, "videos": 1, "config": {{}}, "seconds": 60}}
    for number in (1, 2):
        masks(out / f"round{{number}}" / "maps", 2)
        (out / f"round{{number}}" / "metrics.jsonl").write_text('{{"step": 8, "frame": 0.5}}\\n')
    (out / "encoder.json").write_text(json.dumps({{"training": facts}}))
    (out / "provenance.json").write_text(json.dumps({{"machine": "m", "versions": {{}}, "git_commit": "c"}}))
elif argv[0] == "propagate":
    masks(out, 8)
elif argv[0] == "zeroshot":
    masks(out, 8)
    masks(out / "no-crf", 8)
    for name in ("00000", "00001"):
        soft = out / "no-crf" / "bear" / "probabilities" / "1" / (name + ".png")
        soft.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((10, 4)).rotate(180).save(soft)
elif argv[0] == "score":
    found = {{"J-Mean": 0.25, "F-Mean": 0.5}}
    if "--no-stability" not in argv:
        found["T-Mean"] = 0.125
    (out / "results.json").write_text(json.dumps({{"overall": found, "sequences": {{"bear": found}}}}))
"""


MASKS = ("", "_no_crf", "_equal_area")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout of the script alone, with commands that only pretend, and a DAVIS of one sequence."""
    for part in ("scripts", "benchmarks", "bin", "DAVIS/ImageSets/2016", "videos"):
        (tmp_path / part).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "mug_dev.sh", tmp_path / "scripts")
    for name in ("mug_dev.py", "mean_map.py", "equal_area.py"):
        shutil.copy(ROOT / "benchmarks" / name, tmp_path / "benchmarks")
    (tmp_path / "DAVIS/JPEGImages/480p/bear").mkdir(parents=True)
    Image.new("RGB", (20, 8)).save(tmp_path / "DAVIS/JPEGImages/480p/bear/00000.jpg")
    (tmp_path / "scripts" / "environment.sh").write_text(ENVIRONMENT)
    (tmp_path / "DAVIS/ImageSets/2016/dev.txt").write_text("bear\n")
    for name in ("densevos", "densevos-eval"):
        (tmp_path / "bin" / name).write_text(COMMAND)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    return tmp_path


def run(folder: Path, **variables: str) -> dict[str, Any]:
    """The JSON that the script ends with."""
    wanted = {"FOLDER": folder, "VIDEOS": folder / "videos", "DAVIS": folder / "DAVIS", "OUT": folder / "out"}
    environment = {**os.environ, **{name: str(value) for name, value in wanted.items()}, **variables}
    script = ["bash", str(folder / "scripts" / "mug_dev.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert json.loads((folder / "out" / "mug_dev.json").read_text()) == found
    return found


def test_both_kinds_of_knowledge_are_learned_from_and_judged_once(folder: Path) -> None:
    found = run(folder, TRANSDUCTIVE="1", RESULT=str(folder / "kept.json"))
    kinds = [f"mug{of}_round{number}{crf}" for of in ("", "_cam") for number in (1, 2) for crf in MASKS]
    assert {"saliency", "saliency_no_crf", "saliency_mean", "cam", "one_shot", "one_shot_release_cam", *kinds} <= set(
        found
    )
    assert {f"mug_transductive{of}_round2" for of in ("", "_cam")} <= set(found)
    mean = read_mask(folder / "out" / "saliency_mean" / "bear" / "00000.png")
    assert mean[:, :8].all()
    assert not mean[:, 8:].any()
    equal = read_mask(folder / "out" / "mug_cam_round2" / "equal-area" / "bear" / "00001.png")
    assert equal[0].all()  # A soft mask that falls from the first row to the last, cut at the maps' share, .4.
    assert equal[:2].mean() >= 0.5
    assert not equal[2:].any()
    assert found["saliency"] == {"J": 25.0, "F": 50.0, "T": 12.5, "J_sequences": {"bear": 25.0}}
    assert found["saliency_mean"].keys() == {"J", "F", "J_sequences"}
    assert json.loads((folder / "kept.json").read_text()) == found
    before = (folder / "called").read_text().splitlines()
    assert len([line for line in before if line.startswith("train ")]) == 4
    run(folder, TRANSDUCTIVE="1")
    again = (folder / "called").read_text().splitlines()[len(before) :]
    assert not [line for line in again if line.startswith(("score ", "data frames"))]
    assert all("--resume" in line for line in again if line.startswith(("train ", "zeroshot ", "propagate ")))


def test_agreement_is_the_iou_with_the_first_maps(folder: Path) -> None:
    found = run(folder, KNOWLEDGE="saliency", LEAVE_OUT="video")
    # Two columns of the maps' four; four of eight on the judged frames.
    assert found["agreement"] == {
        name: {"trained": 50.0, "judged": 50.0} for name in ("mug_saliency", "mug_without_video")
    }
    ids = np.full((4, 10), 255, np.uint8)
    ids[:, :3] = 1
    write_mask(folder / "out" / "maps_saliency" / "bear" / "00001.png", ids)
    assert run(folder, KNOWLEDGE="saliency")["agreement"]["mug_saliency"]["trained"] == pytest.approx(58.3)
