"""What layouts share: checks of files, and the layout of DAVIS, one folder per sequence."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, read_mask
from densevos.base.names import (
    IMAGE_SUFFIXES,
    frame_files,
    image_files,
    is_hidden,
    mask_files,
    visible_folders,
)
from densevos.base.text import read_list
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

RESOLUTION = re.compile(r"[0-9]+p|[0-9]+x[0-9]+|full-resolution", re.IGNORECASE)
USUAL_RESOLUTION = "480p"
IMAGE_PATH = re.compile(rf".+?({'|'.join(map(re.escape, IMAGE_SUFFIXES))})(?=\s|$)", re.IGNORECASE)


def load_folders(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...]
) -> list[VideoSequence]:
    """The sequences of the split's list, or those in `names`; see protocol.load_sequences."""
    hint, judged = _hint(protocol, split), protocol.annotated != "none"
    for folder in (
        root,
        root / protocol.images,
        *([root / protocol.annotations] if judged else []),
    ):
        need_folder(folder, hint)

    if protocol.resolution is None:
        protocol = replace(protocol, resolution=_only_resolution(root / protocol.images))
        hint = _hint(protocol, split)

    resolution = protocol.resolution or ""
    images, annotations = (
        root / protocol.images / resolution,
        root / protocol.annotations / resolution,
    )
    for folder in (images, *([annotations] if judged else [])):
        need_folder(folder, hint)

    names = names or _listed(protocol, root, split, images, hint) or _all_folders(images)
    return [_sequence(protocol, name, images / name, annotations / name, hint) for name in names]


def _sequence(
    protocol: Protocol, name: str, images: Path, annotations: Path, hint: str
) -> VideoSequence:
    frame_names = need_frames(images, hint)
    if protocol.annotated == "none":
        return VideoSequence(
            name=name, source=images, frame_names=frame_names, frame_size=protocol.frame_size
        )

    need_folder(annotations, hint)
    masks = masks_by_frame(annotations)
    need_every_frame(images, frame_names, masks, hint)
    if protocol.annotated == "first":
        need_consecutive(images, frame_names, hint)

    truth = tuple(masks.get(frame, annotations / f"{frame}.png") for frame in frame_names)
    there = [t for t, frame in enumerate(frame_names) if frame in masks]
    any_will_do = protocol.annotated == "any" and bool(there)
    for file in truth if protocol.annotated == "all" else truth[:1] if not any_will_do else ():
        need_file(file, hint)

    first = _first_with_objects(truth, there) if any_will_do else 0
    annotated = [t for t in there if t >= first] if any_will_do else []
    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={first: truth[first]} if protocol.first_mask_given else {},
        truth=() if protocol.annotated == "first" else truth,
        annotated=tuple(annotated) if len(annotated) < len(frame_names) else (),
        merge_objects=protocol.merge_objects,
        frame_size=protocol.frame_size,
        both_ways=protocol.both_ways and first > 0,
    )


def _first_with_objects(truth: Sequence[Path], there: Sequence[int]) -> int:
    """The first of the frames `there` whose mask holds an object, or cannot be read; the first of
    all if none does.
    """
    return next((t for t in there if _may_hold_objects(truth[t])), there[0])


def _may_hold_objects(mask: Path) -> bool:
    try:
        return bool(np.isin(read_mask(mask), (0, VOID), invert=True).any())
    except InputError:
        return True  # Whoever uses the mask says what is wrong with it.


def _only_resolution(images: Path) -> str:
    """480p where there is such a folder, else the only other one, else "" (sequences lie in
    `images`).
    """
    named = [folder for folder in visible_folders(images) if RESOLUTION.fullmatch(folder.name)]
    # One that holds images and no folders is a sequence of that name.
    found = [folder.name for folder in named if visible_folders(folder) or not image_files(folder)]
    if USUAL_RESOLUTION in found:
        return USUAL_RESOLUTION
    if len(found) > 1:
        raise InputError(f"{images}: holds {', '.join(found)}; choose one with --resolution")

    return "".join(found)


