"""The domain-gap experiment: which commands run, and the tables of what they leave."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from experiments import reports
from experiments.i2v_dev import run
from tests.benchmarks.folders import (
    Pretended,
    gathered,
    leave_of_segmentation,
    make_config,
    write_experiment,
    write_run,
)
from tests.conftest import ROOT

TRAIN = "densevos train "


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """What is called instead of the product."""
    pretended = Pretended(leave_of_segmentation)
    monkeypatch.setattr(run, "run_jobs", pretended)
    return pretended


def test_experiment_trains_and_judges_every_method_with_one_budget(tmp_path: Path, pretended: Pretended) -> None:
    variables = {"OUT": str(tmp_path), "CAMVID": "/camvid", "SEEDS": "1", "EPOCHS": "2"}
    run.run(variables, ("--clips.size", "96"))
    trained = pretended.starting(TRAIN)
    assert len(trained) == 2 * (4 + 5)
    assert all(
        "--loop.epochs 2 " in command and command.endswith("--resume auto --clips.size 96") for command in trained
    )
    controls = [command for command in trained if "--adversarial.mu 0" in command]
    assert len(controls) == 2
    assert all("i2v_small_cnn" in one and "--loss general --placement global " in one for one in controls)
    data = f"{tmp_path}/data/camvid"
    assert f"densevos data degrade camvid:/camvid --split train val --out {data}.part --overwrite" in pretended.called
    here = tmp_path / "camvid" / "cnn" / "clustered" / "seed1"
    target, source = f"--set folder:{data} --split val", "--set camvid:/camvid --split val"
    assert [command for command in pretended.called if str(here) in command] == [
        f"densevos train i2v_small_cnn --published --labelled camvid:/camvid --unlabelled folder:{data}"
        " --loss clustered --placement stage1 --adversarial.discriminator siamese"
        " --loop.seed 1 --loop.epochs 2 --loop.log-every 1"
        f" --out {here}/run --resume auto --clips.size 96",
        f"densevos-eval segment --model {here}/run {target} --out {here}/target --resume",
        f"densevos-eval score --metric miou {target} --results {here}/target",
        f"densevos-eval segment --model {here}/run {source} --out {here}/source --resume",
        f"densevos-eval score --metric miou {source} --results {here}/source",
    ]
    assert pretended.called[-1] == f"python {ROOT}/benchmarks gather i2v_dev {tmp_path}"

    before = len(pretended.called)
    run.run(variables, ("--clips.size", "96"))
    assert pretended.called[before:] == pretended.called[before - 1 : before]  # finished runs are not repeated


def test_a_choice_of_the_experiment(tmp_path: Path, pretended: Pretended) -> None:
    choice = {"EXPERIMENTS": "synthetic", "NETWORKS": "swin", "METHODS": "none spatial", "SEEDS": "7 8", "JOBS": "2"}
    run.run({"OUT": str(tmp_path), **choice}, ())
    trained = sorted(pretended.starting(TRAIN))
    spatial = "--loss general --placement spatial --adversarial.discriminator maps"
    assert [spatial in command for command in trained] == [True, True, False, False]
    assert all("/stills --unlabelled folder:" in command for command in trained)
    assert [f"--loop.seed {seed} " in command for command, seed in zip(trained, "7878", strict=True)] == [True] * 4
    assert pretended.at_once == [1, 2, 1]  # data, runs, gathering


def test_a_run_that_was_trained_anew_is_judged_anew(tmp_path: Path, pretended: Pretended) -> None:
    choice = {"EXPERIMENTS": "synthetic", "NETWORKS": "swin", "METHODS": "none", "SEEDS": "0", "OUT": str(tmp_path)}
    run.run(choice, ())
    before = len(pretended.called)
    here = tmp_path / "synthetic" / "swin" / "none" / "seed0"
    later = time.time() + 60
    os.utime(here / "run" / "model.safetensors", (later, later))
    run.run(choice, ())
    again = pretended.called[before:]
    assert [command.split()[1] for command in again[:-1]] == ["segment", "score"] * 2
    assert all(command.endswith(" --overwrite") for command in again if " segment " in command)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Scores may be missing though the masks are there, and data is there only when it is complete."""
    settings = run.settings_from({"EXPERIMENTS": "synthetic", "OUT": str(tmp_path)}, ())
    (tmp_path / "data" / "synthetic.part").mkdir(parents=True)
    assert next(run.data_steps(settings, "synthetic"))[1:3] == ("data", "synth-classes")
    here = tmp_path / "synthetic" / "swin" / "none" / "seed0"
    for part in ("run/model.safetensors", "target/results.json", "source/segment.json"):
        (here / part).parent.mkdir(parents=True, exist_ok=True)
        (here / part).touch()
    steps = run.run_steps(settings, gap="synthetic", network="swin", method="none", seed="0")
    assert [command[1] for command in steps] == ["segment", "score"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"EXPERIMENTS": "x"}, "EXPERIMENTS: there is no x; known are camvid, synthetic"),
        ({"METHODS": "x"}, "METHODS: there is no x; known are none, mixed"),
        ({"NETWORKS": "x"}, "NETWORKS: there is no x; known are swin, cnn"),
        ({"JOBS": "0"}, "JOBS: 0 is not a whole number of at least 1"),
        ({}, "CAMVID: set CAMVID to the root of CamVid, or EXPERIMENTS=synthetic"),
    ],
)
def test_unusable_variables_are_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        run.settings_from(wrong, ())


