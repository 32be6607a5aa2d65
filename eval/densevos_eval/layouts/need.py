"""What every layout checks first."""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.sources.images import image_files


def need_folder(folder: Path, cure: str) -> None:
    """Raise InputError with the cure unless the folder is there."""
    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {cure}")


def need_file(file: Path, cure: str) -> None:
    """Raise InputError with the cure unless the file is there."""
    if not file.is_file():
        raise InputError(f"{file}: file is missing; {cure}")


def need_frames(folder: Path, cure: str) -> tuple[str, ...]:
    """Names (stems) of the images in the folder; InputError with the cure unless there are any."""
    need_folder(folder, cure)
    names = tuple(file.stem for file in image_files(folder))
    if not names:
        raise InputError(f"{folder}: folder holds no images; {cure}")
    return names


def need_every_frame(images: Path, names: tuple[str, ...], wanted: Iterable[str], cure: str) -> None:
    """Raise InputError with the cure for the first name in `wanted` that is none of the frames `names` of `images`."""
    there = set(names)
    for name in wanted:
        if name not in there:
            suffix = image_files(images)[0].suffix
            raise InputError(f"{images / name}{suffix}: frame is missing, though it is asked for; {cure}")


def need_consecutive(images: Path, names: tuple[str, ...], cure: str) -> None:
    """Raise InputError with the cure if the numbers that frames are called by leave one out."""
    if all(name.isdecimal() for name in names):
        numbers = range(int(names[0]), int(names[-1]) + 1)
        need_every_frame(images, names, (f"{number:0{len(names[0])}d}" for number in numbers), cure)


def mask_files(folder: Path) -> list[Path]:
    """The PNG files directly inside the folder, sorted by name."""
    return [file for file in image_files(folder) if file.suffix == ".png"]
