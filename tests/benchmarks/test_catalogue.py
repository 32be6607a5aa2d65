"""benchmarks/catalogue.py runs, finds the same videos in three ways and ends in one JSON object."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_last_line_is_json_of_three_ways() -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "catalogue.py"),
        "--videos",
        "60",
        "--classes",
        "4",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["rows"]) == {"plain", "folder", "index"}
    assert result["times_faster_than_plain"] > 0
    assert "| `--data INDEX.npz` |" in done.stdout
