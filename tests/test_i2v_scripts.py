"""scripts/i2v_tables.sh, scripts/i2v_dev.sh and what gathers their results."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tyro

from densevos.cli import _starting_point, _TrainArguments
from tests.conftest import ROOT

SETS = ("COCO", "DAVIS", "YTBB", "FBMS", "VOC")
PUBLISHED = json.loads((ROOT / "benchmarks" / "i2v_published.json").read_text(encoding="utf-8"))

# Instead of what installs the commands; they write down what they were called with, and leave what they would make.
ENVIRONMENT = """
BIN="$FOLDER/bin"
ROOT="$FOLDER"
environment_die() { echo "error: $*" >&2; exit 2; }
"""
COMMAND = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$FOLDER/called"
kind="$1"
while [ $# -gt 0 ]; do
    case "$1" in --out) out="$2" ;; --results) results="$2" ;; --loss) [ "$2" != "${FAIL:-}" ] || exit 3 ;; esac
    shift
done
case "$kind" in
    data) mkdir -p "$out" ;;
    train) mkdir -p "$out" && touch "$out/model.safetensors" ;;
    score) mkdir -p "$results" && touch "$results/results.json" ;;
esac
"""


def tables(*options: str, **variables: str) -> tuple[int, list[str], str]:
    """Exit status, commands and complaints of a dry run."""
    environment = {name: value for name, value in os.environ.items() if name not in (*SETS, "TABLES", "SEEDS", "OUT")}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "i2v_tables.sh"), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "DRY": "1", "OUT": "runs", **variables},
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def rows() -> Iterator[dict[str, Any]]:
    for table in PUBLISHED["tables"].values():
        yield from table["rows"]


def test_every_published_row_is_trained_and_judged_once() -> None:
    status, commands, _ = tables()
    assert status == 0
    assert len(commands) == len(set(commands))
    for row in rows():
        (train,) = [c for c in commands if " train " in c and f"--out runs/{row['run']}/seed0/run " in c]
        adversarial = {"-": "--loss none"}.get(row["placement"], f"--placement {row['placement']}")
        assert f"--loss {row['loss'].split(',')[0]}" in train
        assert adversarial in train
        labelled, _, unlabelled = train.partition("--labelled ")[2].partition(" --loss")[0].partition(" --unlabelled ")
        assert [spec.split(":")[1] for spec in labelled.split()] == row["labelled"].split("+")
        assert unlabelled.split(":")[-1].replace("VOC", "Pascal") == row["unlabelled"].strip("-")
        scored = [
            c for c in commands if "score --metric miou" in c and c.endswith(f"runs/{row['run']}/seed0/{row['judged']}")
        ]
        assert len(scored) == 1
    trained = {command.partition("--out runs/")[2].split("/")[0] for command in commands if " train " in command}
    assert trained == {row["run"] for row in rows()}


def test_numbers_of_clusters() -> None:
    _, commands, _ = tables(TABLES="clusters", SEEDS="0 1")
    trained = [command for command in commands if " train " in command]
    assert len(trained) == 8
    for clusters in (2, 5, 11, 22):
        assert sum(f"--adversarial.clusters {clusters} --loop.batch 4" in command for command in trained) == 2


def test_commands_are_understood() -> None:
    """Training commands parse, with the recipes and options that there are, and make sense."""
    _, commands, _ = tables("--loop.device", "cpu")
    kinds = {shape_of(command): command.split()[2:] for command in commands if " train " in command}
    for words in kinds.values():
        config, _, rest = _starting_point(words)
        arguments = _TrainArguments.__class_getitem__(type(config))
        parsed = tyro.cli(arguments, default=_TrainArguments(config=config, out=tyro.MISSING), args=rest)
        parsed.config.check()
        assert parsed.config.loop.device == "cpu"


def shape_of(command: str) -> tuple[str, ...]:
    """The recipe, the names of the options, and the placement."""
    words = command.split()
    placement = words[words.index("--placement") + 1] if "--placement" in words else ""
    return words[2], placement, *(word for word in words if word.startswith("--"))


