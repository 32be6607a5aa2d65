"""benchmarks/zero_shot.py runs, and ends in one JSON object."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_last_line_is_json_with_a_row_for_each_part_and_length() -> None:
    parts = ["motion map", "consensus, all of it"]
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "zero_shot.py"),
        "--frames",
        "2",
        "--lengths",
        "3",
    ]
    done = subprocess.run(
        [*command, "--parts", *parts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert [(row["part"], row["frames"]) for row in rows] == [
        *((part, 2) for part in parts),
        ("consensus, all of it", 3),
    ]
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[-1]["peak_mb"] > 0
