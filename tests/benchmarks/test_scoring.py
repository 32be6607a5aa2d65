"""benchmarks/scoring.py runs, finds identical numbers and ends in one JSON object."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_last_line_is_json_of_identical_numbers() -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "scoring.py"),
        "--frames",
        "4",
        "--workers",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    result = json.loads(last)
    assert result["identical"]
    assert result["frames"] == 4
    assert result["speedup"] > 0
    assert table[0].startswith("| program")
