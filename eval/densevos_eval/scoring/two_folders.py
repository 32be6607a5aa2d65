"""Two folders of masks as what to score: true masks in one, results in the other, and nothing else
arranged.
"""

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
from densevos_eval.sequences.annotations import IdReader
from densevos_eval.sequences.painted import PaintedReader
from densevos_eval.sequences.sequence import VideoSequence

NAMED = 5  # Frames that a message names.


@dataclass(frozen=True, kw_only=True)
class TwoFolders:
    """What two folders hold.

    sequences: One for each folder of true masks.
    places: The folder that holds the folder of results of each sequence, by the sequence's name.
    protocol: The rules: those of a folder of one's own.
    notes: What the user should know, a line each.
    """

    sequences: list[VideoSequence]
    places: Mapping[str, Path]
    protocol: Protocol
    notes: tuple[str, ...]


def two_folders(truth: Path, results: Path, *, skip_ends: bool = False) -> TwoFolders:
    """Masks TRUTH/SEQUENCE/FRAME.png and RESULTS/SEQUENCE/FRAME.png, or FRAME.png right in either
    folder.

    All frames that have a true mask count. True masks may be painted in colours, which are numbered
    as those of given masks are. A folder that holds masks is one sequence; it belongs to the masks
    in the other folder, or to its only folder of masks.

    Args:
        truth: Folder of true masks.
        results: Folder of the masks to score; it may hold more frames.
        skip_ends: The first and the last true mask of each sequence do not count.

    Raises:
        InputError: One of the folders is missing or holds no masks, or results lack frames.
    """
    true_folders, result_folders = (
        _mask_folders("--truth", truth),
        _mask_folders("--results", results),
    )

    if len(true_folders) == 1 and len(result_folders) == 1:
        pairs = [(true_folders[0], result_folders[0])]
    else:
        pairs = _by_name(true_folders, results, result_folders)

    sequences, places, merged = [], {}, []
    for true, result in pairs:
        # Results lie in a folder of the sequence's name.
        name = result.resolve().name
        frames = masks_by_frame(true)
        _need_frames(result, list(frames))
        in_colours = open_mask(next(iter(frames.values()))).mode in ("RGB", "RGBA")
        is_one_object = _is_black_and_white(result) or (
            not in_colours and _is_black_and_white(true)
        )
        if is_one_object:
            merged.append(name)

        sequences.append(
            VideoSequence(
                name=name,
                source=true,
                frame_names=tuple(frames),
                truth=tuple(frames.values()),
                merge_objects=is_one_object,
                reader=PaintedReader.of(frames.values()) if in_colours else IdReader(),
            )
        )
        places[name] = result.resolve().parent

    protocol = replace(FOLDER, name=truth.resolve().name, skipped=(1, 1) if skip_ends else (0, 0))
    return TwoFolders(
        sequences=sequences,
        places=places,
        protocol=protocol,
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

    found = (
        [folder]
        if mask_files(folder)
        else [one for one in visible_folders(folder) if mask_files(one)]
    )

    if not found:
        raise InputError(
            f"{flag} {folder}: holds no masks; they are FRAME.png, or SEQUENCE/FRAME.png"
        )

    return found


def _by_name(
    true_folders: list[Path], results: Path, result_folders: list[Path]
) -> list[tuple[Path, Path]]:
    """Each folder of true masks with the folder of results of the same name."""
    there = {folder.name: folder for folder in result_folders}
    missing = [folder.name for folder in true_folders if folder.name not in there]
    if missing:
        raise InputError(
            f"--results {results}: lacks {len(missing)} of {len(true_folders)} folders that --truth has:"
            f" {_listed(missing)} (there: {_listed(list(there))}); name folders alike"
        )

    return [(folder, there[folder.name]) for folder in true_folders]


def _need_frames(result: Path, frames: list[str]) -> None:
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
        if values.any():
            return bool(np.isin(values, (0, VOID)).all())

    return False


def _counted(sequences: list[VideoSequence], skip_ends: bool) -> str:
    count = sum(len(sequence.frame_names) for sequence in sequences)
    if skip_ends:
        return f"{count} frames have a true mask; all count but the first and the last of each sequence"
    return f"all {count} frames that have a true mask count; --skip-ends leaves out a first mask that was given"


def _merged(names: list[str]) -> list[str]:
    if not names:
        return []
    return [f"{_listed(names)}: masks are black and white, so all objects are one"]


def _listed(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
