"""COCO's instances as labels: polygons and run lengths, which are drawn when a sample is read."""

# Shapes: H x W pixels of an image.

import json
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.data.segmentation.classes import SHARED, choose_classes, class_values
from densevos.data.segmentation.labels import upright
from densevos.data.segmentation.layout import choose_images, read_json
from densevos.data.segmentation.presence import keep_wanted
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot

# Completes messages that start with the name of the file.
DAMAGED = "is no instances file of COCO (images, annotations, categories); get it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Instances:
    """Labels of one image."""

    file: Path
    """File of the instances, for messages."""
    image: Path
    """The image."""
    size: tuple[int, int]
    """(H, W) of the image according to the file of the instances."""
    drawn: str
    """JSON of [class id, segmentation] of every instance, the largest first. Text takes a tenth of
    the memory of the lists, and workers share it.
    """

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8; the smaller of two overlapping instances is in front.

        Raises:
            InputError: The image has another size than the file says, or a segmentation is damaged.
        """
        labels = np.zeros(self.size, np.uint8)
        # Check the size first: segmentations of another size cannot be drawn.
        upright(labels, self.image, self.file)

        # The largest instance comes first, so smaller ones are drawn over it.
        for id, segmentation in json.loads(self.drawn):
            labels[self._drawn(segmentation)] = id

        return upright(labels, self.image, self.file)

    def _drawn(self, segmentation: Any) -> np.ndarray:
        """The mask of one instance, [H,W] bool."""
        try:
            with warnings.catch_warnings():
                # pycocotools 2.0.11 uses deprecated parts of NumPy.
                warnings.simplefilter("ignore", DeprecationWarning)
                return _decoded(segmentation, self.size)
        except InputError:
            raise
        except Exception as error:  # pycocotools has no exceptions of its own
            raise InputError(
                f"{self.file}: a segmentation of {self.image.name} cannot be drawn ({error!r})"
            ) from error


def _decoded(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Draw polygons, run lengths or packed run lengths: [H,W] bool."""
    mask = _pycocotools()
    packed = isinstance(segmentation, dict) and isinstance(segmentation["counts"], str)
    drawn: np.ndarray
    if packed:
        drawn = mask.decode(segmentation).astype(bool)
        return drawn

    # A list of run lengths becomes one object, polygons become a list of objects.
    runs = mask.frPyObjects(segmentation, *size)
    if isinstance(runs, list):
        runs = mask.merge(runs)

    drawn = mask.decode(runs).astype(bool)
    return drawn


def load_instances(file: Path, images: list[Path], options: SetReading) -> SegmentationSet:
    """Load the images that show an instance of a wanted class; see coco.load.

    Args:
        file: File of the instances.
        images: All images of the split.
        options: How the set is read.

    Raises:
        InputError: The file is missing, is damaged or lacks an image; pycocotools is not installed;
            or no image shows a wanted class.
    """
    _pycocotools()  # report a missing package before reading a large file
    content = read_json(file, DAMAGED)
    try:
        names = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        listed = {Path(entry["file_name"]).name: entry for entry in content["images"]}
        segments = defaultdict(list)

        for instance in content["annotations"]:
            area, category = float(instance["area"]), int(instance["category_id"])
            segments[instance["image_id"]].append((area, category, instance["segmentation"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: {DAMAGED} ({error!r})") from error

    classes = choose_classes("coco", names.values(), options.wanted, ("background", *SHARED))
    values = class_values(names, classes, options.others)
    shots = []

    for image in choose_images(images, options):
        if image.name not in listed:
            raise InputError(
                f"{file}: lacks image {image.name}, which lies in {image.parent}; get both of one"
                " split"
            )

        entry = listed[image.name]
        shots.append(_shot(file, image, entry, segments[entry["id"]], values, classes))

    return SegmentationSet(
        name="coco", kind="images", classes=classes, shots=keep_wanted("coco", shots, classes)
    )


def _shot(
    file: Path,
    image: Path,
    entry: Mapping[str, Any],
    segments: list[tuple[float, int, Any]],
    values: Mapping[int, int],
    classes: tuple[str, ...],
) -> Shot:
    """One labelled image; `segments` are area, category and segmentation of its instances."""
    for _, category, _ in segments:
        if category not in values:
            raise InputError(
                f"{file}: category {category} of {image.name} is none of its categories; get it"
                " again"
            )

    # `Instances` draws in this order, so that small instances stay visible.
    largest_first = sorted(segments, key=lambda segment: -segment[0])
    drawn: list[tuple[int, Any]] = []
    shown: set[str] = set()
    for _, category, segmentation in largest_first:
        id = values[category]
        drawn.append((id, segmentation))
        if 0 < id < len(classes):  # neither background nor void
            shown.add(classes[id])

    reader = Instances(
        file=file,
        image=image,
        size=(int(entry["height"]), int(entry["width"])),
        drawn=json.dumps(drawn),
    )

    return Shot(
        name=image.stem, source=image, labelled=(0,), reader=reader, present=frozenset(shown)
    )


def _pycocotools() -> Any:
    """The module of pycocotools that draws masks; InputError if it is not installed."""
    try:
        from pycocotools import mask
    except ImportError:
        raise InputError(
            "reading instances of COCO needs pycocotools: pip install 'densevos[segmentation]';"
            " stuffthingmaps do not"
        ) from None

    return mask
