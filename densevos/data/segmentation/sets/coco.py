"""COCO-2017 with the masks of COCO-Stuff (stuffthingmaps), or with its instances."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, read_mask
from densevos.base.names import image_files
from densevos.data.segmentation.classes import COCO, SHARED
from densevos.data.segmentation.coco_instances import load_instances
from densevos.data.segmentation.layout import first_folder, image_set, need_images
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading

# The value in a map is the id minus one, which is easily overlooked.
VALUES = {**{id - 1: name for id, name in enumerate(COCO, start=1)}, VOID: "void"}

STUFF_ONLY = (
    "these are the stuff-only pixel maps (92 to 182, 183 = everything else), which lack persons,"
    " cars and all other things; get stuffthingmaps_trainval2017.zip"
    " (github.com/nightrome/cocostuff)"
)
SHIFTED = (
    "values must be COCO ids less one, not ids as in the 10k edition of COCO-Stuff: subtract 1 (0"
    " becomes 255), or get stuffthingmaps_trainval2017.zip (github.com/nightrome/cocostuff)"
)
LOOKED_AT = 50
"""Number of maps that are read to recognise their edition."""


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the images that show a wanted class; see open_set.

    Images are those of ROOT/train2017 or val2017, which may also lie in ROOT/images. Labels are
    ROOT/stuffthingmaps/train2017/NAME.png or, if there are no such maps,
    ROOT/annotations/instances_train2017.json. All masks are read once to find the images, unless
    `options.names` lists them.

    Args:
        root: Folder of the set.
        options: How the set is read.

    Raises:
        InputError: A file is missing, the maps are stuff-only or hold ids instead of ids minus one,
            or no image shows a wanted class.
    """
    split = options.split
    # Both `train` and `train2017` name the split.
    folder = split if split.endswith("2017") else f"{split}2017"
    maps = root / "stuffthingmaps" / folder
    instances = root / "annotations" / f"instances_{folder}.json"
    hint = (
        f"coco needs {folder}/NAME.jpg and stuffthingmaps/{folder}/NAME.png, or"
        f" annotations/{instances.name}, below its folder (cocodataset.org, and"
        " stuffthingmaps_trainval2017.zip of github.com/nightrome/cocostuff, which holds train2017"
        " and val2017 itself: unpack it in a folder stuffthingmaps)"
    )
    images = need_images(first_folder([root / folder, root / "images" / folder], hint), hint)

    # Without maps the instances serve as labels. Stuff-only maps are a common mistake.
    if options.labels and not maps.is_dir():
        if instances.is_file():
            return load_instances(instances, images, options)

        for stuff in (root / "annotations", root):
            if (stuff / f"stuff_{folder}_pixelmaps").is_dir():
                raise InputError(f"{stuff / f'stuff_{folder}_pixelmaps'}: {STUFF_ONLY}")

        raise InputError(f"{maps}: folder is missing; {hint}")

    notes = _check_edition(maps) if options.labels else ()
    opened = image_set(
        "coco",
        images,
        maps,
        options,
        values=VALUES,
        usual=("background", *SHARED),
        known="0 to 181 are COCO ids less one, 255 is void; get stuffthingmaps_trainval2017.zip",
        hint=hint,
        filtered=True,
    )

    return replace(opened, notes=notes)


def _check_edition(maps: Path) -> tuple[str, ...]:
    """A note if the values of the first maps seem to be ids instead of ids minus one.

    Raises:
        InputError: The maps are stuff-only: they hold 183, or nothing but stuff. Or they hold 182,
            which is the last id.
    """
    files = image_files(maps)[:LOOKED_AT]
    present: set[int] = set()
    zeros = 0
    for file in files:
        values = set(np.unique(read_mask(file)).tolist())
        present |= values
        zeros += 0 in values

    if 183 in present or (present and min(present) >= 92):
        raise InputError(f"{maps}: {STUFF_ONLY}")
    if 182 in present:
        raise InputError(
            f"{maps}: maps hold 182, the last id of COCO, so all values are one too high; {SHIFTED}"
        )

    # Nearly every map of the right edition has pixels without label, 255. In maps of ids these
    # pixels are 0.
    count = len(files)
    if VOID in present or 2 * zeros < count or count == 0:
        return ()

    return (
        f"{maps}: none of the first {count} maps holds 255 (unlabelled) and {zeros} hold 0, which"
        " is read as person; if 0 means unlabelled, every class is read as the next one:"
        f" {SHIFTED}",
    )
