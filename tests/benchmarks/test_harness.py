"""What the speed scripts share."""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from tests.conftest import ROOT


def test_a_row_is_the_last_line_of_its_own_process() -> None:
    code = "import json, os; print('talk'); print(json.dumps([os.getpid(), os.environ['SPEED']]))"
    process, speed = harness.in_own_process(["-c", code], {"SPEED": "high"})
    assert process != os.getpid()
    assert speed == "high"


def test_memory_of_this_process() -> None:
    before = harness.resident_mb()
    # New pages: a bytearray may get memory that an earlier test has freed and that still counts.
    with mmap.mmap(-1, 64 << 20) as block:
        for _ in range(64):
            block.write(os.urandom(1 << 20))

        assert 60 < harness.resident_mb() - before < 80
        assert harness.peak_mb() >= harness.resident_mb() - 1


def test_a_report_ends_in_its_json(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = harness.table(["", "seconds"], [["ours", 0.5], ["theirs", 1]])
    assert table == "|  | seconds |\n|---|---|\n| ours | 0.5 |\n| theirs | 1 |"
    harness.report({"speedup": 2}, table, table, out=tmp_path / "kept.json")
    *said, last = capsys.readouterr().out.splitlines()
    assert said == [*table.splitlines(), ""] * 2
    assert json.loads(last) == json.loads((tmp_path / "kept.json").read_text()) == {"speedup": 2}


def test_the_harness_loads_no_torch() -> None:
    code = "import sys; import harness; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", check=False)
    assert done.returncode == 0
