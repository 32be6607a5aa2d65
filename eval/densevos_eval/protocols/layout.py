"""The layout of DAVIS, one folder per sequence, and checks of files that all layouts share."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

# Names of folders that hold one resolution of all sequences, as in the archives of DAVIS.
RESOLUTION = re.compile(r"[0-9]+p|[0-9]+x[0-9]+|full-resolution", re.IGNORECASE)
USUAL_RESOLUTION = "480p"

# The path of an image at the start of a line of a list; the path may hold spaces.
IMAGE_PATH = re.compile(rf".+?({'|'.join(map(re.escape, IMAGE_SUFFIXES))})(?=\s|$)", re.IGNORECASE)


def load_folders(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...]
) -> list[VideoSequence]:
    """Find the sequences of the split's list, or those in `names`; see protocol.Layout."""
    # Methods that get no mask can run on frames alone.
    needs_annotations = protocol.annotated != "none"
    hint = _hint(protocol, split)
    need_folder(root, hint)
    need_folder(root / protocol.images, hint)
    if needs_annotations:
        need_folder(root / protocol.annotations, hint)

    # Hints name the folder of the resolution once it is known.
    if protocol.resolution is None:
        protocol = replace(protocol, resolution=_only_resolution(root / protocol.images))
        hint = _hint(protocol, split)

    resolution = protocol.resolution or ""
    images = root / protocol.images / resolution
    annotations = root / protocol.annotations / resolution
    need_folder(images, hint)
    if needs_annotations:
        need_folder(annotations, hint)

    # Names on the command line need no list; without a list, every folder is a sequence.
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
    # A mask without its frame means that frames are missing.
    masks = masks_by_frame(annotations)
    need_every_frame(images, frame_names, masks, hint)
    # A server wants a mask for every frame, so none may be missing from the download.
    if protocol.annotated == "first":
        need_consecutive(images, frame_names, hint)

    truth = truth_files(annotations, frame_names, masks)
    with_mask = frames_with_mask(frame_names, masks)
    first = 0
    annotated: list[int] = []

    # Which masks must exist depends on what the benchmark publishes.
    if protocol.annotated == "all":
        required = truth
    elif protocol.annotated == "any" and with_mask:
        # Any masks will do. Those before the first object hold nothing to score.
        required = ()
        first = _first_with_objects(truth, with_mask)
        annotated = [t for t in with_mask if t >= first]
    else:
        required = truth[:1]

    for file in required:
        need_file(file, hint)

    if len(annotated) == len(frame_names):
        annotated = []  # No indices mean that all frames are annotated.

    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={first: truth[first]} if protocol.first_mask_given else {},
        truth=() if protocol.annotated == "first" else truth,
        annotated=tuple(annotated),
        merge_objects=protocol.merge_objects,
        frame_size=protocol.frame_size,
        both_ways=protocol.both_ways and first > 0,
    )


def _first_with_objects(truth: Sequence[Path], frames: Sequence[int]) -> int:
    """The first of these frames whose mask may hold an object; simply the first if none does."""
    for t in frames:
        if _may_hold_objects(truth[t]):
            return t

    return frames[0]


def _may_hold_objects(mask: Path) -> bool:
    """Whether the mask holds an object or cannot be read."""
    try:
        return bool(np.isin(read_mask(mask), (0, VOID), invert=True).any())
    except InputError:
        # The code that uses the mask reports what is wrong with it.
        return True


def _only_resolution(images: Path) -> str:
    """The folder of a resolution: 480p, or the only one, or "" if there is none."""
    resolutions = []
    for folder in visible_folders(images):
        if not RESOLUTION.fullmatch(folder.name):
            continue

        # A folder that holds images and no folders is a sequence of that name.
        if visible_folders(folder) or not image_files(folder):
            resolutions.append(folder.name)

    if USUAL_RESOLUTION in resolutions:
        return USUAL_RESOLUTION
    if len(resolutions) > 1:
        raise InputError(f"{images}: holds {', '.join(resolutions)}; choose one with --resolution")

    return resolutions[0] if resolutions else ""


def _listed(protocol: Protocol, root: Path, split: str, images: Path, hint: str) -> tuple[str, ...]:
    """Names in the list of the split; empty if there is no list and none is required."""
    candidates = [root / pattern.format(split=split) for pattern in protocol.lists]
    for file in candidates:
        if file.is_file():
            return _read_names(file, images)

    # A folder of lists means that the list of this split was forgotten or misspelt.
    if protocol.list_required or (root / "ImageSets").is_dir():
        raise InputError(
            f"{candidates[0]}: list of sequences is missing (there: {_other_lists(candidates)});"
            f" choose another --split, name the --sequences, or get it: {hint}"
        )

    return ()


def _read_names(file: Path, images: Path) -> tuple[str, ...]:
    """The names in a list, each once; InputError if it is empty."""
    names: list[str] = []
    for line in read_list(file, "write one sequence name on each line"):
        names += _named(line, images)

    if not names:
        raise InputError(f"{file}: list is empty; write one sequence name on each line")

    # Lists of frames name each sequence many times.
    return tuple(dict.fromkeys(names))


