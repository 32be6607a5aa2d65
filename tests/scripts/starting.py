"""Starting the scripts on small data, with the installation that runs the tests."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

QUICK = (
    *(
        "--clips.frames",
        "2",
        "--clips.size",
        "32",
        "--clips.short-side",
        "32",
        "40",
        "--objective.anchor-grid",
        "2",
    ),
    *(
        "--objective.cross-view-grid",
        "2",
        "--encoder.key-channels",
        "8",
        "--loop.epochs",
        "1",
        "--loop.batch",
        "2",
    ),
    *("--loop.workers", "0", "--loop.precision", "fp32", "--loop.device", "cpu"),
)
"""Options of densevos train that make a step of DUL take milliseconds."""


def environment(**variables: object) -> dict[str, str]:
    """The environment of a script: nothing of this machine's but the path, and nothing to
    install.
    """
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
        if name in os.environ
    }
    return {
        **kept,
        "DENSEVOS_BIN": str(Path(sys.executable).parent),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "eval"))),
        "OMP_NUM_THREADS": "1",
        **{name: str(value) for name, value in variables.items()},
    }


def start(script: str, *options: object, **variables: object) -> "subprocess.Popen[str]":
    """Start scripts/SCRIPT with options and variables; the leader of a group of its own."""
    return subprocess.Popen(
        ["bash", str(ROOT / "scripts" / script), *map(str, options)],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", seconds: float = 120) -> tuple[int, str, str]:
    """Wait for a script: its status, output and errors. One that takes too long is stopped with all
    it started.
    """
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun then ends its processes, which are in groups of their own
        raise AssertionError(process.communicate(timeout=60)) from None
    return process.returncode, output, errors


def run(script: str, *options: object, **variables: object) -> str:
    """Run a script that must end well; its output."""
    status, output, errors = finish(start(script, *options, **variables))
    assert status == 0, errors
    return output


def dry(script: str, *options: object, **variables: object) -> list[str]:
    """The commands that a script prints with --dry-run, the folder of the installation taken
    off.
    """
    output = run(script, "--dry-run", *options, **variables)
    return [line.removeprefix(f"{Path(sys.executable).parent}/") for line in output.splitlines()]
