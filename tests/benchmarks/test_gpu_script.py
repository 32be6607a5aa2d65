"""gpu.sh runs what there is, one figure after the other, and its page says what was not run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import gpu_figures
from costs import H200, costs_of
from tests.conftest import ROOT


def gpu_sh(tmp_path: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "OUT": str(tmp_path / "out"),
        "DEVICE": "cpu",
        "PYTHON": sys.executable,
        **variables,
    }
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_dry_run_prints_the_commands_and_runs_nothing(tmp_path: Path) -> None:
    done = gpu_sh(tmp_path, "--dry-run", DEVICE="cuda:1", FRAMES="77")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out").exists()
    first, *others = done.stdout.splitlines()
    scripts = f"{sys.executable} {ROOT}/benchmarks"
    where = f"{tmp_path}/out"
    assert (
        first
        == f"{scripts}/label_propagation.py --device cuda:1 --search windows --frames 10 --out "
        f"{where}/" + ("label_propagation.json")
    )
    assert (
        f"{scripts}/end_to_end.py --device cuda:1 --precision fp32 tf32 bf16 --frames 77 --out "
        f"{where}/" + ("end_to_end.json") in others
    )
    run = {re.search(r"(\w+)\.json$", line)[1] for line in done.stdout.splitlines()}  # type: ignore[index]
    told = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert run | told == {figure.file for figure in gpu_figures.FIGURES}


def test_only_the_wanted_figures_are_run(tmp_path: Path) -> None:
    done = gpu_sh(tmp_path, "--dry-run", "--tiny", FIGURES="end_to_end")
    (line,) = done.stdout.splitlines()
    assert "--frames 4 --height 50 --width 70" in line


def test_an_unknown_option_is_refused_in_one_line(tmp_path: Path) -> None:
    done = gpu_sh(tmp_path, "--small")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --small: is no option; give --dry-run, --tiny or nothing\n"


@pytest.mark.slow
def test_a_rehearsal_at_tiny_size(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    done = gpu_sh(tmp_path, "--tiny", FIGURES="label_propagation", RESULT=str(kept))
    assert done.returncode == 0, done.stderr
    result = json.loads(kept.read_text())
    assert result["figures"]["label_propagation"]["search"] == "windows"
    command = (
        "python benchmarks/label_propagation.py --device cpu --search windows --frames 1 --height 9"
    )
    assert result["commands"]["label_propagation"].startswith(command)
    assert {"machine", "date", "commit"} <= result.keys()
    assert re.search(r"label propagation, 480x854, fp32 .* frames/s \(.*x plain\)", done.stdout)
    assert gpu_figures.NOT_RUN in done.stdout


@pytest.mark.parametrize(
    ("limit", "told"),
    [("60", "failed: no such card; see "), ("0", "left out; no time is left of 0")],
)
def test_a_figure_that_fails_is_told_and_so_is_one_without_time(
    tmp_path: Path, limit: str, told: str
) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\ncase $1 in *gpu_figures.py) exit 0 ;; esac\necho no such card\nexit 1\n"
    )
    python.chmod(0o755)
    done = gpu_sh(tmp_path, FIGURES="label_propagation end_to_end", PYTHON=str(python), LIMIT=limit)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["label_propagation", "end_to_end"]
    assert all(told in line for line in lines)


@pytest.mark.slow
def test_a_figure_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\ncase $1 in *gpu_figures.py) exit 0 ;; esac\nexec sleep 60\n")
    python.chmod(0o755)
    done = gpu_sh(tmp_path, FIGURES="end_to_end", PYTHON=str(python), LIMIT="6")
    assert done.returncode == 1
    assert re.match(
        r"end_to_end: stopped; it takes longer than the [56] s that were left of 6 s\n", done.stderr
    )


def test_what_was_measured_stands_beside_goal_and_estimate() -> None:
    propagation = {"frames_per_second": 71.5, "speedup": 9.0, "peak_mb": 800}
    rows: list[dict[str, Any]] = [
        {"precision": "bf16", "frames_per_second": 66.0, "peak_mb": 4000, "peak_gpu_mb": 900}
    ]
    result = {"figures": {"label_propagation": propagation, "end_to_end": {"rows": rows}}}
    table = gpu_figures.table_of(result, {"davis fp32": {"frames_per_second": 80, "peak_mb": 700}})
    assert "| 60 frames/s | 80 frames/s, 700 MB | 71.5 frames/s (9.0x plain), 800 MB |" in table
    assert "from disk to disk, bf16 | 60 frames/s |  | 66.0 frames/s, 900 MB |" in table
    assert "from disk to disk, fp32 | 60 frames/s |  | not run: no GPU |" in table


def test_costs_of_a_product() -> None:
    a, b = torch.empty(100, 200, device="meta"), torch.empty(200, 300, device="meta")
    costs = costs_of(lambda: (a @ b).relu_())
    assert costs.fp32 == 2 * 100 * 200 * 300
    assert costs.kernels == 2
    assert costs.bytes == 4 * (100 * 200 + 200 * 300 + 3 * 100 * 300)
    assert (costs.state, costs.peak) == (4 * (100 * 200 + 200 * 300), 4 * 100 * 300)
    assert costs.seconds(H200) == max(2 * H200.launch, costs.gpu)


def test_work_that_looks_at_a_value_has_no_costs() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        costs_of(lambda: float(torch.empty((), device="meta")))
