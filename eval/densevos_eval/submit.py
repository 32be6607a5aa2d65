"""Check masks for a benchmark's server, and pack them in the layout that it accepts."""

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, made_folder, new_folder
from densevos.base.masks import read_mask
from densevos.base.names import mask_file
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.sequences.sequence import VideoSequence, read_given

# The date of all files in a zip: the same masks always make the same zip.
DATE = (1980, 1, 1, 0, 0, 0)


def submit(
    sequences: list[VideoSequence],
    masks: Mapping[str, Path],
    protocol: Protocol,
    out: Path,
    *,
    overwrite: bool = False,
) -> int:
    """Pack the masks FOLDER/SEQUENCE/FRAME.png that the server asks for into a zip or a folder.

    Nothing is written before every mask has been checked, and `out` appears when it is complete.
    Other files in the folders are not packed.

    Args:
        sequences: The sequences of the split.
        masks: Name of each sequence -> FOLDER; see `folders.located`.
        protocol: The benchmark's protocol.
        out: A zip if the name ends in .zip, and otherwise a folder.
        overwrite: Whether to replace `out` if it exists.

    Returns:
        The number of masks.

    Raises:
        InputError: The benchmark or the split has no server, `out` cannot be written, or a mask is
            missing, unreadable, not an indexed PNG, of another size than its frame, or contains an
            id that no given mask has.
    """
    served = ", ".join(name for name, other in PROTOCOLS.items() if other.submission)
    if protocol.submission is None or all(sequence.truth for sequence in sequences):
        raise InputError(
            f"--dataset {protocol.name}: has no server to submit to, for these annotations are"
            f" public; score the masks with densevos-eval score, or choose one of {served}"
        )

    # Neither the masks nor the frames may lie in what is replaced.
    inputs = [*masks.values()]
    inputs += [sequence.source for sequence in sequences]
    _check_out(out, inputs, overwrite)

    # Name in the submission -> file.
    files: dict[str, Path] = {}
    for sequence in sequences:
        for frame, file in _checked(sequence, masks[sequence.name]).items():
            files[protocol.submission.format(sequence=sequence.name, frame=frame)] = file

    made_folder(out.parent)
    if out.suffix == ".zip":
        _write_zip(out, files)
    else:
        _write_folder(out, files)

    return len(files)


def _check_out(out: Path, inputs: list[Path], overwrite: bool) -> None:
    """Raise InputError if `out` exists and must not be replaced, or contains an input."""
    # The suffix decides the kind, so what exists must be of the same kind.
    if out.exists() and out.is_dir() == (out.suffix == ".zip"):
        problem = "folder, not a zip" if out.is_dir() else "file, not a folder"
        raise InputError(f"{out}: is a {problem}; rename --out")

    for path in inputs:
        if path.resolve().is_relative_to(out.resolve()):
            raise InputError(f"{out}: holds {path}, which is read; choose another --out")

    if out.exists() and not overwrite and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out}: exists; pass --overwrite or choose another --out")


def _checked(sequence: VideoSequence, results: Path) -> dict[str, Path]:
    """Name of each frame -> mask file of one sequence; see `submit` for the errors."""
    given = read_given(sequence)
    if not given:
        raise InputError(
            f"{sequence.source}: no mask is given, so the ids of its objects are not known"
        )

    # Only ids of given masks, and the background among them, are allowed in a submission.
    given_ids = [np.unique(mask) for mask in given.values()]
    ids = np.unique(np.concatenate(given_ids))
    height, width = next(iter(given.values())).shape
    files = {frame: mask_file(results / sequence.name, frame) for frame in sequence.written}

    # One bad mask refuses the whole submission, before anything is written.
    for file in files.values():
        if not file.is_file():
            raise InputError(
                f"{file}: mask is missing; the server wants {len(files)} of {sequence.name}"
            )

        mask = read_mask(file)
        if mask.shape != (height, width):
            raise InputError(
                f"{file}: mask is {mask.shape[1]}x{mask.shape[0]} but its frame is"
                f" {width}x{height}; write masks at the size of the frames"
            )

        # Servers read the indices of the palette, not colours.
        if not _has_palette(file):
            raise InputError(
                f"{file}: has no palette;"
                " save it as an indexed PNG with the palette of the given masks"
            )

        strays = np.setdiff1d(mask, ids)
        if len(strays):
            known = ", ".join(str(id) for id in ids if id)
            raise InputError(
                f"{file}: mask holds id {strays[0]},"
                f" but the given masks of {sequence.name} hold {known}"
            )

    return files


def _has_palette(file: Path) -> bool:
    with Image.open(file) as image:
        return image.mode == "P"


def _write_zip(out: Path, files: dict[str, Path]) -> None:
    """Write a zip of the files, by their names in it."""
    # Stored, not compressed: PNGs are compressed already.
    with atomic_write(out) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16  # permissions of Unix: everybody may read it
            archive.writestr(entry, file.read_bytes())


def _write_folder(out: Path, files: dict[str, Path]) -> None:
    """Write a folder of copies of the files, by their names in it."""
    # Copied beside `out`, so that the rename stays within one file system.
    aside = new_folder(out.with_name(f".{out.name}.{os.getpid()}.part"), overwrite=True)
    try:
        for name, file in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, aside / name)

        # Only an empty folder can be replaced by a rename.
        new_folder(out, overwrite=True).rmdir()
        os.replace(aside, out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
