"""A small synthetic copy of every benchmark's layout."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from densevos.base.masks import write_mask
from densevos_eval.protocols.ytobjects import CLASSES
from tests.eval.conftest import FRAMES, HEIGHT, WIDTH, moving_rectangles, write_frames

MASKS = {"one": moving_rectangles({1: 8}), "two": moving_rectangles({1: 1, 2: 14})}


def davis(
    root: Path, list_file: str, *, annotations: str = "Annotations", annotated: range = range(FRAMES), names=MASKS
) -> None:
    for name, masks in names.items():
        write_frames(root / "JPEGImages" / "480p" / name)
        for t in annotated:
            put(root / annotations / "480p" / name / f"{t:05d}.png", masks[t])
    write_text(root / list_file, "".join(f"{name}\n" for name in names))


def ytvos(root: Path) -> None:
    """In `late` the first object is handed over in frame 5, the second in frame 10; frames 0 to 15."""
    masks = moving_rectangles({1: 1, 2: 14})
    objects = {
        "early": {"1": {"category": "dog", "frames": ["00000", "00005", "00010"]}},
        "late": {"1": {"category": "dog", "frames": ["00005", "00010"]}, "2": {"frames": ["00010", "00015"]}},
    }
    for name in objects:
        write_frames(root / "valid_all_frames" / "JPEGImages" / name, frames=16)
        write_frames(root / "valid" / "JPEGImages" / name, frames=16)
        for file in (root / "valid" / "JPEGImages" / name).iterdir():
            if int(file.stem) % 5:
                file.unlink()
    annotations = root / "valid" / "Annotations"
    put(annotations / "early" / "00000.png", np.where(masks[0] == 1, 1, 0))
    put(annotations / "late" / "00005.png", np.where(masks[1] == 1, 1, 0))
    put(annotations / "late" / "00010.png", masks[2])
    videos = {name: {"objects": one} for name, one in objects.items()}
    write_text(root / "valid" / "meta.json", json.dumps({"videos": videos}))


def ytobjects(root: Path) -> None:
    for one in CLASSES:
        write_frames(root / "JPEGImages" / one / "0001", frames=12)
        for t in (1, 11):
            put(root / "Annotations" / one / "0001" / f"{t:05d}.png", MASKS["one"][t // 10] * 255)


def mose(root: Path, annotated: range = range(1)) -> None:
    """The videos of one split of MOSE; validation has first masks only."""
    for name, masks in MASKS.items():
        write_frames(root / "JPEGImages" / name)
        for t in annotated:
            put(root / "Annotations" / name / f"{t:05d}.png", masks[t])


def vip(root: Path) -> None:
    for name, masks in {"videos1": MASKS["one"], "videos2": MASKS["two"]}.items():
        write_frames(root / "Images" / name)
        for t, mask in enumerate(masks):
            put(root / "Annotations" / "Category_ids" / name / f"{t:05d}.png", mask)
    write_text(root / "lists" / "val_videos.txt", "videos1\nvideos2\n")


def jhmdb(root: Path) -> None:
    joints = np.stack([np.linspace(4, 32, 15), np.linspace(2, 20, 15)])
    for action in ("catch", "golf"):
        for t in range(1, FRAMES + 1):
            file = root / "Rename_Images" / action / "clip" / f"{t:05d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT), (t, 2 * t, 90)).save(file)
        positions = root / "joint_positions" / action / "clip" / "joint_positions.mat"
        positions.parent.mkdir(parents=True)
        savemat(positions, {"pos_img": np.repeat(joints[:, :, None] + 1, FRAMES, axis=2)})
        write_text(root / "splits" / f"{action}_test_split1.txt", "clip.avi 2 \nother.avi 1 \n")


def put(file: Path, mask: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_mask(file, mask.astype(np.uint8))


def write_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


COPIES: Mapping[str, Callable[[Path], None]] = {
    "davis16": lambda root: davis(root, "ImageSets/2016/val.txt"),
    "davis17": lambda root: davis(root, "ImageSets/2017/val.txt"),
    "davis17-testdev": lambda root: davis(root, "ImageSets/2017/test-dev.txt", annotated=range(1)),
    "davis17-unsupervised": lambda root: davis(root, "ImageSets/2017/val.txt", annotations="Annotations_unsupervised"),
    "ytvos18": ytvos,
    "ytvos19": ytvos,
    "ytobjects": ytobjects,
    "vip": vip,
    "jhmdb": jhmdb,
    "mose": lambda root: mose(root / "valid"),
    "folder": lambda root: davis(root, "ImageSets/val.txt"),
}
