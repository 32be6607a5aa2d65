"""scripts/i2v_tables.sh, scripts/i2v_dev.sh and what gathers their results."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tyro

from densevos.cli import _starting_point, _TrainArguments
from densevos.config import I2VConfig
from densevos.methods.registry import write_config
from densevos.recipes import RECIPES
from tests.conftest import ROOT

TRAIN = "densevos train "
SETS = ("COCO", "DAVIS", "YTBB", "FBMS", "VOC")
PUBLISHED = json.loads((ROOT / "benchmarks" / "i2v_published.json").read_text(encoding="utf-8"))

# Instead of what installs the commands; they write down what they were called with, and leave what they would make.
ENVIRONMENT = """
BIN="$FOLDER/bin"
ROOT="$FOLDER"
environment_die() { echo "error: $*" >&2; exit 2; }
"""
COMMAND = """#!/usr/bin/env bash
echo "${0##*/} $*" >>"$FOLDER/called"
kind="$1"
while [ $# -gt 0 ]; do
    case "$1" in
        --out | --write-names) out="$2" ;;
        --results) results="$2" ;;
        --loss) [ "$2" != "${FAIL:-}" ] || exit 3 ;;
    esac
    shift
done
case "$kind" in
    data) case "$out" in *.txt) touch "$out" ;; *) mkdir -p "$out" ;; esac ;;
    train)
        if [ -n "${NAP:-}" ]; then
            trap 'echo saved >>"$FOLDER/called"; exit 143' TERM
            echo $$ >>"$FOLDER/training"
            sleep "$NAP" &
            wait $!
        fi
        mkdir -p "$out" && touch "$out/model.safetensors" ;;
    segment) mkdir -p "$out" && touch "$out/segment.json" ;;
    score) mkdir -p "$results" && touch "$results/results.json" ;;
esac
"""


def tables(*options: str, **variables: str) -> tuple[int, list[str], str]:
    """Exit status, commands and complaints of a dry run."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in (*SETS, "TABLES", "SEEDS", "OUT", "FBMS_CLASSES")
    }
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
        (train,) = [c for c in commands if c.startswith(TRAIN) and f"--out runs/{row['run']}/seed0/run " in c]
        adversarial = {"-": "--loss none"}.get(row["placement"], f"--placement {row['placement']}")
        assert f"--loss {row['loss'].split(',')[0]}" in train
        assert adversarial in train
        assert ("--sets.names runs/coco_train" in train) == ("COCO" in row["labelled"])
        labelled, _, unlabelled = train.partition("--labelled ")[2].partition(" --loss")[0].partition(" --unlabelled ")
        assert [spec.split(":")[1] for spec in labelled.split()] == row["labelled"].split("+")
        assert unlabelled.split(":")[-1].replace("VOC", "Pascal") == row["unlabelled"].strip("-")
        scored = [
            c for c in commands if "eval score --set" in c and c.endswith(f"runs/{row['run']}/seed0/{row['judged']}")
        ]
        assert len(scored) == 1
    trained = {command.partition("--out runs/")[2].split("/")[0] for command in commands if command.startswith(TRAIN)}
    assert trained == {row["run"] for row in rows()}


def test_images_of_coco_are_found_once_for_each_choice_of_classes() -> None:
    commands = tables(FBMS_CLASSES="cell phone,dog")[1]
    listed = [command.partition(" --split ")[2] for command in commands if " data classes coco:COCO " in command]
    assert listed == [
        "train --write-names runs/coco_train.txt",
        "train --wanted cell\\ phone dog --write-names runs/coco_train_cell-phone-dog.txt",
        "val --write-names runs/coco_val.txt",
    ]
    judged = [command for command in commands if command.startswith("densevos-eval") and "--dataset coco" in command]
    assert judged
    assert all("--split val --names runs/coco_val.txt " in command for command in judged)
    assert any("--classes cell\\ phone dog --out runs/fbms-coco/" in command for command in commands)


def test_numbers_of_clusters() -> None:
    _, commands, _ = tables(TABLES="clusters", SEEDS="0 1")
    trained = [command for command in commands if command.startswith(TRAIN)]
    assert len(trained) == 8
    for clusters in (2, 5, 11, 22):
        assert sum(f"--adversarial.clusters {clusters} --loop.batch 4" in command for command in trained) == 2


