"""Steps that the loaders of sets share: find folders, read lists, match images with masks."""

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
    """Return the folder; InputError with the hint if it is missing."""
    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {hint}")
    return folder


def first_folder(candidates: list[Path], hint: str) -> Path:
    """The first candidate that exists; InputError with the hint if none does."""
    # Editions of a set differ in the names of their folders; the usual one comes first.
    for folder in candidates:
        if folder.is_dir():
            return folder

    return need_folder(candidates[0], hint)  # the message names the usual folder


def folders(above: Path) -> list[Path]:
    """The visible folders directly inside a folder, sorted by name."""
    return visible_folders(above)


def need_images(folder: Path, hint: str) -> list[Path]:
    """The images directly inside a folder, sorted.

    Args:
        folder: Folder of images.
        hint: What the user can do, for messages.

    Raises:
        InputError: The folder is missing or holds no images, or two images share a name.
    """
    files = frame_files(need_folder(folder, hint), hint)
    if not files:
        raise InputError(f"{folder}: folder holds no images; {hint}")

    return files


def read_names(file: Path, hint: str) -> list[str]:
    """The lines of a list of images or sequences, without repetitions and empty lines.

    Args:
        file: Text file of the list.
        hint: What the user can do, for messages.

    Raises:
        InputError: The file is missing or empty.
    """
    try:
        lines = read_text(file, hint).splitlines()
    except FileNotFoundError:
        raise InputError(f"{file}: list is missing; {hint}") from None

    # A name that is listed twice counts once, at its first place.
    stripped = dict.fromkeys(line.strip() for line in lines)
    stripped.pop("", None)
    if not stripped:
        raise InputError(f"{file}: list is empty; {hint}")

    return list(stripped)


def read_json(file: Path, hint: str) -> Any:
    """Read a JSON file; InputError if it is missing or damaged."""
    try:
        return json.loads(read_text(file, hint))
    except FileNotFoundError:
        raise InputError(f"{file}: file is missing; {hint}") from None
    except ValueError as error:
        raise InputError(f"{file}: is no JSON ({error}); get it again") from error


def choose_images(images: list[Path], options: SetReading) -> list[Path]:
    """The images that `options.names` lists; all images if there is no such list.

    Args:
        images: All images of a folder.
        options: How the set is read. Its list has names with or without suffix.

    Raises:
        InputError: The list names an image that does not exist.
    """
    if options.names is None:
        return images

    # Every name of the list must be found, or a typing error would shrink the set unnoticed.
    listed = set(read_names(options.names, "write one image name on each line"))
    lacking = set(listed)
    chosen: list[Path] = []
    for image in images:
        if image.stem in listed or image.name in listed:
            chosen.append(image)
            lacking -= {image.stem, image.name}

    if lacking:
        raise InputError(
            f"{options.names}: lists {min(lacking)}, which is no image of {images[0].parent}"
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
    """Add the masks MASKS/FRAME.png to a shot.

    Args:
        shot: The video.
        frames: Images of its frames, in order.
        masks: Folder of its masks.
        values: Value in a mask -> class id.
        known: The values in words, for messages.
        sparse: Allow frames without a mask.

    Raises:
        InputError: A mask is missing and `sparse` is not set, or a mask has no frame.
    """
    folder = need_folder(masks, f"get the masks of {frames[0].parent}")
    # Frames and masks have different suffixes, so they are matched without them.
    by_stem = {mask.stem: mask for mask in mask_files(folder)}
    files: dict[int, tuple[Path, Path]] = {}

    for t, image in enumerate(frames):
        if image.stem in by_stem:
            files[t] = (image, by_stem[image.stem])
        elif not sparse:
            raise InputError(
                f"{masks / image.stem}.png: mask of {image} is missing; get it, or remove both"
            )

    # A mask without its frame means that the two folders belong to different editions.
    without_frame = by_stem.keys() - {image.stem for image in frames}
    if without_frame:
        raise InputError(
            f"{by_stem[min(without_frame)]}: labels a frame that {frames[0].parent} lacks; get it,"
            " or remove both"
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
    """Build a set of images, each of which has a mask MASKS/STEM.png.

    Args:
        name: Name of the set.
        images: All images of the split.
        masks: Folder of their masks.
        options: How the set is read.
        values: Value in a mask -> class name, which is `void` for pixels without label.
        usual: The classes if the user chooses none.
        known: The values in words, for messages.
        hint: What the user can do about missing files, for messages.
        filtered: Whether images without a wanted class are left out. By default they are if the
            user chose classes. A list of images in the options is never filtered.

    Raises:
        InputError: A mask is missing, or no image shows a wanted class.
    """
    # Wrong class names are reported before the masks are searched for.
    classes = choose_classes(name, values.values(), options.wanted, usual)
    images = choose_images(images, options)

    # Without labels the masks need not exist.
    if not options.labels:
        shots = tuple(Shot(name=image.stem, source=image) for image in images)
        return SegmentationSet(name=name, kind="images", classes=classes, shots=shots)

    by_stem = {mask.stem: mask for mask in mask_files(need_folder(masks, hint))}
    # Match each image with its mask; masks without an image, of other splits, are allowed.
    ids = class_values(values, classes, options.others)
    labelled: list[Shot] = []
    for image in images:
        if image.stem not in by_stem:
            raise InputError(f"{masks / image.stem}.png: mask of {image.name} is missing; {hint}")

        reader = MaskFiles(files={0: (image, by_stem[image.stem])}, values=ids, known=known)
        labelled.append(Shot(name=image.stem, source=image, labelled=(0,), reader=reader))

    # A choice of classes makes images without them useless; the usual classes keep all images.
    if filtered is None:
        filtered = options.wanted is not None

    # The filter reads every mask. A list of images is taken as its result and spares that.
    shots = tuple(labelled)
    if filtered and options.names is None:
        shots = keep_wanted(name, shots, classes, workers=options.workers)

    return SegmentationSet(name=name, kind="images", classes=classes, shots=shots)
