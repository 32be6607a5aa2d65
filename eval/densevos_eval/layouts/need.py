"""What every layout checks first."""

from pathlib import Path

from densevos.errors import InputError


def need_folder(folder: Path, cure: str) -> None:
    """Raise InputError with the cure unless the folder is there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {cure}")


def need_file(file: Path, cure: str) -> None:
    """Raise InputError with the cure unless the file is there."""
    if not file.is_file():
        raise InputError(f"{file}: file is missing; {cure}")
