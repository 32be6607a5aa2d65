"""Pascal VOC 2012: all its images, some of which have a mask."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.classes import VOC
from densevos.data.segmentation.layout import first_folder, image_set, need_images, read_names
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading

VALUES = {**dict(enumerate(VOC)), 255: "void"}


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the images of ImageSets/Segmentation/SPLIT.txt; see open_set.

    Without labels, all of JPEGImages is loaded.

    Args:
        root: Folder VOC2012, or a folder above it.
        options: How the set is read.

    Raises:
        InputError: A file is missing, or no image shows a wanted class.
    """
    split = options.split
    hint = (
        "voc needs JPEGImages/NAME.jpg below its folder, and with labels ImageSets/Segmentation/"
        f"{split}.txt and SegmentationClass/NAME.png (VOC2012 of host.robots.ox.ac.uk/pascal/VOC)"
    )
    # The archive unpacks into VOCdevkit/VOC2012.
    above = ("", "VOC2012", "VOCdevkit/VOC2012")
    folder = first_folder([root / name / "JPEGImages" for name in above], hint)
    images = need_images(folder, hint)
    root = images[0].parent.parent

    # Only some images have masks, and the list of the split names these.
    if options.labels:
        images = _listed(images, root / "ImageSets" / "Segmentation" / f"{split}.txt", hint)

    return image_set(
        "voc",
        images,
        root / "SegmentationClass",
        options,
        values=VALUES,
        usual=VOC,
        known=(
            "0 to 20 are the classes, 255 is void; get SegmentationClass (not SegmentationObject)"
        ),
        hint=hint,
    )


def _listed(images: list[Path], file: Path, hint: str) -> list[Path]:
    """The images that a list names, in its order; InputError if one does not exist."""
    by_stem = {image.stem: image for image in images}
    listed: list[Path] = []
    for name in read_names(file, hint):
        if name not in by_stem:
            raise InputError(
                f"{images[0].parent / name}.jpg: image is missing, though {file} lists it; {hint}"
            )

        listed.append(by_stem[name])

    return listed
