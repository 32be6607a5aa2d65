"""benchmarks/crf.py finds the masks of pydensecrf2, and ends in one JSON object."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT


@pytest.mark.slow
def test_last_line_is_json_of_equal_masks(tmp_path: Path) -> None:
    pytest.importorskip("pydensecrf")
    for name in ("bear", "camel"):
        (tmp_path / name).mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / name / "00000.png")
    options = ["--images", str(tmp_path), "--settings", "mug", "--labels", "2", "--rounds", "1"]
    command = [sys.executable, str(ROOT / "benchmarks" / "crf.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    result = json.loads(last)
    (row,) = result["rows"]
    assert row["pixels_of_another_label"] == 0
    assert row["times_faster"] > 0
    assert result["images"] == 2
    assert set(result["peak_mb"]) == {"ours", "pydensecrf2"}
