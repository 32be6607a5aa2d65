"""benchmarks/video_reading.py runs, finds no wrong frames of ours and ends in one JSON object."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_last_line_is_json_without_wrong_clips() -> None:
    script = ROOT / "benchmarks" / "video_reading.py"
    command = [sys.executable, str(script), "--clips", "2", "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    rows = json.loads(last)["rows"]
    assert len(rows) == 6
    assert not any(row["wrong_clips"] for row in rows)
    assert table[0].startswith("| file")
