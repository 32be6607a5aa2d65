"""Files that appear under their final name only when whole."""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from densevos.base.errors import InputError


def name_bytes(text: str) -> bytes:
    """The bytes of a text with names of files in it, which may be of any encoding: Python escapes
    what is no UTF-8.
    """
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file beside `path`; when the block ends well, flush it to disk and rename it to
    `path`.

    When the block or the write fails (disk full, say) the temporary file is removed, an older file
    under `path` stays as it was, and the error goes on.
    """
    path = Path(path)
    # Machines that share a folder may have processes of the same number.
    aside = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.part")

    try:
        encoding, errors = (None, None) if "b" in mode else ("utf-8", "surrogateescape")
        with open(aside, mode, encoding=encoding, errors=errors) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

        os.replace(aside, path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(aside)):
            error.filename = str(path)  # A full disk names no file by itself.
        raise


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_write(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def new_folder(path: Path, *, overwrite: bool, inputs: Sequence[Path] = ()) -> Path:
    """Make the output folder `path`; one that holds files is refused, or emptied with `overwrite`.

    Raises InputError when the folder holds files and `overwrite` is false, when emptying it would
    delete one of `inputs`, or when `path` is a file or cannot be made.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another --out")
    if path.is_dir() and not all(_half_written(inside) for inside in path.iterdir()):
        if not overwrite:
            raise InputError(
                f"{path}: output folder exists and is not empty; pass --overwrite or choose another --out"
            )

        for source in inputs:
            if Path(source).resolve().is_relative_to(path.resolve()):
                raise InputError(
                    f"{path}: --overwrite would delete {source}, which is read; choose another --out"
                )

        shutil.rmtree(path)

    return made_folder(path)


def made_folder(path: Path) -> Path:
    """Make the folder `path` unless it is there; InputError when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path}: this folder cannot be made ({reason}); choose another --out"
        ) from error

    return path


def _half_written(path: Path) -> bool:
    """Whether `path` is what a killed process left of `atomic_write`."""
    return path.name.startswith(".") and path.name.endswith(".part")
