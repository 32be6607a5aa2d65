"""Masks for a benchmark's server: checked, then packed the way it wants them."""

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

DATE = (1980, 1, 1, 0, 0, 0)  # the same masks make the same zip


def submit(
    sequences: list[VideoSequence],
    masks: Mapping[str, Path],
    protocol: Protocol,
    out: Path,
    *,
    overwrite: bool = False,
) -> int:
    """Pack the masks FOLDER/SEQUENCE/FRAME.png that the server asks for into the zip or folder
    `out`.

    masks: name of each sequence -> FOLDER; see folders.located.

    `out` is a zip when its name ends so. It appears only when whole, and nothing is written before
    every mask is checked. What else lies in the folders is not packed. Returns the number of masks.

    Raises InputError when the benchmark or the split has no server or `out` cannot be written, and
    for the first mask that is missing, unreadable, in colours or grey instead of indexed, of
    another size than its frames, or holds an id that was never given.
    """
    served = ", ".join(name for name, other in PROTOCOLS.items() if other.submission)
    if protocol.submission is None or all(sequence.truth for sequence in sequences):
        raise InputError(
            f"--dataset {protocol.name}: has no server to submit to, for these annotations are public; score the masks"
            f" with densevos-eval score, or choose one of {served}"
        )

    _check_out(out, [*masks.values(), *(sequence.source for sequence in sequences)], overwrite)
    files: dict[str, Path] = {}
    for sequence in sequences:
        for frame, file in _checked(sequence, masks[sequence.name]).items():
            files[protocol.submission.format(sequence=sequence.name, frame=frame)] = file

    made_folder(out.parent)
    (_write_zip if out.suffix == ".zip" else _write_folder)(out, files)
    return len(files)


def _check_out(out: Path, inputs: list[Path], overwrite: bool) -> None:
    """Raise InputError when `out` is there and may not be replaced, or holds what is read."""
    if out.is_dir() == (out.suffix == ".zip") and out.exists():
        raise InputError(
            f"{out}: is a {'folder, not a zip' if out.is_dir() else 'file, not a folder'}; rename --out"
        )

    for path in inputs:
        if path.resolve().is_relative_to(out.resolve()):
            raise InputError(f"{out}: holds {path}, which is read; choose another --out")

    if out.exists() and not overwrite and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out}: exists; pass --overwrite or choose another --out")


def _checked(sequence: VideoSequence, results: Path) -> dict[str, Path]:
    """The mask files of one sequence by frame name; see submit for the errors."""
    given = read_given(sequence)
    if not given:
        raise InputError(
            f"{sequence.source}: no mask is given, so the ids of its objects are not known"
        )

    ids = np.unique(np.concatenate([np.unique(mask) for mask in given.values()]))
    height, width = next(iter(given.values())).shape
    files = {frame: mask_file(results / sequence.name, frame) for frame in sequence.written}

    for file in files.values():
        if not file.is_file():
            raise InputError(
                f"{file}: mask is missing; the server wants {len(files)} of {sequence.name}"
            )

        mask = read_mask(file)
        if mask.shape != (height, width):
            raise InputError(
                f"{file}: mask is {mask.shape[1]}x{mask.shape[0]} but its frame is {width}x{height};"
                " write masks at the size of the frames"
            )

        if not _has_palette(file):
            raise InputError(
                f"{file}: has no palette; save it as an indexed PNG with the palette of the given masks"
            )

        strays = np.setdiff1d(mask, ids)
        if len(strays):
            known = ", ".join(str(i) for i in ids if i)
            raise InputError(
                f"{file}: mask holds id {strays[0]}, but the given masks of {sequence.name} hold {known}"
            )

    return files


def _has_palette(file: Path) -> bool:
    with Image.open(file) as image:
        return image.mode == "P"


def _write_zip(out: Path, files: dict[str, Path]) -> None:
    with (
        atomic_write(out) as stream,
        zipfile.ZipFile(stream, "w") as archive,
    ):  # stored: PNGs are compressed
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def _write_folder(out: Path, files: dict[str, Path]) -> None:
    aside = new_folder(out.with_name(f".{out.name}.{os.getpid()}.part"), overwrite=True)
    try:
        for name, file in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, aside / name)

        new_folder(out, overwrite=True).rmdir()
        os.replace(aside, out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
