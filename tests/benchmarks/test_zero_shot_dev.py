"""Zero-shot segmentation without training on DAVIS: which commands run, and the tables of what they
leave.
"""

import json
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from experiments.zero_shot_dev import run
from tests.benchmarks.folders import Pretended, gathered
from tests.conftest import ROOT


def leave_scores(folder: Path, j: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    means = {"J-Mean": j, "F-Mean": 0.5, "T-Mean": 0.25}
    (folder / "results.json").write_text(
        json.dumps({"overall": means, "sequences": {"bear": means}})
    )


def test_steps_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = Pretended(lambda command: None)
    monkeypatch.setattr(run, "run_jobs", pretended)
    run.run({"DAVIS": "/d", "OUT": str(tmp_path), "ENCODER": "e.safetensors"}, ())
    where = "--dataset davis16 --root /d --split dev"
    expected = []
    for name, options in (
        ("motion", "--method motion"),
        ("consensus", "--method consensus"),
        ("consensus_encoder", "--method consensus --encoder e.safetensors"),
    ):
        out = tmp_path / name
        expected += [f"densevos-eval zeroshot {options} {where} --out {out} --resume"]
        expected += [
            f"densevos-eval score {where} --results {masks}" for masks in (out, out / "no-crf")
        ]
    assert pretended.called == [
        *expected,
        f"python {ROOT}/benchmarks gather zero_shot_dev {tmp_path}",
    ]

    with pytest.raises(InputError, match="takes no options"):
        run.run({"DAVIS": "/d", "OUT": str(tmp_path)}, ("--loop.epochs", "1"))


def test_tables_of_methods_and_sequences(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, j in (("motion", 0.5), ("consensus", 0.625)):
        leave_scores(tmp_path / name, j)
        leave_scores(tmp_path / name / "no-crf", j - 0.125)
    said, result = gathered(capsys, "zero_shot_dev", str(tmp_path))
    assert "| consensus | 50.0 (50.0, 25.0) | 62.5 (50.0, 25.0) |" in said.splitlines()
    assert "| bear | 50.0 | 62.5 |" in said.splitlines()
    assert "consensus_encoder" not in result["rows"]
