"""benchmarks/instances.py runs on a tiny set and ends in one JSON object."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.masks import write_mask
from tests.conftest import ROOT


def test_last_line_is_json_of_every_kind_of_proposals(tmp_path: Path) -> None:
    for t in range(3):
        ids = np.zeros((40, 56), np.uint8)
        ids[4:16, 4 + t : 20 + t] = 1
        ids[24:36, 30:50] = 2
        for kind in ("JPEGImages", "Annotations"):
            (tmp_path / kind / "480p" / "two").mkdir(parents=True, exist_ok=True)
        write_mask(tmp_path / "Annotations" / "480p" / "two" / f"{t:05d}.png", ids)
        frame = np.where(ids[..., None] > 0, (200, 180, 90), (20, 40, 60)).astype(np.uint8)
        Image.fromarray(frame).save(tmp_path / "JPEGImages" / "480p" / "two" / f"{t:05d}.png")

    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "instances.py"),
        "--set",
        "tiny",
        str(tmp_path),
        "Annotations",
    ]
    command += ["two", "--foreground", "truth", "--proposals", "parts", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    result = json.loads(last)
    assert [(row["proposals"], row["J&F"]) for row in result["rows"]][1] == ("parts", 100)
    assert result["rows"][0]["J&F"] < 60
    assert "nonsense" in result["not_measured"][0]
    assert {"machine", "date", "commit", "command"} < result.keys()
