"""COCO-2017 with the masks of COCO-Stuff (stuffthingmaps), or with the polygons of its
instances.
"""

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

# The value is the id less one: everyone who reads these maps trips over it once.
VALUES = {**{id - 1: name for id, name in enumerate(COCO, start=1)}, VOID: "void"}

STUFF_ONLY = (
    "these are the stuff-only pixel maps (92 to 182, 183 = everything else), which lack persons, cars and all other"
    " things; get stuffthingmaps_trainval2017.zip (github.com/nightrome/cocostuff)"
)
SHIFTED = (
    "values must be COCO ids less one, not ids as in the 10k edition of COCO-Stuff: subtract 1 (0 becomes 255), or get"
    " stuffthingmaps_trainval2017.zip (github.com/nightrome/cocostuff)"
)
LOOKED_AT = 50


def load(root: Path, options: SetReading) -> SegmentationSet:
    """The images of ROOT/train2017 or val2017 (perhaps in ROOT/images) that show a wanted class;
    see open_set.

    Labels are ROOT/stuffthingmaps/train2017/NAME.png, or else
    ROOT/annotations/instances_train2017.json. All masks are read once to find the images, unless
    `options.names` lists them. Raises InputError for stuff-only maps and for maps of ids.
    """
    split = options.split
    folder = split if split.endswith("2017") else f"{split}2017"
    maps = root / "stuffthingmaps" / folder
    instances = root / "annotations" / f"instances_{folder}.json"
    hint = (
        f"coco needs {folder}/NAME.jpg and stuffthingmaps/{folder}/NAME.png, or annotations/{instances.name}, below its"
        " folder (cocodataset.org, and stuffthingmaps_trainval2017.zip of github.com/nightrome/cocostuff, which holds"
        " train2017 and val2017 itself: unpack it in a folder stuffthingmaps)"
    )
    images = need_images(first_folder([root / folder, root / "images" / folder], hint), hint)

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
    """A note if the first maps look as if their values were ids, and not ids less one.

    Raises InputError when they hold 183, or nothing but stuff; and when they hold 182, the last id.
    """
    files = image_files(maps)[:LOOKED_AT]
    held = [set(np.unique(read_mask(file)).tolist()) for file in files]
    found = set().union(*held)
    if 183 in found or (found and min(found) >= 92):
        raise InputError(f"{maps}: {STUFF_ONLY}")
    if 182 in found:
        raise InputError(
            f"{maps}: maps hold 182, the last id of COCO, so all values are one too high; {SHIFTED}"
        )

    # Nearly every map of the set has pixels without label.
    zeros = sum(0 in values for values in held)
    if VOID in found or 2 * zeros < len(held) or not held:
        return ()

    return (
        f"{maps}: none of the first {len(held)} maps holds 255 (unlabelled) and {zeros} hold 0, which is read as"
        f" person; if 0 means unlabelled, every class is read as the next one: {SHIFTED}",
    )
