"""COCO's instances as labels: polygons and run lengths, drawn when a sample is read."""

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

DAMAGED = "is no instances file of COCO (images, annotations, categories); get it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Instances:
    """Labels of one image.

    size: [H,W] that the file of instances says.
    drawn: JSON of [class id, segmentation] of every instance, the largest first. Text takes a tenth
    of the memory of
        the lists, and workers share it.
    """

    file: Path
    image: Path
    size: tuple[int, int]
    drawn: str

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8; where instances overlap the smaller one is in front."""
        labels = np.zeros(self.size, np.uint8)
        upright(labels, self.image, self.file)  # Segmentations of another size cannot be drawn.
        for id, segmentation in json.loads(self.drawn):
            labels[self._drawn(segmentation)] = id

        return upright(labels, self.image, self.file)

    def _drawn(self, segmentation: Any) -> np.ndarray:
        """Where one instance is, [H,W] bool."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", DeprecationWarning
                )  # pycocotools 2.0.11 speaks NumPy 1 in places.
                return _decoded(segmentation, self.size)
        except InputError:
            raise
        except Exception as error:  # What pycocotools raises is plain.
            raise InputError(
                f"{self.file}: a segmentation of {self.image.name} cannot be drawn ({error!r})"
            ) from error


def _decoded(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    mask = _pycocotools()
    if isinstance(segmentation, dict) and isinstance(
        segmentation["counts"], str
    ):  # packed run lengths
        return mask.decode(segmentation).astype(bool)

    runs = mask.frPyObjects(
        segmentation, *size
    )  # one for a list of run lengths, several for polygons
    return mask.decode(mask.merge(runs) if isinstance(runs, list) else runs).astype(bool)


def load_instances(file: Path, images: list[Path], options: SetReading) -> SegmentationSet:
    """The images that show an instance of a wanted class; see coco.load."""
    _pycocotools()
    content = read_json(file, DAMAGED)
    try:
        names = {int(one["id"]): str(one["name"]) for one in content["categories"]}
        listed = {Path(one["file_name"]).name: one for one in content["images"]}
        segments = defaultdict(list)

        for one in content["annotations"]:
            segments[one["image_id"]].append(
                (float(one["area"]), int(one["category_id"]), one["segmentation"])
            )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: {DAMAGED} ({error!r})") from error

    classes = choose_classes("coco", names.values(), options.wanted, ("background", *SHARED))
    values = class_values(names, classes, options.others)
    shots = []

    for image in choose_images(images, options):
        if image.name not in listed:
            raise InputError(
                f"{file}: lacks image {image.name}, which lies in {image.parent}; get both of one split"
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
    for _, category, _ in segments:
        if category not in values:
            raise InputError(
                f"{file}: category {category} of {image.name} is none of its categories; get it again"
            )

    largest_first = sorted(segments, key=lambda segment: -segment[0])
    drawn = [(values[category], segmentation) for _, category, segmentation in largest_first]
    shown = {classes[id] for id, _ in drawn if 0 < id < len(classes)}
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
    try:
        from pycocotools import mask
    except ImportError:
        raise InputError(
            "reading instances of COCO needs pycocotools: pip install 'densevos[segmentation]'; stuffthingmaps do not"
        ) from None

    return mask
