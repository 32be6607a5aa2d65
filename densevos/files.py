"""Files that appear under their final name only when whole."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from densevos.errors import InputError


@contextmanager
def written_whole(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file beside `path`; when the block ends well, flush it to disk and rename it to `path`.

    When the block or the write fails (disk full, say) the temporary file is removed, an older file under
    `path` stays as it was, and the error goes on.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with written_whole(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def new_folder(path: Path, *, overwrite: bool) -> Path:
    """Make the output folder `path`; one that holds files is refused, or emptied with `overwrite`.

    Raises InputError when the folder holds files and `overwrite` is false, or when `path` is a file.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another --out")
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise InputError(f"{path}: output folder exists and is not empty; pass --overwrite or choose another --out")
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    return path
