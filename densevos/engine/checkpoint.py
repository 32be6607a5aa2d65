"""Checkpoints: everything a run needs to go on bit for bit, whole or not there at all."""

from pathlib import Path
from typing import Any

import torch

from densevos.errors import InputError
from densevos.files import written_whole

State = dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return folder / f"step-{step:08d}.pt"


def save(path: Path, state: State) -> None:
    """Write `state` (tensors and plain values) to `path`."""
    with written_whole(path) as file:
        torch.save(state, file)


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


def find(resume: str, folder: Path) -> Path | None:
    """The checkpoint that `--resume never|auto|PATH` means, or None to begin afresh."""
    if resume == "never":
        return None
    return latest(folder) if resume == "auto" else Path(resume)