def _listed(protocol: Protocol, root: Path, split: str, images: Path, hint: str) -> tuple[str, ...]:
    """Names in the list of the split; none when there is no list and none is required."""
    candidates = [root / pattern.format(split=split) for pattern in protocol.lists]
    for file in candidates:
        if file.is_file():
            lines = read_list(file, "write one sequence name on each line")
            names = tuple(dict.fromkeys(name for line in lines for name in _named(line, images)))
            if not names:
                raise InputError(f"{file}: list is empty; write one sequence name on each line")

            return names

    if protocol.list_required or (root / "ImageSets").is_dir():
        lists = {
            file.stem
            for each in candidates
            for file in each.parent.glob("*.txt")
            if not is_hidden(file.name)
        }
        raise InputError(
            f"{candidates[0]}: list of sequences is missing (there: {', '.join(sorted(lists)) or 'none'}); choose"
            f" another --split, name the --sequences, or get it: {hint}"
        )

    return ()


def _named(line: str, images: Path) -> Iterator[str]:
    """The sequences that a line of a list names: one, several, or that of a frame, as the lists of
    DAVIS-2016 do.
    """
    names = line.split()
    if (images / line).is_dir():
        yield str(PurePath(line))
    elif frame := IMAGE_PATH.match(line):
        yield PurePath(frame[0]).parent.name
    elif all((images / name).is_dir() for name in names):
        yield from (str(PurePath(name)) for name in names)
    else:
        yield line


def _all_folders(images: Path) -> tuple[str, ...]:
    names = tuple(folder.name for folder in visible_folders(images))
    if not names:
        raise InputError(
            f"{images}: holds no sequences; put the frames of each into a folder of its own"
        )

    return names


def _hint(protocol: Protocol, split: str) -> str:
    resolution = f"{protocol.resolution}/" if protocol.resolution else ""
    optional = "" if protocol.list_required else "perhaps "
    other = ""
    if protocol.resolution == "" and "resolution" in protocol.flags:
        other = f"; where {protocol.images} holds a folder for each resolution, name one with --resolution"

    return (
        f"{protocol.name} needs {protocol.images}/{resolution}SEQUENCE/00000.jpg,"
        f" {protocol.annotations}/{resolution}SEQUENCE/00000.png"
        f" and {optional}{protocol.lists[0].format(split=split)} below --root (from {protocol.source}){other}"
    )


def need_folder(folder: Path, hint: str) -> None:
    """Raise InputError with the fix unless the folder is there."""
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file, not a folder; unpack it if it is an archive; {hint}"
        )

    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {hint}")


def need_file(file: Path, hint: str) -> None:
    """Raise InputError with the fix unless the file is there."""
    if not file.is_file():
        raise InputError(f"{file}: file is missing; {hint}")


def need_frames(folder: Path, hint: str) -> tuple[str, ...]:
    """Names (stems) of the images in the folder, in order.

    Raises:
        InputError: The folder is missing or holds no images, and two images have one name.
    """
    need_folder(folder, hint)
    names = tuple(file.stem for file in frame_files(folder))
    if not names:
        raise InputError(f"{folder}: folder holds no images; {hint}")

    return names


def need_every_frame(
    images: Path, names: tuple[str, ...], wanted: Iterable[str], hint: str
) -> None:
    """Raise InputError with the fix for the first name in `wanted` that is none of the frames
    `names` of `images`.
    """
    there = set(names)
    for name in wanted:
        if name not in there:
            suffix = image_files(images)[0].suffix
            raise InputError(
                f"{images / name}{suffix}: frame is missing, though it is asked for; {hint}"
            )


def need_consecutive(images: Path, names: tuple[str, ...], hint: str) -> None:
    """Raise InputError with the fix if the numbers that frames are called by leave one out."""
    if all(name.isdecimal() for name in names):
        numbers = range(int(names[0]), int(names[-1]) + 1)
        need_every_frame(images, names, (f"{number:0{len(names[0])}d}" for number in numbers), hint)


def masks_by_frame(folder: Path) -> dict[str, Path]:
    """The PNG files directly inside the folder by the name of their frame, in order; InputError
    when two have one.
    """
    masks: dict[str, Path] = {}
    for file in mask_files(folder):
        other = masks.setdefault(file.stem, file)
        if other is not file:
            raise InputError(f"{file}: is a mask of the same frame as {other.name}; remove one")

    return masks
