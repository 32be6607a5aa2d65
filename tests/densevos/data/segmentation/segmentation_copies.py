"""A small synthetic copy of the layout of every set for segmentation. Frames are WIDTH x HEIGHT."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.masks import write_mask

HEIGHT, WIDTH = 24, 32


def stripes(*values: int) -> np.ndarray:
    """A mask [HEIGHT,WIDTH] of equally wide vertical stripes with these values, from left to
    right.
    """
    columns = np.arange(WIDTH) * len(values) // WIDTH
    return np.tile(np.array(values)[columns], (HEIGHT, 1))


def put_image(file: Path, shade: int = 90, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 80, 70)).save(file)
    return file


def put_mask(file: Path, mask: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_mask(file, mask.astype(np.uint8))
    return file


def put_text(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


def coco(root: Path) -> None:
    """Values are ids less one: person 0, bicycle 1, car 2, cat 16, cell phone 76, grass 123."""
    masks = {
        "000000000009": stripes(0, 2, 123, 255),
        "000000000025": stripes(76, 16),
        "000000000030": stripes(123, 16),
    }
    for stem, mask in masks.items():
        put_image(root / "train2017" / f"{stem}.jpg")
        put_mask(root / "stuffthingmaps" / "train2017" / f"{stem}.png", mask)


def coco_instances(root: Path) -> None:
    """Image 9: a car as a polygon in the left half, before it a dog as run lengths; image 25: a
    cat; 30: nothing.
    """
    for stem in ("000000000009", "000000000025", "000000000030"):
        put_image(root / "val2017" / f"{stem}.jpg")
    left = [[0, 0, WIDTH / 2, 0, WIDTH / 2, HEIGHT, 0, HEIGHT]]
    column = {"size": [HEIGHT, WIDTH], "counts": [0, 2 * HEIGHT, (WIDTH - 2) * HEIGHT]}
    content = {
        "images": [
            {"id": id, "file_name": f"{id:012d}.jpg", "height": HEIGHT, "width": WIDTH}
            for id in (9, 25, 30)
        ],
        "annotations": [
            {"image_id": 9, "category_id": 18, "area": 48, "iscrowd": 1, "segmentation": column},
            {"image_id": 9, "category_id": 3, "area": 384, "iscrowd": 0, "segmentation": left},
            {"image_id": 25, "category_id": 17, "area": 384, "iscrowd": 0, "segmentation": left},
        ],
        "categories": [
            {"id": id, "name": name}
            for id, name in ((1, "person"), (3, "car"), (17, "cat"), (18, "dog"))
        ],
    }
    put_text(root / "annotations" / "instances_val2017.json", json.dumps(content))


DAVIS_OBJECTS = {
    "ride": {"1": "bicycle", "2": "person"},
    "call": {"1": "cellphone", "2": "box"},
    "rhino": {"1": "rhino"},
}


def davis(root: Path, *, annotations: str = "Annotations") -> None:
    """Three sequences of three frames; rhino has none of the ten classes."""
    for name, objects in DAVIS_OBJECTS.items():
        for t in range(3):
            put_image(root / "JPEGImages" / "480p" / name / f"{t:05d}.jpg", shade=t)
            put_mask(
                root / annotations / "480p" / name / f"{t:05d}.png", stripes(0, *map(int, objects))
            )
    put_text(root / "ImageSets" / "2017" / "train.txt", "\n".join(DAVIS_OBJECTS))
    put_text(root / "davis_semantics.json", json.dumps(DAVIS_OBJECTS))


def davis_categories(root: Path) -> None:
    """The same with class ids in the masks instead of object ids."""
    ids = {"bicycle": 3, "box": 7, "cellphone": 14, "person": 51, "rhino": 60}
    davis(root)
    for name, objects in DAVIS_OBJECTS.items():
        for t in range(3):
            mask = stripes(0, *(ids[one] for one in objects.values()))
            put_mask(root / "Annotations_semantics" / "480p" / name / f"{t:05d}.png", mask)
    (root / "davis_semantics.json").unlink()
    put_text(
        root / "categories.json",
        json.dumps({name: {"id": id, "super_category": "x"} for name, id in ids.items()}),
    )


WHITE, TEAL, BLUE = 0xFFFFFF, 0x0080FF, 0x000003
"""Colours of FBMS regions; two of them would be one without blue."""


def definition(
    colours: Sequence[int],
    labelled: Sequence[int],
    *,
    name: str = "cats02",
    suffix: str = ".ppm",
    ends: str = "\r\n",
    colon: str = ":",
    beside: bool = False,
) -> str:
    """A *.dat of FBMS-59; editions differ in line ends, colons, and whether values stand beside
    their keys.
    """
    between = " " if beside else ends
    n = len(colours)
    lines = [
        "Ground truth definition file; do not change!",
        "",
        f"Total number of regions{colon}{between}{n}",
    ]
    lines += [f"Scale of region {k}{colon}{between}{colour}" for k, colour in enumerate(colours)]
    lines += [f"Confusion penality matrix{colon}", *["0 1 1"[: 2 * n - 1]] * n]
    lines += [f"Total number of frames in this shot{colon}{between}40"]
    lines += [f"Total number of labeled frames for this shot{colon}{between}{len(labelled)}"]
    for t in labelled:
        lines += [f"Frame number{colon}{between}{t}"]
        lines += [f"File name{colon}{between}{name}_{t:04d}_gt{suffix}"]
        lines += [f"Input file name{colon}{between}{name}_{t:04d}.ppm"]
    return ends.join(lines) + ends


def put_colours(file: Path, values: np.ndarray) -> Path:
    """A label image: PPM of colours R*65536+G*256+B, or PGM of grey values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".pgm":
        Image.fromarray(values.astype(np.uint8)).save(file)
    else:
        Image.fromarray(
            np.stack([values >> 16, values >> 8 & 255, values & 255], axis=2).astype(np.uint8)
        ).save(file)
    return file


