"""Checkpoints: everything a run needs to go on bit for bit, whole or not there at all."""

import shutil
from pathlib import Path
from typing import Any

import torch

from densevos.errors import InputError
from densevos.files import written_whole

State = dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return folder / f"step-{step:08d}.pt"


def save_step(folder: Path, step: int, state: State, *, best: bool) -> None:
    """Write `state` (tensors and plain values) as the checkpoint of `step`, and as best.pt too if it is the best."""
    path = checkpoint_path(folder, step)
    with written_whole(path) as file:
        torch.save(state, file)
    if best:
        with written_whole(folder / "best.pt") as copy, open(path, "rb") as original:
            shutil.copyfileobj(original, copy)


def load(path: Path) -> State:
    """Read a checkpoint without running any code in it; InputError when it is missing or broken."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; give --resume auto or the path of one") from None
    except Exception as error:  # torch raises many types for a file that is no checkpoint
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: checkpoint cannot be read ({reason}); resume from another") from error


def latest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None."""
    return max(folder.glob("step-*.pt"), default=None)


def prune(folder: Path, keep: int) -> None:
    """Delete all but the `keep` newest step checkpoints."""
    for path in sorted(folder.glob("step-*.pt"))[:-keep]:
        path.unlink()


def open_folder(folder: Path) -> None:
    """Make the checkpoint folder; what a killed run left half-written in it is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink()


def find(resume: str, folder: Path) -> Path | None:
    """The checkpoint that `--resume never|auto|PATH` means, or None to begin afresh."""
    if resume == "never":
        return None
    return latest(folder) if resume == "auto" else Path(resume)
