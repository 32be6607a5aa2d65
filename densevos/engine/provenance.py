"""Where a run comes from: its command, versions, git state and data."""

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
"""Packages whose versions are recorded."""
VIDEOS = "videos.txt.gz"
"""File with the titles of the videos that a run started with."""


def record(folder: Path, resume_from: Path | None, **facts: Any) -> None:
    """Write `provenance.json`, and `git.diff` if the source differs from its commit.

    A resumed run adds files named after its checkpoint: `provenance-step-N.json`, or
    `provenance-ROUND-step-N.json` if the method trains in rounds.

    Args:
        folder: The run folder.
        resume_from: The checkpoint that the run continues from, if any.
        facts: What else to record; each must be a JSON value.
    """
    git_commit, git_diff = _git_state() or (None, "")

    suffix = ""
    if resume_from and (folder / "provenance.json").exists():
        # A checkpoint is at RUN/checkpoints/step-N.pt or RUN/ROUND/checkpoints/step-N.pt.
        round_folder = resume_from.resolve().parent.parent
        suffix = f"-{resume_from.stem}"
        if round_folder != folder.resolve():
            suffix = f"-{round_folder.name}{suffix}"

    write_json(
        folder / f"provenance{suffix}.json",
        {
            "command": shlex.join(sys.argv),
            "versions": _versions(),
            "machine": {
                "platform": platform.platform(),
                "processor": processor(),
                "threads": torch.get_num_threads(),
            },
            "git_commit": git_commit,
            "resumed_from": resume_from and str(resume_from),
            **facts,
        },
    )
    # The commit alone does not describe a source that was changed since.
    if git_diff:
        with atomic_write(folder / f"git{suffix}.diff", "w") as file:
            file.write(git_diff)


def data_hash(folder: Path) -> str | None:
    """Hash of the file list that a run started with.

    Args:
        folder: The run folder.

    Returns:
        SHA-256 in hexadecimal digits, or None if the run has no record of it.
    """
    data = _recorded(folder).get("data")
    return data.get("sha256") if isinstance(data, dict) else None


def processes(folder: Path) -> int:
    """Number of processes that a run started with; 1 if the run has no record of it."""
    return int(_recorded(folder).get("processes", 1))


def record_videos(folder: Path, titles: Sequence[str]) -> None:
    """Write the list of videos that a run starts with, `videos.txt.gz`.

    Args:
        folder: The run folder.
        titles: One title per video; line breaks in it become spaces.
    """
    # Without mtime=0 the same list would give other bytes at another time.
    with (
        atomic_write(folder / VIDEOS) as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed,
    ):
        packed.writelines(name_bytes(title.replace("\n", " ") + "\n") for title in titles)


def recorded_videos(folder: Path) -> list[str] | None:
    """The titles of the videos that a run started with, or None if the run has no list of them."""
    try:
        with gzip.open(folder / VIDEOS, "rb") as file:
            return [os.fsdecode(line.rstrip(b"\n")) for line in file]
    except (OSError, EOFError):
        return None


def _recorded(folder: Path) -> dict[str, Any]:
    """The record that a run started with; empty if it is missing or damaged."""
    try:
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}

    return record if isinstance(record, dict) else {}


def commit() -> str | None:
    """Git commit of the source, with `+` if the source was changed since.

    Returns:
        The commit in hexadecimal digits, or None outside a checkout.
    """
    state = _git_state()
    if state is None:
        return None

    git_commit, git_diff = state
    return f"{git_commit}+" if git_diff else git_commit


def processor() -> str:
    """Name of the GPU, or of the CPU if there is no GPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # Only Linux has this file.
        lines = []

    for line in lines:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()

    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    """Version of Python and of each installed package of PACKAGES."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue

    return versions


def _git_state() -> tuple[str, str] | None:
    """The commit of this source and its uncommitted changes, or None outside a checkout."""
    try:
        # An installed copy may lie inside the checkout of another project, whose commit would be
        # misleading: this file must be one that git tracks.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return _git("rev-parse", "HEAD").strip(), _git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    finished = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    # A diff may hold bytes of any encoding.
    return finished.stdout.decode("utf-8", errors="replace")
