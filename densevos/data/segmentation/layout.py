"""What the loaders of sets check first, and what those of images share."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.names import frame_files, mask_files, visible_folders
from densevos.base.text import read_text
from densevos.data.segmentation.classes import choose_classes, class_values
from densevos.data.segmentation.labels import MaskFiles
from densevos.data.segmentation.presence import keep_wanted
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot


def need_folder(folder: Path, hint: str) -> Path:
    """The folder; InputError with the fix unless it is there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {hint}")
    return folder


def first_folder(candidates: list[Path], hint: str) -> Path:
    """The first of the folders that is there; InputError that names the first of all with the fix
    if none is.
    """
    return next((folder for folder in candidates if folder.is_dir()), None) or need_folder(
        candidates[0], hint
    )


def folders(above: Path) -> list[Path]:
    """The visible folders directly inside a folder, sorted by name."""
    return visible_folders(above)


def need_images(folder: Path, hint: str) -> list[Path]:
    """The images in the folder; InputError with the fix unless there are any, and when two share a
    name.
    """
    files = frame_files(need_folder(folder, hint), hint)
    if not files:
        raise InputError(f"{folder}: folder holds no images; {hint}")

    return files


def read_names(file: Path, hint: str) -> list[str]:
    """The lines of a list of images or sequences; InputError unless there are any."""
    try:
        lines = read_text(file, hint).splitlines()
    except FileNotFoundError:
        raise InputError(f"{file}: list is missing; {hint}") from None

    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise InputError(f"{file}: list is empty; {hint}")

    return names


def read_json(file: Path, hint: str) -> Any:
    """What the JSON file holds; InputError with the fix when it is missing or damaged."""
    try:
        return json.loads(read_text(file, hint))
    except FileNotFoundError:
        raise InputError(f"{file}: file is missing; {hint}") from None
    except ValueError as error:
        raise InputError(f"{file}: is no JSON ({error}); get it again") from error


def choose_images(images: list[Path], options: SetReading) -> list[Path]:
    """The images that `options.names` lists, with or without suffix; all of them without such a
    list.
    """
    if options.names is None:
        return images

    listed = set(read_names(options.names, "write one image name on each line"))
    chosen = [image for image in images if image.stem in listed or image.name in listed]
    if lacking := sorted(
        listed - {image.stem for image in chosen} - {image.name for image in chosen}
    ):
        raise InputError(
            f"{options.names}: lists {lacking[0]}, which is no image of {images[0].parent}"
        )

    return chosen


def labelled_video(
    shot: Shot,
    frames: list[Path],
    masks: Path,
    values: Mapping[int, int],
    known: str,
    *,
    sparse: bool = False,
) -> Shot:
    """The shot with the masks MASKS/FRAME.png; InputError when one is missing, unless only some are
    to be there.
    """
    there = {
        mask.stem: mask
        for mask in mask_files(need_folder(masks, f"get the masks of {frames[0].parent}"))
    }
    files = {t: (image, there[image.stem]) for t, image in enumerate(frames) if image.stem in there}

    if len(files) < len(frames) and not sparse:
        lacking = next(image for image in frames if image.stem not in there)
        raise InputError(
            f"{masks / lacking.stem}.png: mask of {lacking} is missing; get it, or remove both"
        )

    if lost := sorted(there.keys() - {image.stem for image in frames}):
        raise InputError(
            f"{there[lost[0]]}: labels a frame that {frames[0].parent} lacks; get it, or remove both"
        )

    return replace(
        shot, labelled=tuple(files), reader=MaskFiles(files=files, values=values, known=known)
    )


def image_set(
    name: str,
    images: list[Path],
    masks: Path,
    options: SetReading,
    *,
    values: Mapping[int, str],
    usual: tuple[str, ...],
    known: str,
    hint: str,
    filtered: bool | None = None,
) -> SegmentationSet:
    """A set of images with a mask MASKS/STEM.png each.

    values: value in the mask -> class name, `void` for none. usual: classes where the user wants no
    others. known: the values in words. filtered: leave out images without a wanted class; None:
    where the user chose classes. Raises InputError when a mask is missing and when no image shows a
    wanted class.
    """
    classes = choose_classes(name, values.values(), options.wanted, usual)
    images = choose_images(images, options)
    if not options.labels:
        shots = tuple(Shot(name=image.stem, source=image) for image in images)
        return SegmentationSet(name=name, kind="images", classes=classes, shots=shots)

    there = {mask.stem: mask for mask in mask_files(need_folder(masks, hint))}
    ids = class_values(values, classes, options.others)
    for image in images:
        if image.stem not in there:
            raise InputError(f"{masks / image.stem}.png: mask of {image.name} is missing; {hint}")

    shots = tuple(
        Shot(
            name=image.stem,
            source=image,
            labelled=(0,),
            reader=MaskFiles(files={0: (image, there[image.stem])}, values=ids, known=known),
        )
        for image in images
    )
    if (options.wanted is not None if filtered is None else filtered) and options.names is None:
        shots = keep_wanted(name, shots, classes, workers=options.workers)

    return SegmentationSet(name=name, kind="images", classes=classes, shots=shots)
