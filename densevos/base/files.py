"""Write files atomically, and make output folders."""

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
    """Encode a text that may contain file names.

    File names may have any encoding: Python decodes bytes that are not UTF-8 to surrogates, and
    this turns them back into the same bytes.

    Args:
        text: The text.

    Returns:
        Its bytes.
    """
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a file that appears under its name only when it is complete.

    The block writes to a temporary file in the same folder, which is then flushed to disk and
    renamed. If the block or a write fails, the temporary file is removed, and an older file at
    `path` stays unchanged.

    Args:
        path: The file.
        mode: "wb" for bytes, "w" for text in UTF-8.

    Yields:
        The open temporary file.

    Raises:
        OSError: The file cannot be written, for example because the disk is full.
    """
    path = Path(path)
    # Machines that share a folder may have processes with the same number.
    aside = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.part")

    try:
        encoding, errors = (None, None) if "b" in mode else ("utf-8", "surrogateescape")
        with open(aside, mode, encoding=encoding, errors=errors) as file:
            yield file

            # Without fsync, a machine that loses power after the renaming may leave an empty file.
            file.flush()
            os.fsync(file.fileno())

        os.replace(aside, path)
    except BaseException as error:
        # BaseException, since SIGTERM and Ctrl-C must not leave the file either.
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(aside)):
            # An error of a full disk names no file.
            error.filename = str(path)
        raise


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, atomically.

    Args:
        path: The file.
        value: A JSON value.
    """
    with atomic_write(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def new_folder(
    path: Path, *, overwrite: bool, inputs: Sequence[Path] = (), sets: Sequence[Path] = ()
) -> Path:
    """Make an empty output folder.

    Args:
        path: The folder.
        overwrite: Delete the content of the folder; otherwise a folder that holds files is refused.
        inputs: Files and folders that are read, and so must not be deleted.
        sets: Folders of which any part may be read.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds files and `overwrite` is false, `overwrite` would delete one of
            `inputs` or a part of `sets`, or `path` is a file or cannot be made.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another --out")

    if _holds_files(path):
        if not overwrite:
            raise InputError(
                f"{path}: output folder exists and is not empty; "
                "pass --overwrite or choose another --out"
            )

        check_kept(path, inputs=inputs, sets=sets)
        shutil.rmtree(path)

    return made_folder(path)


def check_kept(path: Path, *, inputs: Sequence[Path] = (), sets: Sequence[Path] = ()) -> None:
    """Check that emptying a folder deletes nothing that is read.

    Args:
        path: The folder; it may be missing or empty.
        inputs: Files and folders that are read.
        sets: Folders of which any part may be read.

    Raises:
        InputError: One of `inputs` lies in the folder, or the folder holds files and is a part of
            one of `sets`.
    """
    if not _holds_files(path):
        return

    emptied = Path(path).resolve()
    for source in (*inputs, *sets):
        if Path(source).resolve().is_relative_to(emptied):
            raise InputError(
                f"{path}: --overwrite would delete {source}, which is read; choose another --out"
            )

    for root in sets:
        if emptied.is_relative_to(Path(root).resolve()):
            raise InputError(
                f"{path}: --overwrite would delete a part of {root}, which is read; "
                "choose another --out"
            )


def _holds_files(path: Path) -> bool:
    """Whether a folder is there and holds anything of the user's."""
    # Files that a killed process left incomplete do not count: nobody needs them.
    return path.is_dir() and not all(_is_incomplete(inside) for inside in path.iterdir())


def made_folder(path: Path) -> Path:
    """Make a folder, and its parents, unless it exists.

    Args:
        path: The folder.

    Returns:
        The folder.

    Raises:
        InputError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path}: this folder cannot be made ({reason}); choose another --out"
        ) from error

    return path


def _is_incomplete(path: Path) -> bool:
    """Whether a file is a temporary one that a killed process left of `atomic_write`."""
    return path.name.startswith(".") and path.name.endswith(".part")
