"""Where a run came from: command, versions, git state, data."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from densevos.files import write_json, written_whole

PACKAGES = ("densevos", "torch", "torchvision", "numpy", "pillow", "decord", "safetensors")


def record(folder: Path, **facts: Any) -> None:
    """Write `provenance.json`, and `git.diff` when the source differs from its commit."""
    git = _git_state()
    write_json(
        folder / "provenance.json",
        {
            "command": shlex.join(sys.argv),
            "versions": _versions(),
            "machine": {
                "platform": platform.platform(),
                "processor": processor(),
                "threads": torch.get_num_threads(),
            },
            "git_commit": git and git[0],
            **facts,
        },
    )
    if git and git[1]:
        with written_whole(folder / "git.diff", "w") as file:
            file.write(git[1])


def commit() -> str | None:
    """The source's git commit (with `+` when it was changed since), or None outside a checkout."""
    git = _git_state()
    return git and git[0] + ("+" if git[1] else "")


def processor() -> str:
    """Name of the GPU where there is one, else of the CPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git_state() -> tuple[str, str] | None:
    try:
        return _git("rev-parse", "HEAD").strip(), _git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout
