"""Joints as soft maps that can be propagated like masks, and back; files of joints."""

import json
from pathlib import Path

import numpy as np

from densevos.errors import InputError
from densevos.files import written_whole

FILE = "joints.json"  # RESULTS/SEQUENCE/joints.json


def joint_maps(joints: np.ndarray, size: tuple[float, float], cells: tuple[int, int], sigma: float = 0.5) -> np.ndarray:
    """A Gaussian of `sigma` cells around each joint (x, y) [joints,2] of a frame [H,W] = `size`: [joints,h,w] in [0,1].

    The corner pixels' centres are the corner cells', as in the propagation of masks. Where Gaussians overlap they
    share: the sum over the joints is at most 1, the rest is background.
    Source: Jabri et al., NeurIPS 2020, on JHMDB (sigma .5); here the centres are not rounded to whole cells.
    """
    height, width = cells
    x, y = joints[:, 0] * (width - 1) / max(size[1] - 1, 1), joints[:, 1] * (height - 1) / max(size[0] - 1, 1)
    across = (np.arange(width)[None, None, :] - x[:, None, None]) ** 2
    down = (np.arange(height)[None, :, None] - y[:, None, None]) ** 2
    maps = np.exp(-(across + down) / (2 * sigma**2))
    return maps / np.maximum(maps.sum(axis=0), 1)


def joints_of_maps(maps: np.ndarray, size: tuple[float, float], strongest: int = 5) -> np.ndarray:
    """Where each map [joints,h,w] points to in a frame [H,W] = `size`: (x, y) [joints,2]; NaN where a map is empty.

    That is the mean position of its strongest cells, weighted by their values, as in Jabri et al., NeurIPS 2020; how
    many cells (5) is as remembered of their release, not checked.
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    cells = np.argsort(-flat, axis=1, kind="stable")[:, :strongest]
    weights = np.take_along_axis(flat, cells, axis=1)
    total = weights.sum(axis=1)
    weights = weights / np.where(total > 0, total, np.nan)[:, None]
    y, x = np.divmod(cells, width)
    scale = np.array([(size[1] - 1) / max(width - 1, 1), (size[0] - 1) / max(height - 1, 1)])
    return np.stack([(weights * x).sum(axis=1), (weights * y).sum(axis=1)], axis=1) * scale


def read_positions(path: Path) -> np.ndarray:
    """Joints of a JHMDB joint_positions.mat: (x, y) in pixels from 0 on, [frames,15,2] float64."""
    from scipy.io import loadmat  # Imported here: slow to load and seldom needed.

    try:
        positions = np.asarray(loadmat(path)["pos_img"], dtype=np.float64)  # [2,15,frames], from 1 on
        if positions.ndim == 2:
            positions = positions[:, :, None]  # a single frame loses its axis in the file
        return positions.transpose(2, 1, 0) - 1
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; get joint_positions of JHMDB") from None
    except Exception as error:  # loadmat raises whatever a damaged file makes it stumble over
        raise InputError(f"{path}: is no joint_positions.mat with pos_img [2,15,frames] ({error!r})") from error


def write_joints(path: Path, joints: np.ndarray) -> None:
    """Write (x, y) [frames,joints,2] as JSON, null where a joint was not found."""
    rounded = [[None if np.isnan(xy).any() else np.round(xy, 2).tolist() for xy in frame] for frame in joints]
    with written_whole(path, "w") as file:
        json.dump(rounded, file)
        file.write("\n")


def read_joints(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read what write_joints wrote, [frames,joints,2] = `shape`; InputError when it is missing or has another shape."""
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))
        missing = [np.nan, np.nan]
        joints = np.array([[missing if xy is None else xy for xy in frame] for frame in frames], dtype=np.float64)
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; --results needs the joints of every sequence") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is no JSON list of frames of joints [x, y] ({error}); write it again") from error
    if joints.shape != shape:
        raise InputError(f"{path}: has joints {list(joints.shape)}, its sequence has {list(shape)}")
    return joints
