"""The benchmark of training steps runs, finds equal losses, and ends in one JSON object."""

import json
import sys
from pathlib import Path
from runpy import run_path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "training_step.py"


def test_small_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    small = [
        "--batch",
        "2",
        "--frames",
        "2",
        "--size",
        "64",
        "--rounds",
        "1",
        "--clips",
        "2",
        "--threads",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *small, "--out", str(tmp_path / "figures.json")])
    try:
        run_path(str(SCRIPT), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["side"] for row in figures["step"]] == ["plain", "ours fp32", "ours"]
    assert {"speedup_ours", "speedup_ours_fp32", "cpu_speedup_ours"} <= figures.keys()

    # The affinity alone: both formulations have the same loss at every size.
    rows = figures["affinity"]
    assert [(row["clips"], row["frames"]) for row in rows[::2]] == [(2, 5), (1, 2), (1, 3), (1, 4)]
    for plain, ours in zip(rows[::2], rows[1::2], strict=True):
        assert plain["loss"] == pytest.approx(ours["loss"], abs=1e-3)
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
