"""Small copies of video sets, laid out as their authors distribute them. The grey of a frame is its
number.
"""

from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image


def frames(folder: Path, names: Iterable[str], side: int = 16) -> None:
    """Images called `names`; the number in a name is the grey of the image."""
    folder.mkdir(parents=True)
    for name in names:
        grey = int(Path(name).stem) % 256
        Image.new("RGB", (side + 8, side), (grey,) * 3).save(folder / name)


def masks(folder: Path) -> None:
    """What lies beside frames and is none."""
    folder.mkdir(parents=True)
    mask = Image.new("P", (24, 16))
    mask.putpalette([0, 0, 0, 200, 0, 0])
    for number in (0, 5):
        mask.save(folder / f"{number:05d}.png")


def movie(file: Path, length: int = 12) -> None:
    """An H.264 file at 25 frames per second whose frame t has the grey 10 t."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shades = np.arange(length, dtype=np.uint8)[:, None, None, None] * 10
    iio.imwrite(file, np.broadcast_to(shades, (length, 32, 48, 3)), fps=25, codec="libx264")


def kinetics(root: Path) -> None:
    for name in (
        "crying/-a_b_000001_000011.mp4",
        "pull ups/it's [1]_000010_000020.MP4",
        "flat.mp4",
    ):
        movie(root / "train" / name)
    movie(root / "val" / "crying" / "other_000000_000010.mp4")
    (root / "train.csv").write_text("label,youtube_id\n")


def oxuva(root: Path) -> None:
    frames(
        root / "images" / "dev" / "vid0001",
        [f"{n:06d}.jpeg" for n in (*range(60), *range(90, 150))],
    )
    frames(root / "images" / "test" / "vid0002", [f"{n:06d}.jpeg" for n in range(30, 60)])
    (root / "tasks").mkdir()
    (root / "tasks" / "dev.csv").write_text("vid0001,obj0000,0,149\n")


def ytvos(root: Path) -> None:
    for video in ("003234408d", "0043f083b5"):
        frames(root / "train" / "JPEGImages" / video, [f"{n:05d}.jpg" for n in range(0, 100, 5)])
        masks(root / "train" / "Annotations" / video)
    frames(root / "valid" / "JPEGImages" / "0062f687f1", ["00000.jpg", "00005.jpg"])
    (root / "train" / "meta.json").write_text("{}")


def trackingnet(root: Path) -> None:
    for chunk, video in (("TRAIN_0", "-0cRX"), ("TRAIN_11", "zz_9"), ("TEST", "test1")):
        frames(root / chunk / "frames" / video, [f"{n}.jpg" for n in range(130)])
        (root / chunk / "anno").mkdir(parents=True)
        (root / chunk / "anno" / f"{video}.txt").write_text("0,0,1,1\n")


def lasot(root: Path) -> None:
    for number in (1, 2, 20):
        frames(
            root / "airplane" / f"airplane-{number}" / "img", [f"{n:08d}.jpg" for n in range(1, 13)]
        )
        (root / "airplane" / f"airplane-{number}" / "groundtruth.txt").write_text("0,0,1,1\n")
    (root / "testing_set.txt").write_text("airplane-1\n")


def got10k(root: Path) -> None:
    for part, kind in (("train", "Train"), ("val", "Val")):
        frames(root / part / f"GOT-10k_{kind}_000001", [f"{n:08d}.jpg" for n in range(1, 13)])
    (root / "train" / "list.txt").write_text("GOT-10k_Train_000001\n")


def davis(root: Path) -> None:
    for sequence in ("bear", "blackswan"):
        frames(root / "JPEGImages" / "480p" / sequence, [f"{n:05d}.jpg" for n in range(12)])
        masks(root / "Annotations" / "480p" / sequence)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    for split, sequence in (("train", "bear"), ("val", "blackswan")):
        (root / "ImageSets" / "2017" / f"{split}.txt").write_text(f"{sequence}\n")


def folder(root: Path) -> None:
    frames(root / "deep" / "within", [f"{n}.png" for n in range(12)])
    movie(root / "clip.mp4")
