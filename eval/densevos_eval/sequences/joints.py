"""Files of joints: those of JHMDB, and what is found of them, RESULTS/SEQUENCE/joints.json."""

import json
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write

FILE = "joints.json"  # RESULTS/SEQUENCE/joints.json


def read_positions(path: Path) -> np.ndarray:
    """Joints of a JHMDB joint_positions.mat: (x, y) in pixels from 0 on, [frames,15,2] float64."""
    from scipy.io import loadmat  # Imported here: slow to load and seldom needed.

    try:
        positions = np.asarray(
            loadmat(path)["pos_img"], dtype=np.float64
        )  # [2,15,frames], from 1 on
        if positions.ndim == 2:
            positions = positions[:, :, None]  # a single frame loses its axis in the file

        return positions.transpose(2, 1, 0) - 1
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; get joint_positions of JHMDB") from None
    except Exception as error:  # loadmat raises whatever a damaged file makes it stumble over
        raise InputError(
            f"{path}: is no joint_positions.mat with pos_img [2,15,frames] ({error!r})"
        ) from error


def write_joints(path: Path, joints: np.ndarray) -> None:
    """Write (x, y) [frames,joints,2] as JSON, null where a joint was not found."""
    rounded = [
        [None if np.isnan(xy).any() else np.round(xy, 2).tolist() for xy in frame]
        for frame in joints
    ]
    with atomic_write(path, "w") as file:
        json.dump(rounded, file)
        file.write("\n")


def read_joints(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read what write_joints wrote, [frames,joints,2] = `shape`; InputError when it is missing or
    has another shape.
    """
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))
        missing = [np.nan, np.nan]
        joints = np.array(
            [[missing if xy is None else xy for xy in frame] for frame in frames], dtype=np.float64
        )
    except FileNotFoundError:
        raise InputError(
            f"{path}: file is missing; --results needs the joints of every sequence"
        ) from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: is no JSON list of frames of joints [x, y] ({error}); write it again"
        ) from error

    if joints.shape != shape:
        raise InputError(f"{path}: has joints {list(joints.shape)}, its sequence has {list(shape)}")

    return joints
