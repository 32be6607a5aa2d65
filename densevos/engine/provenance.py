"""Where a run came from: command, versions, git state, data."""

import gzip
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from densevos.base.files import atomic_write, name_bytes, write_json

PACKAGES = (
    "densevos",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "decord",
    "safetensors",
    "transformers",
)
VIDEOS = "videos.txt.gz"


def record(folder: Path, resume_from: Path | None, **facts: Any) -> None:
    """Write `provenance.json`, and `git.diff` when the source differs from its commit.

    What a resumed run ran with stands beside them, named after its checkpoint:
    `provenance-step-N.json`, `provenance-ROUND-step-N.json`.
    """
    git = _git_state()
    again = ""
    if resume_from and (folder / "provenance.json").exists():
        part = resume_from.resolve().parent.parent
        again = (
            f"-{resume_from.stem}"
            if part == folder.resolve()
            else f"-{part.name}-{resume_from.stem}"
        )

    write_json(
        folder / f"provenance{again}.json",
        {
            "command": shlex.join(sys.argv),
            "versions": _versions(),
            "machine": {
                "platform": platform.platform(),
                "processor": processor(),
                "threads": torch.get_num_threads(),
            },
            "git_commit": git and git[0],
            "resumed_from": resume_from and str(resume_from),
            **facts,
        },
    )
    if git and git[1]:
        with atomic_write(folder / f"git{again}.diff", "w") as file:
            file.write(git[1])


def data_hash(folder: Path) -> str | None:
    """The hash of the file list that a run began with, or None when the run left no record."""
    data = _recorded(folder).get("data")
    return data.get("sha256") if isinstance(data, dict) else None


def processes(folder: Path) -> int:
    """The number of processes that a run began with; 1 when the run left no record of it."""
    return int(_recorded(folder).get("processes", 1))


def record_videos(folder: Path, titles: Sequence[str]) -> None:
    """Write the list of videos that a run begins with, `videos.txt.gz`, one title a line."""
    with (
        atomic_write(folder / VIDEOS) as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed,
    ):
        packed.writelines(name_bytes(title.replace("\n", " ") + "\n") for title in titles)


def recorded_videos(folder: Path) -> list[str] | None:
    """The videos that a run began with, or None when it left no list of them."""
    try:
        with gzip.open(folder / VIDEOS, "rb") as file:
            return [os.fsdecode(line.rstrip(b"\n")) for line in file]
    except (OSError, EOFError):
        return None


def _recorded(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}

    return record if isinstance(record, dict) else {}


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
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
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
        _git(
            "ls-files", "--error-unmatch", Path(__file__).name
        )  # An installed copy may lie in a stranger's checkout.
        return _git("rev-parse", "HEAD").strip(), _git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    finished = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return finished.stdout.decode("utf-8", errors="replace")  # A diff may hold any bytes.