def test_commands_are_understood() -> None:
    """Training commands parse, with the recipes and options that there are, and make sense."""
    _, commands, _ = tables("--loop.device", "cpu")
    kinds = {shape_of(command): command.split()[2:] for command in commands if command.startswith(TRAIN)}
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
    assert sum(command.startswith(TRAIN) for command in called) == 5
    assert called[-1].endswith("cnn pascal fbms")
    again = run(folder, "i2v_tables", COCO="/coco", DAVIS="/davis", TABLES="cnn pascal fbms")[2][len(called) :]
    assert [command.split()[0] for command in again] == ["python"]  # finished runs are not repeated


def test_unknown_table_is_refused() -> None:
    status, _, said = tables(TABLES="nonsense")
    assert (status, said) == (2, "error: TABLES: there is no nonsense\n")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Results of two seeds of two rows."""
    for run, loss, miou in (("swin-coco", "none", 0.30), ("swin-coco-clustered-spatial-davis", "clustered", 0.40)):
        for seed in (0, 1):
            here = tmp_path / run / f"seed{seed}"
            write_results(here / "davis", miou + 0.02 * seed)
            write_trained(here / "run", make_config("i2v_swin", seed, loss=loss))
    return tmp_path


def make_config(recipe: str, seed: int, epochs: int = 30, **options: Any) -> I2VConfig:
    config = RECIPES[recipe](("coco:COCO",))
    assert isinstance(config, I2VConfig)
    loop = dataclasses.replace(config.loop, seed=seed, epochs=epochs)
    return dataclasses.replace(config, loop=loop, **options)


def write_trained(folder: Path, config: I2VConfig) -> None:
    """What a run of 40 steps leaves behind, but for its log and weights."""
    folder.mkdir(parents=True)
    write_config(folder / "config.json", config)
    (folder / "model.json").write_text(json.dumps({"training": {"steps": 40, "seconds": 90, "began": "at random"}}))
    record = {"git_commit": folder.parent.name, "machine": {"processor": "abacus"}, "versions": {"torch": "2"}}
    (folder / "provenance.json").write_text(json.dumps(record))


def write_results(folder: Path, miou: float) -> None:
    folder.mkdir(parents=True)
    classes = {"sky": {"IoU": miou}, "sign": {"IoU": None}}
    (folder / "results.json").write_text(json.dumps({"overall": {"mIoU": miou}, "classes": classes}))


def refused(script: str, *arguments: str) -> str:
    """What it complains of."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def gathered(script: str, *arguments: str) -> tuple[str, dict[str, Any]]:
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, json.loads(done.stdout.splitlines()[-1])


def test_table_has_published_figures_beside_ones_own(scored: Path) -> None:
    said, result = gathered("i2v_tables", str(scored), "swin")
    row = "| Swin | COCO | DAVIS | clustered | spatial | davis | 38.53 | +8.55 | 41.00 ± 1.41 | +10.00 | 2 | 30 (640) |"
    assert row in said.splitlines()
    assert "| Swin | COCO | DAVIS | general | global | davis | 25.27 | -4.71 | – | – | 0 | – |" in said
    assert "other budgets" in said
    assert "(Table 7 of B), mIoU 26.49 without and 27.84 with." in said
    assert result["tables"]["swin"][3]["scores"] == pytest.approx({"seed0": 40, "seed1": 42})
    assert result["git_commits"] == ["seed0", "seed1"]
    assert json.loads((scored / "i2v_tables.json").read_text()) == result


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_of_another_budget_are_refused(scored: Path, seed: int) -> None:
    here = scored / "swin-coco-clustered-spatial-davis" / f"seed{seed}"
    shutil.rmtree(scored / "swin-coco-clustered-spatial-davis")
    write_results(here / "davis", 0.5)
    write_trained(here / "run", make_config("i2v_swin", seed, epochs=2))
    said = refused("i2v_tables", str(scored), "swin")
    assert said.startswith(
        f"error: {here}/run: was trained with loop.epochs 2, but {scored}/swin-coco/seed0/run with 30"
    )


def test_rows_that_began_with_other_weights_are_refused(scored: Path) -> None:
    """Their configurations are alike where the weights could be fetched for one of them only."""
    for here in (scored / "swin-coco-clustered-spatial-davis").glob("*/run"):
        (here / "model.json").write_text(json.dumps({"training": {"steps": 40, "seconds": 90, "began": "X"}}))
    said = refused("i2v_tables", str(scored), "swin")
    assert "seed0/run: was trained with initial weights X, but " in said
    assert f"{scored}/swin-coco/seed0/run with at random" in said


