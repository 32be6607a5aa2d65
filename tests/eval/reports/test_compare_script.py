"""scripts/compare.sh: which commands it runs, with which options."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Instead of the commands and of what installs them: a command that writes down what it was called
# with.
ENVIRONMENT = """
BIN="$FOLDER/bin"
ROOT="$FOLDER"
environment_die() { echo "error: $*" >&2; exit 2; }
"""
COMMAND = """#!/usr/bin/env bash
echo "$@" >>"$FOLDER/called"
if [ "$1" = compare ]; then echo "the table" >"$FOLDER/runs/compare/compare.md"; fi
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("scripts", "bin", "runs/compare"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "compare.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "environment.sh").write_text(ENVIRONMENT)
    (tmp_path / "bin" / "densevos-eval").write_text(COMMAND)
    (tmp_path / "bin" / "densevos-eval").chmod(0o755)
    return tmp_path


def compare(folder: Path, *options: str, **variables: str) -> tuple[int, str, list[str]]:
    """Exit status, what was printed, and the commands."""
    environment = {**os.environ, "FOLDER": str(folder), "DATA": "/data/D", **variables}
    script = ["bash", str(folder / "scripts" / "compare.sh"), *options]
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=environment)
    called = folder / "called"
    return (
        done.returncode,
        done.stdout + done.stderr,
        called.read_text().splitlines() if called.is_file() else [],
    )


def test_every_encoder_is_judged_and_the_table_printed(folder: Path) -> None:
    out = folder / "runs" / "compare"
    variables = {
        "ENCODERS": "a=random:resnet18 b=timm:x:w=1.pth",
        "DATASET": "davis17",
        "COMPARE": "--published",
    }
    status, said, called = compare(
        folder, "--scale", "0.5", BENCHMARK="--sequences one two", **variables
    )
    assert (status, said) == (0, "the table\n")
    where = "--dataset davis17 --root /data/D --split val --sequences one two"
    assert called == [
        f"propagate --encoder random:resnet18 {where} --out {out}/a --resume --scale 0.5",
        f"score {where} --results {out}/a",
        f"propagate --encoder timm:x:w=1.pth {where} --out {out}/b --resume --scale 0.5",
        f"score {where} --results {out}/b",
        f"compare {out}/a {out}/b --published --out {out}/compare.md",
    ]


def test_overwrite_begins_anew(folder: Path) -> None:
    _, _, called = compare(folder, "--overwrite", ENCODERS="a=x")
    assert called[0].endswith("/runs/compare/a --overwrite")


def test_what_is_missing_is_told(folder: Path) -> None:
    assert compare(folder, ENCODERS="")[1].endswith(
        "set ENCODERS to NAME=ENCODER NAME=ENCODER ...\n"
    )
    assert compare(folder, ENCODERS="x.pth")[:2] == (
        2,
        "error: ENCODERS: x.pth has no name; write NAME=x.pth\n",
    )
