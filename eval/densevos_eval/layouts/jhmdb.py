"""JHMDB: frames, joints and splits of 21 actions."""

from pathlib import Path
from typing import TYPE_CHECKING

from densevos.data.readers import image_files
from densevos.errors import InputError
from densevos_eval.layouts.need import need_file, need_folder
from densevos_eval.sequences import Sequence

if TYPE_CHECKING:
    from densevos_eval.protocols import Protocol

TEST = "2"  # in the lists: 1 is train


def load(protocol: "Protocol", root: Path, split: str, names: tuple[str, ...]) -> list[Sequence]:
    """The test videos CLASS/VIDEO of a split (or those in `names`); `val` is split 1, else `split1` to `split3`."""
    split = "split1" if split == "val" else split
    cure = (
        f"{protocol.name} needs Rename_Images/CLASS/VIDEO/00001.png, joint_positions/CLASS/VIDEO/joint_positions.mat"
        f" and splits/CLASS_test_{split}.txt below --root (from {protocol.source})"
    )
    for folder in (root, root / "Rename_Images", root / "joint_positions"):
        need_folder(folder, cure)
    return [_sequence(root, name, cure) for name in names or _test_videos(root / "splits", split, cure)]


def _test_videos(splits: Path, split: str, cure: str) -> list[str]:
    need_folder(splits, cure)
    lists = sorted(splits.glob(f"*_test_{split}.txt"))
    if not lists:
        raise InputError(f"{splits / f'CLASS_test_{split}.txt'}: file is missing; {cure}")
    names = []
    for file in lists:
        action = file.name.removesuffix(f"_test_{split}.txt")
        entries = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        names += [f"{action}/{entry[0].removesuffix('.avi')}" for entry in entries if entry[1:] == [TEST]]
    if not names:
        raise InputError(f"{splits}: the lists of {split} name no test video (VIDEO.avi 2); {cure}")
    return names


def _sequence(root: Path, name: str, cure: str) -> Sequence:
    images, joints = root / "Rename_Images" / name, root / "joint_positions" / name / "joint_positions.mat"
    need_folder(images, cure)
    need_file(joints, cure)
    frame_names = tuple(file.stem for file in image_files(images))
    if not frame_names:
        raise InputError(f"{images}: folder holds no images; {cure}")
    return Sequence(name=name, source=images, frame_names=frame_names, joints=joints)
