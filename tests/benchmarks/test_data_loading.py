"""benchmarks/data_loading.py runs, reads the clips that are read by hand, and ends in one JSON
object.
"""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_last_line_is_json_of_every_way() -> None:
    script = ROOT / "benchmarks" / "data_loading.py"
    command = [
        sys.executable,
        str(script),
        "--clips",
        "2",
        "--videos",
        "1",
        "--seconds",
        "2",
        "--sizes",
        "340x256",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *tables, last = done.stdout.splitlines()
    result = json.loads(last)
    rows = [*result["rows"], *result["opening"], *result["whole"]]
    ways = {row["way"] for row in rows}
    assert {
        "decord by hand",
        "video files (decord)",
        "frame folders",
        "shards of clips",
        "shards of jpeg",
    } <= ways
    assert {row["video"] for row in rows} == {"340x256"}
    assert all(row["cpu_ms"] > 0 for row in rows)
    assert all(row["cores_a_gpu"] >= 1 for row in result["rows"])
    assert "| video | way | CPU ms |" in "\n".join(tables)