def test_unknown_table_of_the_gathered_is_refused(tmp_path: Path) -> None:
    assert refused("i2v_tables", str(tmp_path), "swine").startswith("error: swine: is no table of i2v_published.json; ")


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
    shutil.copy(ROOT / "scripts" / "i2v_common.sh", folder / "scripts")
    for name in ("densevos", "densevos-eval", "python"):
        (folder / "bin" / name).write_text(COMMAND)
        (folder / "bin" / name).chmod(0o755)
    return folder


def run(folder: Path, script: str, *options: str, **variables: str) -> tuple[int, str, list[str]]:
    """Exit status, what was printed, and the commands."""
    started = start(folder, script, *options, **variables)
    said, _ = started.communicate()
    return started.returncode, said, called_in(folder)


def start(folder: Path, script: str, *options: str, **variables: str) -> subprocess.Popen[str]:
    names = ("EXPERIMENTS", "NETWORKS", "METHODS", "SEEDS", "EPOCHS", "JOBS", "OUT", "RESULT", "CAMVID", "DRY", *SETS)
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.Popen(
        ["bash", str(folder / "scripts" / f"{script}.sh"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "FOLDER": str(folder), **variables},
        # A shell cannot trap what it was started to ignore, and the tests may be, in the background of another shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def called_in(folder: Path) -> list[str]:
    called = folder / "called"
    return called.read_text().splitlines() if called.is_file() else []


def test_experiment_trains_and_judges_every_method_with_one_budget(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    out = folder / "runs" / "i2v_dev"
    status, said, called = run(folder, "i2v_dev", "--clips.size", "96", CAMVID="/camvid", SEEDS="1", EPOCHS="2")
    assert status == 0, said
    trained = [command for command in called if command.startswith(TRAIN)]
    assert len(trained) == 2 * (4 + 5)
    assert all(
        "--loop.epochs 2 " in command and command.endswith("--resume auto --clips.size 96") for command in trained
    )
    controls = [command for command in trained if "--adversarial.mu 0" in command]
    assert len(controls) == 2
    assert all("i2v_small_cnn" in one and "--loss general --placement global " in one for one in controls)
    assert f"densevos data degrade camvid:/camvid --split train val --out {out}/data/camvid.part --overwrite" in called
    here = out / "camvid" / "cnn" / "clustered" / "seed1"
    target = f"--dataset folder --root {out}/data/camvid"
    # The next experiment's data may be made meanwhile.
    assert [command for command in called if str(here) in command] == [
        f"densevos train i2v_small_cnn --labelled camvid:/camvid --unlabelled folder:{out}/data/camvid --loss clustered"
        " --placement stage1 --adversarial.discriminator siamese --loop.seed 1 --loop.epochs 2 --loop.log-every 1"
        f" --out {here}/run --resume auto --clips.size 96",
        f"densevos-eval segment --model {here}/run {target} --out {here}/target --resume",
        f"densevos-eval score --set folder:{out}/data/camvid --results {here}/target",
        f"densevos-eval segment --model {here}/run --dataset camvid --root /camvid --out {here}/source --resume",
        f"densevos-eval score --set camvid:/camvid --results {here}/source",
    ]
    assert called[-1] == f"python {folder}/benchmarks/i2v_dev.py {out}"
    again = run(folder, "i2v_dev", "--clips.size", "96", CAMVID="/camvid", SEEDS="1", EPOCHS="2")[2]
    assert again[len(called) :] == called[-1:]  # finished runs are not repeated


def test_a_choice_of_the_experiment(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    choice = {"EXPERIMENTS": "synthetic", "NETWORKS": "swin", "METHODS": "none spatial", "SEEDS": "7 8", "JOBS": "2"}
    status, said, called = run(folder, "i2v_dev", **choice)
    assert status == 0, said
    trained = sorted(command for command in called if command.startswith(TRAIN))
    spatial = "--loss general --placement spatial --adversarial.discriminator maps"
    assert [spatial in command for command in trained] == [True, True, False, False]
    assert all("/stills --unlabelled folder:" in command for command in trained)
    assert [f"--loop.seed {seed} " in command for command, seed in zip(trained, "7878", strict=True)] == [True] * 4


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_run_that_fails_ends_the_experiment_and_is_named(tmp_path: Path, jobs: str) -> None:
    folder = copy(tmp_path, "i2v_dev")
    status, said, called = run(folder, "i2v_dev", EXPERIMENTS="synthetic", FAIL="general", JOBS=jobs)
    assert status == 3
    assert "error: synthetic swin global 0 failed with exit status 3\n" in said
    assert not any(command.startswith("python") for command in called)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_the_experiment_stops_its_trainings(tmp_path: Path, number: signal.Signals) -> None:
    folder = copy(tmp_path, "i2v_dev")
    script = start(folder, "i2v_dev", EXPERIMENTS="synthetic", JOBS="2", NAP="60")
    trainings = wait_for_lines(folder / "training", 2)
    for _ in range(2):  # as timeout sends it, and people do
        script.send_signal(number)
    said, _ = script.communicate(timeout=60)
    assert script.returncode == 128 + number
    assert "failed" not in said
    assert called_in(folder).count("saved") == 2
    assert not any(is_running(int(training)) for training in trainings)


def test_a_run_that_fails_stops_the_others(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    status, said, called = run(folder, "i2v_dev", EXPERIMENTS="synthetic", FAIL="clustered", JOBS="9", NAP="60")
    assert status == 3
    assert "clustered 0 failed" in said
    assert not any(is_running(int(line)) for line in (folder / "training").read_text().split())
    assert called.count("saved") == len((folder / "training").read_text().split())


def wait_for_lines(file: Path, count: int) -> Sequence[str]:
    for _ in range(200):
        if file.is_file() and len(lines := file.read_text().splitlines()) >= count:
            return lines
        time.sleep(0.1)
    raise AssertionError(f"{file} never had {count} lines")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_that_was_trained_anew_is_judged_anew(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    choice = {"EXPERIMENTS": "synthetic", "NETWORKS": "swin", "METHODS": "none", "SEEDS": "0"}
    before = run(folder, "i2v_dev", **choice)[2]
    here = folder / "runs" / "i2v_dev" / "synthetic" / "swin" / "none" / "seed0"
    later = time.time() + 60
    os.utime(here / "run" / "model.safetensors", (later, later))
    again = run(folder, "i2v_dev", **choice)[2][len(before) :]
    assert [command.split()[1] for command in again[:-1]] == ["segment", "score"] * 2
    assert all(command.endswith(" --overwrite") for command in again if " segment " in command)


def test_the_result_is_copied_when_asked(tmp_path: Path) -> None:
    folder = copy(tmp_path, "i2v_dev")
    called = run(folder, "i2v_dev", EXPERIMENTS="synthetic", METHODS="none", RESULT="a result.json")[2]
    assert called[-1] == f"python {folder}/benchmarks/i2v_dev.py {folder}/runs/i2v_dev a result.json"


@pytest.mark.parametrize("wrong", [{"EXPERIMENTS": "x"}, {"EXPERIMENTS": "synthetic", "METHODS": "x"}])
def test_unknown_parts_are_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    status, said, _ = run(copy(tmp_path, "i2v_dev"), "i2v_dev", **wrong)
    assert status == 2
    assert "there is no x; known are" in said


def write_run(folder: Path, target: float, config: I2VConfig, metrics: dict[str, list[float]]) -> None:
    """A run of 40 steps: metrics that hold at first, and, if there are two, in the last tenth."""
    write_results(folder / "target", target)
    write_results(folder / "source", target + 0.2)
    write_trained(folder / "run", config)
    lines = [{"step": k, **{name: one[0 if k <= 36 else -1] for name, one in metrics.items()}} for k in range(1, 41)]
    (folder / "run" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_experiment(runs: Path) -> None:
    """camvid, cnn: two seeds of three methods; of a third seed nothing is finished."""
    general = {"adversarial": [0.0, 0.7], "chance": [0.69], "accuracy_source": [1.0, 0.4], "accuracy_target": [0.6]}
    methods: dict[str, tuple[dict[str, Any], dict[str, list[float]], list[float]]] = {
        "none": ({"loss": "none"}, {}, [0.3, 0.4]),
        "mixed": ({"loss": "general"}, general, [0.36, 0.38]),
        "spatial": ({"loss": "general", "placement": "stage1"}, general, [0.35, 0.39]),
    }
    for method, (options, known, scores) in methods.items():
        for seed, score in enumerate(scores):
            config = make_config("i2v_small_cnn", seed, **options)
            write_run(
                runs / "camvid" / "cnn" / method / f"seed{seed}", score, config, {"segmentation": [2, 1], **known}
            )
    (runs / "camvid" / "cnn" / "spatial" / "seed2" / "run").mkdir(parents=True)
    (runs / "data" / "camvid").mkdir(parents=True)


def test_experiment_is_gathered(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_experiment(runs)
    said, result = gathered("i2v_dev", str(runs), str(tmp_path / "kept.json"))
    assert "**camvid, cnn**, 30 epochs, 40 steps" in said.splitlines()
    header = (
        "| method | target mIoU | gain over none | gain over mixed | source mIoU | D loss (chance) | D right"
        " | clusters used (features) | seeds |"
    )
    assert header in said.splitlines()
    assert "| none | 35.00 ± 7.07 |  | -2.00 ± 5.66 (1/2) | 55.00 ± 7.07 |  |  |  | 2 |" in said.splitlines()
    row = (
        "| spatial | 37.00 ± 2.83 | +2.00 ± 4.24 (1/2) | +0.00 ± 1.41 (1/2) | 57.00 ± 2.83 | 0.700 (0.690)"
        " | source 40 %, target 60 % |  | 2 |"
    )
    assert row in said.splitlines()
    assert json.loads((runs / "i2v_dev.json").read_text()) == result
    assert json.loads((tmp_path / "kept.json").read_text()) == result
    one = result["experiments"]["camvid, cnn"]["spatial"]["seed0"]
    assert (one["target"], one["accuracy_target"]) == (35.0, 0.6)
    assert (one["epochs"], one["steps"], one["samples"], one["minutes"]) == (30, 40, 320, 1.5)
    assert one["target classes"] == {"sky": 35.0, "sign": None}
    assert one["curve"]["step"] == list(range(2, 41, 2))
    assert one["curve"]["accuracy_source"] == [1.0] * 18 + [0.4] * 2
    assert result["git_commits"] == ["seed0", "seed1"]
    assert result["machines"] == [{"processor": "abacus", "device": None}]


def test_steps_without_pairs_do_not_count(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    idle = {"adversarial": [0.0, 0.6], "accuracy_mixed": [0.0, 0.5], "clusters_used": [0, 8], "coverage": [0, 0.9]}
    here = runs / "camvid" / "swin" / "clustered"
    write_run(here / "seed0", 0.3, make_config("i2v_small_cnn", 0), {"segmentation": [1], "chance": [0.64], **idle})
    said, result = gathered("i2v_dev", str(runs))
    row = "| clustered | 30.00 | 50.00 | 0.600 (0.640) | mixed 50 % | 8.0 (90 %), none in 90.0 % of steps | 1 |"
    assert row in said.splitlines()
    curve = result["experiments"]["camvid, swin"]["clustered"]["seed0"]["curve"]
    assert curve["adversarial"] == curve["accuracy_mixed"][:18] + [0.6] * 2 == [None] * 18 + [0.6] * 2
    never = {name: values[:1] for name, values in idle.items()}
    shutil.rmtree(here)
    write_run(here / "seed0", 0.3, make_config("i2v_small_cnn", 0), {"segmentation": [1], "chance": [0.64], **never})
    said, _ = gathered("i2v_dev", str(runs))
    assert "| clustered | 30.00 | 50.00 | no pairs |  | 0.0 (0 %), none in 100.0 % of steps | 1 |" in said.splitlines()


@pytest.mark.parametrize(("seed", "method"), [(2, "spatial"), (0, "global")])
def test_runs_of_another_budget_are_refused(tmp_path: Path, seed: int, method: str) -> None:
    write_experiment(tmp_path)
    here = tmp_path / "camvid" / "cnn" / method / f"seed{seed}"
    shutil.rmtree(here, ignore_errors=True)
    write_run(here, 0.4, make_config("i2v_small_cnn", seed, epochs=2, placement="stage1"), {"segmentation": [1]})
    assert refused("i2v_dev", str(tmp_path)).startswith(f"error: {here}/run: was trained with loop.epochs 2, but ")
    assert not (tmp_path / "i2v_dev.json").exists()