def fbms(root: Path) -> None:
    """cats02: five frames, the second and fourth labelled with three regions; tennis: grey values;
    farm: no classes.
    """
    for name, folder in {
        "cats02": "Trainingset",
        "farm01": "Trainingset",
        "tennis": "Testset",
    }.items():
        for t in range(1, 6):
            put_image(root / folder / name / f"{name}_{t:04d}.jpg")
    truth = root / "Trainingset" / "cats02" / "GroundTruth"
    for t in (2, 4):
        put_colours(truth / f"cats02_{t:04d}_gt.ppm", stripes(WHITE, TEAL, BLUE))
        put_colours(truth / f"cats02_{t:04d}_PROB.pgm", stripes(1, 2, 3))
    put_text(truth / "cats02Def.dat", definition((WHITE, TEAL, BLUE), (2, 4)))
    farm = root / "Trainingset" / "farm01" / "GroundTruth"
    put_colours(farm / "farm01_0001_gt.ppm", stripes(WHITE, TEAL))
    put_text(farm / "farm01Def.dat", definition((WHITE, TEAL), (1,), name="farm01"))
    grey = root / "Testset" / "tennis" / "GroundTruth"
    put_colours(grey / "tennis_0001_gt.pgm", stripes(0, 127))
    put_text(
        grey / "tennisDef.dat",
        definition((0, 127), (1,), name="tennis", suffix=".pgm", ends="\n", colon=""),
    )
    put_text(
        root / "classes.csv",
        "sequence,region,class\ncats02,1,cat\ncats02, 2, person\n\ntennis,1,person\n",
    )


YTBB_ROWS = (
    "-a_B-c,1000,0,person,0,present,0.1,0.4,0.2,0.9",
    "-a_B-c,2000,0,person,0,absent,-1.0,-1.0,-1.0,-1.0",
    "-a_B-c,1500,0,person,0,present,0.1,0.4,0.2,0.9",
    "-a_B-c,1000,7,cat,0,present,0.1,0.4,0.2,0.9",
    "-a_B-c,500,11,motorcycle,1,present,0.5,0.9,0.1,0.3",
    "gone,0,23,car,0,present,0.1,0.4,0.2,0.9",
    "gone,1000,23,car,0,present,0.1,0.4,0.2,0.9",
)


def ytbb(root: Path) -> None:
    """One video of sixty frames, two seconds, of which two segments are wanted; another is
    missing.
    """
    for t in range(60):
        put_image(root / "videos" / "-a_B-c" / f"{t:05d}.jpg", shade=4 * t)
    (root / "yt_bb_detection_train.csv.gz").write_bytes(
        gzip.compress("\n".join(YTBB_ROWS).encode())
    )


def voc(root: Path) -> None:
    """Three images, one with labels."""
    base = root / "VOCdevkit" / "VOC2012"
    for stem in ("2007_000032", "2007_000033", "2007_000039"):
        put_image(base / "JPEGImages" / f"{stem}.jpg")
    put_mask(base / "SegmentationClass" / "2007_000032.png", stripes(0, 14, 20, 255))
    put_text(base / "ImageSets" / "Segmentation" / "train.txt", "2007_000032\n")


def camvid(root: Path) -> None:
    put_image(root / "train" / "0001TP_006690.png")
    put_mask(root / "trainannot" / "0001TP_006690.png", stripes(0, 8, 10, 11))


def ade20k(root: Path) -> None:
    put_image(root / "images" / "training" / "ADE_train_00000001.jpg")
    put_mask(root / "annotations" / "training" / "ADE_train_00000001.png", stripes(0, 1, 13, 150))


def folder(root: Path) -> None:
    """Images in `train`, clips in `val`, one of which has a mask of its second frame only."""
    put_text(root / "classes.txt", "floor\nchair\ntable\n")
    for stem in ("a", "b"):
        put_image(root / "images" / "train" / f"{stem}.jpg")
        put_mask(root / "masks" / "train" / f"{stem}.png", stripes(0, 2, 255))
    for clip, masked in {"one": (0, 1), "two": (1,)}.items():
        for t in range(2):
            put_image(root / "images" / "val" / clip / f"{t:05d}.jpg")
        for t in masked:
            put_mask(root / "masks" / "val" / clip / f"{t:05d}.png", stripes(1, 0))


def videos(root: Path) -> None:
    for name in ("one", "two"):
        put_image(root / "clips" / name / "00000.jpg")


COPIES: Mapping[str, Callable[[Path], None]] = {
    "coco": coco,
    "davis": davis,
    "fbms": fbms,
    "ytbb": ytbb,
    "voc": voc,
    "camvid": camvid,
    "ade20k": ade20k,
    "folder": folder,
    "videos": videos,
}
"""By name of the set; each fills an empty folder with a split `train`."""

WITHOUT_LABELS = ("ytbb", "videos")
