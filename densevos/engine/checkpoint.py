"""Checkpoints: everything a run needs to go on bit for bit, whole or not there at all."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from densevos.base.errors import InputError
from densevos.base.files import atomic_write

State = dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return folder / f"step-{step:08d}.pt"


def save_step(folder: Path, step: int, state: State, *, best: bool) -> None:
    """Write `state` (tensors and plain values) as the checkpoint of `step`, and as best.pt too if
    it is the best.

    Raises OSError, which torch hides behind an error of its own, when it cannot be written.
    """
    # The best first: killed in between, the run goes on from the step before and finds it again.
    for path in [folder / "best.pt"] * best + [checkpoint_path(folder, step)]:
        with atomic_write(path) as file:
            try:
                torch.save(state, file)
            except (OSError, RuntimeError) as error:
                cause = error if isinstance(error, OSError) else error.__context__
                if not isinstance(cause, OSError):
                    raise

                raise OSError(
                    cause.errno, cause.strerror, str(path)
                ) from None  # the disk is full, say


def load(path: Path) -> State:
    """Read a checkpoint without running any code in it; InputError when it is missing or damaged.

    Every part is compared with its checksum: torch alone would take flipped bits for weights.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()

        if damaged is not None:
            raise ValueError(f"{damaged} is not what was written")

        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such checkpoint; give RUN/checkpoints/step-N.pt or best.pt"
        ) from None
    except Exception as error:  # torch raises many types for a file that is no checkpoint
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: checkpoint cannot be read ({reason}); give another") from error

    if not isinstance(state, dict) or "learner" not in state:
        raise InputError(
            f"{path}: is no checkpoint of a training run; give RUN/checkpoints/step-N.pt or best.pt"
        )

    return state


def latest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None."""
    return max(folder.glob("step-*.pt"), default=None)


def latest_whole(folder: Path) -> Path | None:
    """The latest checkpoint that can be read, or None where there is none at all.

    Warns of those that cannot be read; raises InputError for the latest when no other can be read.
    """
    paths = [*sorted(folder.glob("step-*.pt"), reverse=True), *folder.glob("best.pt")]
    errors = []
    for path in paths:
        try:
            load(path)
        except InputError as error:
            errors.append(error)
            continue

        for broken in errors:
            warnings.warn(f"{broken}; going on from {path.name}", stacklevel=2)

        return path

    if errors:
        raise errors[0]

    return None


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
    if resume == "auto":
        return latest_whole(folder)

    load(Path(resume))  # One that cannot be read is refused before the run folder is made.
    return Path(resume)
