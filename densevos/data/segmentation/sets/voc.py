"""Pascal VOC: images, and the masks of those that have one."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.classes import VOC
from densevos.data.segmentation.layout import first_folder, image_set, need_images, read_names
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading

VALUES = {**dict(enumerate(VOC)), 255: "void"}


def load(root: Path, options: SetReading) -> SegmentationSet:
    """All of JPEGImages when unlabelled; labelled, the images of ImageSets/Segmentation/SPLIT.txt;
    see open_set.

    ROOT is VOC2012 or a folder above it.
    """
    split = options.split
    hint = (
        "voc needs JPEGImages/NAME.jpg below its folder, and with labels ImageSets/Segmentation/"
        f"{split}.txt and SegmentationClass/NAME.png (VOC2012 of host.robots.ox.ac.uk/pascal/VOC)"
    )
    above = ("", "VOC2012", "VOCdevkit/VOC2012")
    images = need_images(
        first_folder([root / folder / "JPEGImages" for folder in above], hint), hint
    )
    root = images[0].parent.parent

    return image_set(
        "voc",
        _listed(images, root / "ImageSets" / "Segmentation" / f"{split}.txt", hint)
        if options.labels
        else images,
        root / "SegmentationClass",
        options,
        values=VALUES,
        usual=VOC,
        known="0 to 20 are the classes, 255 is void; get SegmentationClass (not SegmentationObject)",
        hint=hint,
    )


def _listed(images: list[Path], file: Path, hint: str) -> list[Path]:
    there = {image.stem: image for image in images}
    names = read_names(file, hint)
    for name in names:
        if name not in there:
            raise InputError(
                f"{images[0].parent / name}.jpg: image is missing, though {file} lists it; {hint}"
            )

    return [there[name] for name in names]
