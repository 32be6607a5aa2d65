"""benchmarks/end_to_end.py runs, tells speed and memory, and ends in one JSON object."""

import json
import sys
from pathlib import Path
from runpy import run_path

import pytest

from tests.conftest import ROOT

SCRIPT = str(ROOT / "benchmarks" / "end_to_end.py")


@pytest.mark.slow
def test_small_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    small = [
        "--frames",
        "4",
        "--height",
        "50",
        "--width",
        "70",
        "--threads",
        "1",
        "--out",
        str(tmp_path / "out.json"),
    ]
    monkeypatch.setattr(sys, "argv", [SCRIPT, *small])
    run_path(SCRIPT, run_name="__main__")
    *table, last = capsys.readouterr().out.splitlines()
    (row,) = json.loads(last)["rows"]
    assert (row["frames"], row["precision"], row["device"]) == (4, "fp32", "cpu")
    assert row["frames_per_second"] > 0
    assert 0 < row["peak_mb"] < 500
    assert table[0].startswith("| frames")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(last)
