"""The benchmark against the dense formulation runs, agrees with it, and ends in one JSON object."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import pytest
import torch

import label_propagation

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "label_propagation.py"


@pytest.mark.parametrize("search", ["tiles", "windows"])
def test_small_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, search: str
) -> None:
    threads = torch.get_num_threads()
    small = [
        "--frames",
        "1",
        "--height",
        "9",
        "--width",
        "13",
        "--channels",
        "16",
        "--threads",
        "1",
    ]
    chosen = ["--search", search, "--out", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *small, *chosen])
    try:
        run_path(str(SCRIPT), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["max_abs_diff"] < 1e-4
    assert figures["labels_equal"] > 0.9999
    assert figures["estimate_frames_per_second"] > 60
    assert figures["estimate_kernels"] > 100
    assert {"speedup", "floor_ratio", "seconds_dense", "seconds_ours", "peak_mb"} <= figures.keys()
    assert json.loads((tmp_path / "figures.json").read_text()) == figures


def test_estimates_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    small = {
        name: replace(case, height=9, width=13, channels=16)
        for name, case in label_propagation.CASES.items()
    }
    monkeypatch.setattr(label_propagation, "CASES", small)
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--estimate", "--threads", str(threads)])
    label_propagation.main()
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(rows) == {
        f"{name} {kind}" for name in ("davis", "dinov3", "frame") for kind in ("fp32", "bf16")
    }
    assert rows["frame bf16"]["tflop_bf16"] >= rows["davis bf16"]["tflop_bf16"]
    assert rows["frame fp32"]["kernels"] > rows["davis fp32"]["kernels"] > 100
