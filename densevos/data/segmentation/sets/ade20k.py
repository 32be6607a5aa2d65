"""ADE20K in the edition of the scene parsing benchmark, which has 150 classes."""

from pathlib import Path

from densevos.data.segmentation.classes import ADE20K
from densevos.data.segmentation.layout import image_set, need_images
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading

# 0 marks pixels of none of the 150 classes, so class ids are one less than values.
VALUES = {0: "void", **dict(enumerate(ADE20K, start=1))}
FOLDERS = {"train": "training", "val": "validation"}


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the images of ROOT/images and the masks of ROOT/annotations; see open_set.

    Args:
        root: Folder of the set.
        options: How the set is read; splits train and val are the folders training and validation.

    Raises:
        InputError: A file is missing, or no image shows a wanted class.
    """
    split = options.split
    folder = FOLDERS.get(split, split)
    hint = (
        f"ade20k needs images/{folder}/NAME.jpg and annotations/{folder}/NAME.png below its folder"
        " (ADEChallengeData2016 of sceneparsing.csail.mit.edu, not the full set)"
    )

    return image_set(
        "ade20k",
        need_images(root / "images" / folder, hint),
        root / "annotations" / folder,
        options,
        values=VALUES,
        usual=ADE20K,
        known=(
            "0 is void, 1 to 150 are the classes of the scene parsing benchmark; get its"
            " annotations"
        ),
        hint=hint,
    )
