"""The benchmark against the dense formulation runs, agrees with it, and ends in one JSON object."""

import json
import sys
from pathlib import Path
from runpy import run_path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "label_propagation.py"


@pytest.mark.parametrize("search", ["tiles", "windows"])
def test_small_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, search: str) -> None:
    threads = torch.get_num_threads()
    small = ["--frames", "1", "--height", "9", "--width", "13", "--channels", "16", "--threads", "1"]
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
