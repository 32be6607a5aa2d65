"""Random against trained on DAVIS: which commands run, and the table of what they leave."""

import json
from pathlib import Path

import pytest

from experiments.davis_dev import run
from tests.benchmarks.folders import Pretended, gathered
from tests.conftest import ROOT


def test_steps_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(command: tuple[str, ...]) -> None:
        if command[1] == "data":
            (tmp_path / "frames.part").mkdir()

    pretended = Pretended(leave)
    monkeypatch.setattr(run, "run_jobs", pretended)
    variables = {"VIDEOS": "/v", "DAVIS": "/d", "OUT": str(tmp_path), "SPLIT": "val"}
    run.run(variables, ("--loop.epochs", "1"))
    where = "--dataset davis16 --root /d --split val"
    expected = [
        f"densevos data frames /v --short-side 224 --out {tmp_path}/frames.part --overwrite",
        f"densevos train dul_small --data {tmp_path}/frames --out {tmp_path}/run --resume auto "
        f"--loop.epochs 1",
        f"densevos-eval propagate --encoder random:resnet18 {where} --out {tmp_path}/random_init "
        f"--overwrite",
        f"densevos-eval score {where} --results {tmp_path}/random_init",
        f"densevos-eval propagate --encoder {tmp_path}/run/encoder.safetensors {where} --out "
        f"{tmp_path}/trained"
        " --overwrite",
        f"densevos-eval score {where} --results {tmp_path}/trained",
        f"python {ROOT}/benchmarks gather davis_dev {tmp_path}",
    ]
    assert pretended.called == expected
    run.run(variables, ("--loop.epochs", "1"))
    assert pretended.called[len(expected) :] == expected[1:]  # the frames are kept


def test_table_has_gains_of_every_sequence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, j in (("random_init", 0.25), ("trained", 0.5)):
        (tmp_path / name).mkdir()
        scores = {"J-Mean": j, "F-Mean": 0.5, "J&F-Mean": (j + 0.5) / 2}
        results = {"overall": scores, "sequences": {"bear": scores}}
        (tmp_path / name / "results.json").write_text(json.dumps(results))
    (tmp_path / "run").mkdir()
    card = {"steps": 4, "seconds": 90, "videos": 1, "config": {"data": str(tmp_path / "frames")}}
    (tmp_path / "run" / "encoder.json").write_text(json.dumps({"training": card}))
    record = {"machine": {}, "versions": {}, "git_commit": "c"}
    (tmp_path / "run" / "provenance.json").write_text(json.dumps(record))

    said, result = gathered(capsys, "davis_dev", str(tmp_path), result=str(tmp_path / "kept.json"))
    assert "| bear | 25.0 | 50.0 | +25.0 | 50.0 | 50.0 | +0.0 |" in said.splitlines()
    assert (result["steps"], result["train_minutes"], result["commit"]) == (4, 1.5, "c")
    assert result["config"] == {"data": "OUT/frames"}
    assert json.loads((tmp_path / "kept.json").read_text()) == result