def _other_lists(candidates: Iterable[Path]) -> str:
    """Names of the lists that exist beside these files, for a message."""
    names = set()
    # The lists that exist tell the user which splits can be chosen.
    for candidate in candidates:
        for file in candidate.parent.glob("*.txt"):
            if not is_hidden(file.name):
                names.add(file.stem)

    return ", ".join(sorted(names)) or "none"


def _named(line: str, images: Path) -> Iterator[str]:
    """The sequences that a line of a list names: one, several, or that of a frame."""
    # The order matters: a line is taken as a whole before it is split.
    names = line.split()
    if (images / line).is_dir():  # Also a name with spaces.
        yield str(PurePath(line))
    elif frame := IMAGE_PATH.match(line):  # The lists of DAVIS-2016 name frames.
        yield PurePath(frame[0]).parent.name
    elif all((images / name).is_dir() for name in names):
        for name in names:
            yield str(PurePath(name))
    else:  # The caller reports that there is no such folder.
        yield line


def _all_folders(images: Path) -> tuple[str, ...]:
    """Names of all folders of frames; InputError if there are none."""
    names = folder_names(images)
    if not names:
        raise InputError(
            f"{images}: holds no sequences; put the frames of each into a folder of its own"
        )

    return names


def _hint(protocol: Protocol, split: str) -> str:
    """Which files the benchmark needs and where to get them, as the end of messages."""
    resolution = f"{protocol.resolution}/" if protocol.resolution else ""
    optional = "" if protocol.list_required else "perhaps "
    other = ""
    if protocol.resolution == "" and "resolution" in protocol.flags:
        other = (
            f"; if {protocol.images} holds a folder for each resolution, name one with --resolution"
        )

    return (
        f"{protocol.name} needs {protocol.images}/{resolution}SEQUENCE/00000.jpg,"
        f" {protocol.annotations}/{resolution}SEQUENCE/00000.png"
        f" and {optional}{protocol.lists[0].format(split=split)} below --root"
        f" (from {protocol.source}){other}"
    )


def folder_names(folder: Path) -> tuple[str, ...]:
    """Names of the folders in a folder, in order; hidden ones are left out."""
    return tuple(child.name for child in visible_folders(folder))


def need_folder(folder: Path, hint: str) -> None:
    """Raise InputError with the hint unless the folder exists."""
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file, not a folder; unpack it if it is an archive; {hint}"
        )

    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {hint}")


def need_file(file: Path, hint: str) -> None:
    """Raise InputError with the hint unless the file exists."""
    if not file.is_file():
        raise InputError(f"{file}: file is missing; {hint}")


def need_frames(folder: Path, hint: str) -> tuple[str, ...]:
    """Find the frames in a folder.

    Args:
        folder: Folder of the images of one sequence.
        hint: End of the messages: how to fix what is missing.

    Returns:
        Names of the images without suffix, in order.

    Raises:
        InputError: The folder is missing or holds no images, or two images have one name.
    """
    need_folder(folder, hint)
    names = tuple(file.stem for file in frame_files(folder))
    if not names:
        raise InputError(f"{folder}: folder holds no images; {hint}")

    return names


def need_every_frame(
    images: Path, names: tuple[str, ...], wanted: Iterable[str], hint: str
) -> None:
    """Check that all wanted frames exist.

    Args:
        images: Folder of the frames.
        names: Names of the frames that exist, at least one.
        wanted: Names of the frames that must exist.
        hint: End of the message: how to fix what is missing.

    Raises:
        InputError: A wanted frame is missing; the message names the first one.
    """
    existing = set(names)
    for name in wanted:
        if name not in existing:
            # The other frames tell the suffix that the missing one would have.
            suffix = image_files(images)[0].suffix
            raise InputError(
                f"{images / name}{suffix}: frame is missing, though it is asked for; {hint}"
            )


def need_consecutive(images: Path, names: tuple[str, ...], hint: str) -> None:
    """Raise InputError with the hint if frames have numbers as names and a number is missing."""
    # Names that are no numbers do not show whether one is missing.
    if all(name.isdecimal() for name in names):
        digits = len(names[0])
        numbers = range(int(names[0]), int(names[-1]) + 1)
        need_every_frame(images, names, (f"{number:0{digits}d}" for number in numbers), hint)


def masks_by_frame(folder: Path) -> dict[str, Path]:
    """Find the masks directly inside a folder.

    Returns:
        Name of the frame -> PNG file, in order.

    Raises:
        InputError: Two masks have the name of one frame.
    """
    masks: dict[str, Path] = {}
    for file in mask_files(folder):
        other = masks.setdefault(file.stem, file)
        if other is not file:
            raise InputError(f"{file}: is a mask of the same frame as {other.name}; remove one")

    return masks


def frames_with_mask(frame_names: Iterable[str], masks: Mapping[str, Path]) -> list[int]:
    """Indices of the frames that have a mask."""
    return [t for t, frame in enumerate(frame_names) if frame in masks]


def truth_files(
    annotations: Path, frame_names: Iterable[str], masks: Mapping[str, Path]
) -> tuple[Path, ...]:
    """The mask of each frame; frames without one get the path that their mask would have.

    Args:
        annotations: Folder of the masks.
        frame_names: Names of all frames, in order.
        masks: Name of a frame -> its mask, for the frames that have one.
    """
    return tuple(masks.get(frame, annotations / f"{frame}.png") for frame in frame_names)