def test_experiment_is_gathered(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runs = tmp_path / "runs"
    write_experiment(runs)
    said, result = gathered(capsys, "i2v_dev", str(runs), result=str(tmp_path / "kept.json"))
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


def test_steps_without_pairs_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runs = tmp_path / "runs"
    idle = {"adversarial": [0.0, 0.6], "accuracy_mixed": [0.0, 0.5], "clusters_used": [0, 8], "coverage": [0, 0.9]}
    here = runs / "camvid" / "swin" / "clustered"
    write_run(here / "seed0", 0.3, make_config("i2v_small_cnn", 0), {"segmentation": [1], "chance": [0.64], **idle})
    said, result = gathered(capsys, "i2v_dev", str(runs))
    row = "| clustered | 30.00 | 50.00 | 0.600 (0.640) | mixed 50 % | 8.0 (90 %), none in 90.0 % of steps | 1 |"
    assert row in said.splitlines()
    curve = result["experiments"]["camvid, swin"]["clustered"]["seed0"]["curve"]
    assert curve["adversarial"] == curve["accuracy_mixed"][:18] + [0.6] * 2 == [None] * 18 + [0.6] * 2
    never = {name: values[:1] for name, values in idle.items()}
    shutil.rmtree(here)
    write_run(here / "seed0", 0.3, make_config("i2v_small_cnn", 0), {"segmentation": [1], "chance": [0.64], **never})
    said, _ = gathered(capsys, "i2v_dev", str(runs))
    assert "| clustered | 30.00 | 50.00 | no pairs |  | 0.0 (0 %), none in 100.0 % of steps | 1 |" in said.splitlines()


@pytest.mark.parametrize(("seed", "method"), [(2, "spatial"), (0, "global")])
def test_runs_of_another_budget_are_refused(tmp_path: Path, seed: int, method: str) -> None:
    write_experiment(tmp_path)
    here = tmp_path / "camvid" / "cnn" / method / f"seed{seed}"
    shutil.rmtree(here, ignore_errors=True)
    write_run(here, 0.4, make_config("i2v_small_cnn", seed, epochs=2, placement="stage1"), {"segmentation": [1]})
    with pytest.raises(InputError) as error:
        reports.gather("i2v_dev", str(tmp_path))
    assert str(error.value).startswith(f"{here}/run: was trained with loop.epochs 2, but ")
    assert not (tmp_path / "i2v_dev.json").exists()
