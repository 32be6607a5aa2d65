"""Checkpoints hold everything that a run needs to continue bit for bit; each is written atomically.

The folder RUN/checkpoints holds `step-N.pt` for the newest steps and `best.pt`.
"""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from densevos.base.errors import InputError
from densevos.base.files import atomic_write

State = dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Path of the checkpoint that is written after `step` steps.

    Args:
        folder: The checkpoint folder.
        step: Number of finished steps.

    Returns:
        The path of `step-N.pt`, with N in eight digits so that names sort by step.
    """
    return folder / f"step-{step:08d}.pt"


def save_step(folder: Path, step: int, state: State, *, best: bool) -> None:
    """Write the checkpoint of a step, and best.pt too if this state is the best so far.

    Args:
        folder: The checkpoint folder; it must exist.
        step: Number of finished steps.
        state: Tensors and plain values.
        best: Whether to write best.pt as well.

    Raises:
        OSError: A file cannot be written, for example because the disk is full.
    """
    # best.pt goes first. If the run is killed between the two files, it continues from the step
    # checkpoint before, reaches this step again and writes both.
    if best:
        _save(folder / "best.pt", state)

    _save(checkpoint_path(folder, step), state)


def _save(path: Path, state: State) -> None:
    """Write one file; raise the OSError that torch hides behind a RuntimeError of its own."""
    with atomic_write(path) as file:
        try:
            torch.save(state, file)
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise

            # torch's message names neither the file nor the reason.
            raise OSError(cause.errno, cause.strerror, str(path)) from None


def load(path: Path) -> State:
    """Read a checkpoint without running any code in it.

    Args:
        path: The checkpoint file.

    Returns:
        The state that `save_step` wrote, with all tensors on the CPU.

    Raises:
        InputError: The file is missing, damaged or not a checkpoint of a training run.
    """
    try:
        # torch does not compare checksums: it would load flipped bits as weights.
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()

        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")

        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such checkpoint; give RUN/checkpoints/step-N.pt or best.pt"
        ) from None
    except Exception as error:  # torch raises many types for a file that is no checkpoint
        # Messages of torch may have many lines, or none.
        lines = str(error).splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise InputError(f"{path}: checkpoint cannot be read ({reason}); give another") from error

    if not isinstance(state, dict) or "learner" not in state:
        raise InputError(
            f"{path}: is not a checkpoint of a training run; "
            "give RUN/checkpoints/step-N.pt or best.pt"
        )

    return state


def latest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None if the folder holds none; it is not read."""
    return max(folder.glob("step-*.pt"), default=None)


def latest_readable(folder: Path) -> Path | None:
    """The latest checkpoint that can be read, with a warning for each newer one that cannot.

    Args:
        folder: The checkpoint folder.

    Returns:
        The path, or None if the folder holds no checkpoint at all.

    Raises:
        InputError: There are checkpoints, but none can be read; the message names the latest.
    """
    # best.pt is the last choice, since it may be many steps old.
    paths = sorted(folder.glob("step-*.pt"), reverse=True)
    paths.extend(folder.glob("best.pt"))

    errors = []
    for path in paths:
        try:
            load(path)
        except InputError as error:
            errors.append(error)
            continue

        for earlier_error in errors:
            warnings.warn(f"{earlier_error}; going on from {path.name}", stacklevel=2)

        return path

    if errors:
        raise errors[0]

    return None


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest step checkpoints; best.pt stays.

    Args:
        folder: The checkpoint folder.
        keep: Number of checkpoints to keep, at least 1.
    """
    # Names sort by step, see `checkpoint_path`.
    for path in sorted(folder.glob("step-*.pt"))[:-keep]:
        path.unlink()


def open_folder(folder: Path) -> None:
    """Make the checkpoint folder, and delete unfinished files that a killed run left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink()


def find(resume: str, folder: Path) -> Path | None:
    """The checkpoint that an option --resume selects.

    Args:
        resume: never, auto (the latest checkpoint that can be read) or the path of a checkpoint.
        folder: The checkpoint folder of the run.

    Returns:
        The path, or None to start from scratch.

    Raises:
        InputError: The checkpoint cannot be read.
    """
    if resume == "never":
        return None
    if resume == "auto":
        return latest_readable(folder)

    # Read it now: an unusable checkpoint must be refused before the run folder is made.
    load(Path(resume))
    return Path(resume)
