"""Reads and writes joints: JHMDB's files, and results in RESULTS/SEQUENCE/joints.json."""

import json
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write

FILE = "joints.json"  # Name of the results in RESULTS/SEQUENCE/.


def read_positions(path: Path) -> np.ndarray:
    """Read a joint_positions.mat of JHMDB.

    Returns:
        Joints (x, y) in pixels, counted from 0, [frames,15,2] float64.

    Raises:
        InputError: if the file is missing or holds no such joints.
    """
    from scipy.io import loadmat  # Imported here: slow to load and seldom needed.

    try:
        positions = np.asarray(loadmat(path)["pos_img"], dtype=np.float64)  # [2,15,frames]
        # A single frame loses its axis in the file.
        if positions.ndim == 2:
            positions = positions[:, :, None]

        # MATLAB counts pixels from 1.
        return positions.transpose(2, 1, 0) - 1
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; get joint_positions of JHMDB") from None
    except Exception as error:  # A damaged file can make loadmat raise anything.
        raise InputError(
            f"{path}: is no joint_positions.mat with pos_img [2,15,frames] ({error!r})"
        ) from error


def write_joints(path: Path, joints: np.ndarray) -> None:
    """Write joints as JSON: a list of [x, y] per frame, with null for joints that were not found.

    Args:
        path: the JSON file.
        joints: (x, y) [frames,joints,2] in pixels, NaN for joints that were not found.
    """
    # A hundredth of a pixel is enough, and keeps the file small.
    rounded = [[_rounded(xy) for xy in frame] for frame in joints]
    with atomic_write(path, "w") as file:
        json.dump(rounded, file)
        file.write("\n")


def read_joints(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read joints that write_joints wrote.

    Args:
        path: the JSON file.
        shape: [frames,joints,2] that the joints must have.

    Returns:
        (x, y) [frames,joints,2] float64 in pixels, NaN for joints that were not found.

    Raises:
        InputError: if the file is missing or damaged, or holds joints of another shape.
    """
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))
        not_found = [np.nan, np.nan]  # JSON has no NaN, so the file holds null.
        filled = [[not_found if xy is None else xy for xy in frame] for frame in frames]
        joints = np.array(filled, dtype=np.float64)
    except FileNotFoundError:
        raise InputError(
            f"{path}: file is missing; --results needs the joints of every sequence"
        ) from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: is no JSON list of frames of joints [x, y] ({error}); write it again"
        ) from error

    # A result of another video or another set of joints must not be scored.
    if joints.shape != shape:
        raise InputError(f"{path}: has joints {list(joints.shape)}, its sequence has {list(shape)}")

    return joints


def _rounded(xy: np.ndarray) -> list[float] | None:
    # A joint with one unknown coordinate has no place.
    if np.isnan(xy).any():
        return None

    rounded: list[float] = np.round(xy, 2).tolist()
    return rounded
