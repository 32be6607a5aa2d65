"""A small synthetic copy of every benchmark's layout."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from densevos.base.masks import write_mask
from densevos_eval.protocols.ytobjects import CLASSES
from tests.densevos.data.segmentation.segmentation_copies import definition, put_colours
from tests.eval.conftest import FRAMES, HEIGHT, WIDTH, moving_rectangles, write_frames

MASKS = {"one": moving_rectangles({1: 8}), "two": moving_rectangles({1: 1, 2: 14})}


def davis(
    root: Path,
    list_file: str,
    *,
    annotations: str = "Annotations",
    annotated: range = range(FRAMES),
    names=MASKS,
) -> None:
    for name, masks in names.items():
        write_frames(root / "JPEGImages" / "480p" / name)
        for t in annotated:
            put(root / annotations / "480p" / name / f"{t:05d}.png", masks[t])
    write_text(root / list_file, "".join(f"{name}\n" for name in names))


def ytvos(root: Path) -> None:
    """In `late` the first object is handed over in frame 5, the second in frame 10; frames 0 to
    15.
    """
    masks = moving_rectangles({1: 1, 2: 14})
    objects = {
        "early": {"1": {"category": "dog", "frames": ["00000", "00005", "00010"]}},
        "late": {
            "1": {"category": "dog", "frames": ["00005", "00010"]},
            "2": {"frames": ["00010", "00015"]},
        },
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


def vost(root: Path) -> None:
    """Every second of twelve frames is annotated; pixels in the corner are void."""
    for name, masks in MASKS.items():
        for t in range(2 * FRAMES):
            for folder in ("JPEGImages_10fps", *(["JPEGImages"] if t % 2 == 0 else [])):
                put_frame(root / folder / name / f"frame{6 * t:05d}.jpg", t)
        for t, mask in enumerate(masks):
            void = mask.copy()
            void[0, 0] = 255
            put(root / "Annotations" / name / f"frame{12 * t:05d}.png", void)
    write_text(root / "ImageSets" / "val.txt", "one\ntwo\n")


def lvos(root: Path) -> None:
    """Frames 1, 6, ..., 26 of two videos; in the unseen one a second object is there from 6 to
    21.
    """
    videos = {"seenseen": MASKS["one"], "R3UJGYwy": MASKS["two"].copy()}
    videos["R3UJGYwy"][[0, 5]] = np.where(
        videos["R3UJGYwy"][[0, 5]] == 2, 0, videos["R3UJGYwy"][[0, 5]]
    )
    whole = {"frame_range": {"start": "1", "end": "26", "frame_nums": "6"}}
    part = {"frame_range": {"start": "6", "end": "22", "frame_nums": "4"}}
    for name, masks in videos.items():
        for t, mask in enumerate(masks):
            put_frame(root / "valid" / "JPEGImages" / name / f"{5 * t + 1:08d}.jpg", t)
            put(root / "valid" / "Annotations" / name / f"{5 * t + 1:08d}.png", mask)
    meta = {"seenseen": {"objects": {"1": whole}}, "R3UJGYwy": {"objects": {"1": whole, "2": part}}}
    write_text(root / "valid" / "valid_meta.json", json.dumps({"videos": meta}))


def segtrack(root: Path) -> None:
    """`one` has masks of one object; `two` a folder for each of two, the second with .bmp files."""
    for name, masks in MASKS.items():
        for t, mask in enumerate(masks):
            put_frame(root / "JPEGImages" / name / f"{name}_{t:05d}.png", t)
            for id in range(1, int(mask.max()) + 1):
                layer = f"{id}/" if name == "two" else ""
                file = (
                    root
                    / "GroundTruth"
                    / name
                    / f"{layer}{name}_{t:05d}{'.bmp' if id == 2 else '.png'}"
                )
                put_white(file, mask == id)
    write_text(root / "ImageSets" / "all.txt", "*one\n*two\n")


def fbms(root: Path) -> None:
    """Frames 1 to 6, of which the first and the fifth are labelled: `two` in colours, `one` in grey
    values.
    """
    colours = {"one": ((0, 127), ".pgm"), "two": ((0xFFFFFF, 0x0080FF, 0x000003), ".ppm")}
    for name, (values, suffix) in colours.items():
        folder = root / "Testset" / name
        for t in range(FRAMES):
            put_frame(folder / f"{name}_{t + 1:04d}.jpg", t)
        for t in (1, 5):
            label = np.array(values)[MASKS[name][t - 1]]
            put_colours(folder / "GroundTruth" / f"{name}_{t:04d}_gt{suffix}", label)
        text = definition(values, (1, 5), name=name, suffix=suffix)
        write_text(folder / "GroundTruth" / f"{name}Def.dat", text)


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


def put_frame(file: Path, t: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (t, 2 * t, 90)).save(file)


def put_white(file: Path, inside: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).convert("RGB").save(file)


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
    "davis17-unsupervised": lambda root: davis(
        root, "ImageSets/2017/val.txt", annotations="Annotations_unsupervised"
    ),
    "ytvos18": ytvos,
    "ytvos19": ytvos,
    "ytobjects": ytobjects,
    "vip": vip,
    "jhmdb": jhmdb,
    "vost": vost,
    "lvos1": lvos,
    "lvos2": lvos,
    "segtrack2": segtrack,
    "segtrack2-merged": segtrack,
    "fbms": fbms,
    "fbms-motion": fbms,
    "mose": lambda root: mose(root / "valid"),
    "folder": lambda root: davis(root, "ImageSets/val.txt"),
}