def test_rows_without_data_are_left_out_and_named(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_tables")
    status, said, called = run(folder, "i2v_tables", COCO="/coco", DAVIS="/davis", TABLES="cnn pascal fbms")
    assert status == 0, said
    assert "left out: cnn-coco-general-global-ytbb on DAVIS, which needs YTBB" in said
    assert "left out: fbms-coco on FBMS, which needs FBMS" in said
    assert sum(" train " in command for command in called) == 5
    assert called[-1].endswith("cnn pascal fbms")
    again = run(folder, "i2v_tables", COCO="/coco", DAVIS="/davis", TABLES="cnn pascal fbms")[2][len(called) :]
    assert [command.split()[0] for command in again] == ["python"]  # finished runs are not repeated


def test_unknown_table_is_refused() -> None:
    status, _, said = tables(TABLES="nonsense")
    assert (status, said) == (2, "error: TABLES: there is no nonsense\n")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Results of two seeds of two rows."""
    for run, miou in (("swin-coco", 0.30), ("swin-coco-clustered-spatial-davis", 0.40)):
        for seed in (0, 1):
            write_results(tmp_path / run / f"seed{seed}" / "davis", miou + 0.02 * seed)
    return tmp_path


def write_results(folder: Path, miou: float) -> None:
    folder.mkdir(parents=True)
    classes = {"sky": {"IoU": miou}, "sign": {"IoU": None}}
    (folder / "results.json").write_text(json.dumps({"overall": {"mIoU": miou}, "classes": classes}))


def gathered(script: str, *arguments: str) -> tuple[str, dict[str, Any]]:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, json.loads(done.stdout.splitlines()[-1])


def test_table_has_published_figures_beside_ones_own(scored: Path) -> None:
    said, result = gathered("i2v_tables", str(scored), "swin")
    row = "| Swin | COCO | DAVIS | clustered | spatial | davis | 38.53 | +8.55 | 41.00 ± 1.41 | +10.00 | 2 |"
    assert row in said.splitlines()
    assert "| Swin | COCO | DAVIS | general | global | davis | 25.27 | -4.71 | – | – | 0 |" in said
    assert result["swin"][3]["scores"] == pytest.approx({"seed0": 40, "seed1": 42})
    assert json.loads((scored / "i2v_tables.json").read_text()) == result


def test_published_gains_are_those_of_the_papers() -> None:
    by_run = {(name, row["run"], row["judged"]): row for name, t in PUBLISHED["tables"].items() for row in t["rows"]}
    gains = {
        key: round(row["miou"] - by_run[key[0], row["against"], key[2]]["miou"], 2)
        for key, row in by_run.items()
        if "against" in row and "miou" in row
    }
    swin = [gain for (table, *_), gain in gains.items() if table == "swin"]
    assert swin == [-4.71, 2.72, 8.55, 3.04, 2.18, 6.58, 12.3]
    assert [gain for (table, *_), gain in gains.items() if table == "videoswin"] == [11.13, 6.71, 7.9]
    assert gains["fbms", "fbms-coco-general-spatial-fbms", "fbms"] == 0.49


# --- scripts/i2v_dev.sh


def copy(folder: Path, script: str) -> Path:
    """A folder with the script and commands that only say what they were called with."""
    for name in ("scripts", "bin", "benchmarks"):
        (folder / name).mkdir()
    shutil.copy(ROOT / "scripts" / f"{script}.sh", folder / "scripts")
    (folder / "scripts" / "environment.sh").write_text(ENVIRONMENT)
    for name in ("densevos", "densevos-eval", "python"):
        (folder / "bin" / name).write_text(COMMAND)
        (folder / "bin" / name).chmod(0o755)
    return folder


def run(folder: Path, script: str, *options: str, **variables: str) -> tuple[int, str, list[str]]:
    """Exit status, what was printed, and the commands."""
    names = ("EXPERIMENTS", "NETWORKS", "METHODS", "SEEDS", "EPOCHS", "JOBS", "OUT", "CAMVID", "DRY", *SETS)
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        ["bash", str(folder / "scripts" / f"{script}.sh"), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "FOLDER": str(folder), **variables},
    )
    called = folder / "called"
    return done.returncode, done.stdout + done.stderr, called.read_text().splitlines() if called.is_file() else []


def test_experiment_trains_and_judges_every_method_with_one_budget(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    out = folder / "runs" / "i2v_dev"
    status, said, called = run(folder, "i2v_dev", "--clips.size", "96", CAMVID="/camvid", SEEDS="0 1", EPOCHS="2")
    assert status == 0, said
    trained = [command for command in called if command.startswith("densevos train")]
    assert len(trained) == 2 * 2 * 2 * 4
    assert all(
        "--loop.epochs 2 " in command and command.endswith("--resume auto --clips.size 96") for command in trained
    )
    assert f"densevos data degrade camvid:/camvid --split train val --out {out}/data/camvid.part --overwrite" in called
    here = out / "camvid" / "cnn" / "clustered" / "seed1"
    target = f"--dataset folder --root {out}/data/camvid"
    # The next experiment's data may be made meanwhile.
    assert [command for command in called if str(here) in command] == [
        f"densevos train i2v_small_cnn --labelled camvid:/camvid --unlabelled folder:{out}/data/camvid --loss clustered"
        f" --placement stage1 --loop.seed 1 --loop.epochs 2 --out {here}/run --resume auto --clips.size 96",
        f"densevos-eval segment --model {here}/run {target} --out {here}/target --resume",
        f"densevos-eval score --metric miou {target} --results {here}/target",
        f"densevos-eval segment --model {here}/run --dataset camvid --root /camvid --out {here}/source --resume",
        f"densevos-eval score --metric miou --dataset camvid --root /camvid --results {here}/source",
    ]
    assert called[-1] == f"python {folder}/benchmarks/i2v_dev.py {out}"
    again = run(folder, "i2v_dev", "--clips.size", "96", CAMVID="/camvid", SEEDS="0 1", EPOCHS="2")[2]
    assert again[len(called) :] == called[-1:]  # finished runs are not repeated


def test_a_choice_of_the_experiment(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    choice = {"EXPERIMENTS": "synthetic", "NETWORKS": "swin", "METHODS": "none spatial", "SEEDS": "7", "JOBS": "2"}
    status, said, called = run(folder, "i2v_dev", **choice)
    assert status == 0, said
    trained = sorted(command for command in called if command.startswith("densevos train"))
    assert [
        "--loss general --placement spatial --adversarial.discriminator maps" in command for command in trained
    ] == [True, False]
    assert all("/stills --unlabelled folder:" in command and "--loop.seed 7 " in command for command in trained)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_run_that_fails_ends_the_experiment(tmp_path: Path, jobs: str) -> None:
    folder = copy(tmp_path, "i2v_dev")
    status, _, called = run(folder, "i2v_dev", EXPERIMENTS="synthetic", FAIL="general", JOBS=jobs)
    assert status == 3
    assert not any(command.startswith("python") for command in called)


@pytest.mark.parametrize("wrong", [{"EXPERIMENTS": "x"}, {"EXPERIMENTS": "synthetic", "METHODS": "x"}])
def test_unknown_parts_are_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    status, said, _ = run(copy(tmp_path, "i2v_dev"), "i2v_dev", **wrong)
    assert status == 2
    assert "there is no x; known are" in said


def write_run(folder: Path, target: float, **metrics: float) -> None:
    write_results(folder / "target", target)
    write_results(folder / "source", target + 0.2)
    (folder / "run").mkdir()
    (folder / "run" / "model.json").write_text(json.dumps({"training": {"steps": 20, "seconds": 90}}))
    lines = [{"step": step, **{name: value * (step > 18) for name, value in metrics.items()}} for step in range(1, 21)]
    (folder / "run" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_experiment_is_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "benchmarks" / "i2v_dev.py", tmp_path)
    (tmp_path / "results").mkdir()
    runs = tmp_path / "runs"
    known = {"adversarial": 0.7, "chance": 0.69, "accuracy_source": 0.4, "accuracy_target": 0.6}
    for seed, (none, spatial) in enumerate([(0.3, 0.35), (0.4, 0.39)]):
        write_run(runs / "camvid" / "swin" / "none" / f"seed{seed}", none, segmentation=1)
        write_run(runs / "camvid" / "swin" / "spatial" / f"seed{seed}", spatial, segmentation=1, **known)
    (runs / "camvid" / "swin" / "spatial" / "seed2" / "run").mkdir(parents=True)  # not finished
    (runs / "data" / "camvid").mkdir(parents=True)
    command = [sys.executable, str(tmp_path / "i2v_dev.py"), str(runs)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| none | 35.00 ± 7.07 |  | 55.00 ± 7.07 |  |  | 2 |" in said
    row = (
        "| spatial | 37.00 ± 2.83 | +2.00 ± 4.24 (1/2) | 57.00 ± 2.83 | 0.700 (0.690) | source 40 %, target 60 % | 2 |"
    )
    assert row in said
    result = json.loads(said.splitlines()[-1])
    assert json.loads((tmp_path / "results" / "i2v_dev.json").read_text()) == result
    one = result["experiments"]["camvid, swin"]["spatial"]["seed0"]
    assert (one["target"], one["accuracy_target"], one["steps"], one["minutes"]) == (35.0, 0.6, 20, 1.5)
    assert one["target classes"] == {"sky": 35.0, "sign": None}
