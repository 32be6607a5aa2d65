"""Score masks in one folder against true masks in another, without any benchmark layout."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, open_mask, read_mask
from densevos.base.names import mask_file, mask_files, visible_folders
from densevos_eval.protocols.folder import FOLDER
from densevos_eval.protocols.layout import masks_by_frame
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.annotations import AnnotationReader, IdReader
from densevos_eval.sequences.painted import PaintedReader
from densevos_eval.sequences.sequence import VideoSequence

NAMED = 5  # How many frames or folders a message lists at most.


@dataclass(frozen=True, kw_only=True)
class TwoFolders:
    """What two folders hold.

    Attributes:
        sequences: One for each folder of true masks.
        places: Name of a sequence -> the folder that holds the folder of its results.
        protocol: The rules, which are those of `--dataset folder`.
        notes: What the user should know, one line each.
    """

    sequences: list[VideoSequence]
    places: Mapping[str, Path]
    protocol: Protocol
    notes: tuple[str, ...]


def two_folders(truth: Path, results: Path, *, skip_ends: bool = False) -> TwoFolders:
    """Pair the sequences of two folders of masks.

    Either folder holds SEQUENCE/FRAME.png or, for a single sequence, FRAME.png. Sequences are
    paired by name; if both sides have one sequence, these two are a pair under any names. Every
    frame that has a true mask counts. True masks may be painted in colours; their colours get ids
    as those of given masks do.

    Args:
        truth: Folder of true masks.
        results: Folder of the masks to score; it may hold more frames.
        skip_ends: Whether to leave out the first and the last true mask of each sequence.

    Raises:
        InputError: One of the folders is missing or holds no masks, or results lack frames.
    """
    # Either side may be a single sequence or a folder of sequences.
    true_folders = _mask_folders("--truth", truth)
    result_folders = _mask_folders("--results", results)

    # With one sequence on either side, names need not agree.
    if len(true_folders) == 1 and len(result_folders) == 1:
        pairs = [(true_folders[0], result_folders[0])]
    else:
        pairs = _by_name(true_folders, results, result_folders)

    sequences, places, merged = [], {}, []
    for true, result in pairs:
        # Metrics look for results in a folder of the sequence's name.
        name = result.resolve().name
        frames = masks_by_frame(true)
        _need_frames(result, list(frames))

        # In black-and-white masks 255 is the object. If either side is so, the ids of the other
        # cannot be told apart either.
        in_colours = open_mask(next(iter(frames.values()))).mode in ("RGB", "RGBA")
        is_one_object = _is_black_and_white(result) or (
            not in_colours and _is_black_and_white(true)
        )
        if is_one_object:
            merged.append(name)

        reader: AnnotationReader = IdReader()
        if in_colours:
            reader = PaintedReader.of(frames.values())

        sequences.append(
            VideoSequence(
                name=name,
                source=true,
                frame_names=tuple(frames),
                truth=tuple(frames.values()),
                merge_objects=is_one_object,
                reader=reader,
            )
        )
        places[name] = result.resolve().parent

    # Scores carry the name of the folder of true masks.
    skipped = (1, 1) if skip_ends else (0, 0)
    return TwoFolders(
        sequences=sequences,
        places=places,
        protocol=replace(FOLDER, name=truth.resolve().name, skipped=skipped),
        notes=(_counted(sequences, skip_ends), *_merged(merged)),
    )


def _mask_folders(flag: str, folder: Path) -> list[Path]:
    """The folder itself if masks lie in it, else the folders in it that hold masks."""
    if folder.is_file():
        raise InputError(
            f"{flag} {folder}: is a file, not a folder of masks; unpack it if it is an archive"
        )

    if not folder.is_dir():
        raise InputError(
            f"{flag} {folder}: no such folder; name one with masks FRAME.png or SEQUENCE/FRAME.png"
        )

    # Masks right in the folder are a single sequence.
    if mask_files(folder):
        return [folder]

    sequences = list(filter(mask_files, visible_folders(folder)))
    if not sequences:
        raise InputError(
            f"{flag} {folder}: holds no masks; they are FRAME.png, or SEQUENCE/FRAME.png"
        )

    return sequences


def _by_name(
    true_folders: list[Path], results: Path, result_folders: list[Path]
) -> list[tuple[Path, Path]]:
    """Each folder of true masks with the folder of results of the same name."""
    # Results may have more sequences than there are true masks.
    by_name = {folder.name: folder for folder in result_folders}
    missing = [folder.name for folder in true_folders if folder.name not in by_name]
    if missing:
        raise InputError(
            f"--results {results}: lacks {len(missing)} of {len(true_folders)} folders that --truth"
            f" has: {_listed(missing)} (there: {_listed(list(by_name))}); name folders alike"
        )

    return [(folder, by_name[folder.name]) for folder in true_folders]


def _need_frames(result: Path, frames: list[str]) -> None:
    """Raise InputError if results lack a mask for any of these frames."""
    # All frames are checked before scoring, so that the message has the complete count.
    missing = [frame for frame in frames if not mask_file(result, frame).is_file()]
    if missing:
        raise InputError(
            f"--results {result}: lacks {len(missing)} of {len(frames)} frames that --truth has:"
            f" {_listed(missing)}; name masks as the true ones are"
        )


def _is_black_and_white(folder: Path) -> bool:
    """Whether the first mask that holds an object has 0 and 255 only, so that 255 is no void."""
    for file in mask_files(folder):
        values = np.unique(read_mask(file))
        # A mask without objects does not show which values objects have.
        if values.any():
            return bool(np.isin(values, (0, VOID)).all())

    return False


def _counted(sequences: list[VideoSequence], skip_ends: bool) -> str:
    """A line on how many frames count."""
    count = sum(len(sequence.frame_names) for sequence in sequences)
    if skip_ends:
        return (
            f"{count} frames have a true mask;"
            " all count but the first and the last of each sequence"
        )

    return (
        f"all {count} frames that have a true mask count;"
        " --skip-ends leaves out a first mask that was given"
    )


def _merged(names: list[str]) -> list[str]:
    """A line on the sequences whose objects are merged; none if there are no such sequences."""
    if not names:
        return []
    return [f"{_listed(names)}: masks are black and white, so all objects are one"]


def _listed(names: list[str]) -> str:
    """The first few names, separated by commas."""
    listed = ", ".join(names[:NAMED])
    return f"{listed}, ..." if len(names) > NAMED else listed
