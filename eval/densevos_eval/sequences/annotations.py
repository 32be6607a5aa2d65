"""How annotations of a benchmark are stored: as ids, as colours, or as one black-and-white picture
per object.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, open_mask, read_mask
from densevos.data.segmentation.sets.fbms import read_colours

WHITE = 128  # Grey values from here on are the object; some pictures have grey edges.


class AnnotationReader(Protocol):
    """Reads one annotation as ids. Worker processes receive it, so it is an object of an importable
    class.
    """

    def __call__(self, file: Path) -> np.ndarray:
        """Ids [H,W] uint8, 0 for the background; InputError for a file that is missing or no such
        annotation.
        """
        ...

    def files(self, file: Path) -> tuple[Path, ...]:
        """All files that the annotation is read from."""
        ...


@dataclass(frozen=True, kw_only=True)
class IdReader:
    """The usual annotation: an indexed PNG whose pixel values are ids.

    void: Whether 255 keeps its value, as an id or as void, instead of becoming background.
    """

    void: bool = True

    def __call__(self, file: Path) -> np.ndarray:
        ids = read_mask(file)
        return ids if self.void else np.where(ids == VOID, 0, ids)

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


@dataclass(frozen=True, kw_only=True)
class ColourReader:
    """Pictures in which every object has a colour.

    colours: Value of each id, starting with the background: R*65536 + G*256 + B, or a grey value.
        Pixels of other colours are background.
    beside: Suffix of a picture of the same name that belongs to the annotation, such as `.pgm`.
    """

    colours: tuple[int, ...]
    beside: str = ""

    def __call__(self, file: Path) -> np.ndarray:
        values = read_colours(file)
        ids = np.zeros(values.shape, np.uint8)
        for id, colour in enumerate(self.colours):
            ids[values == colour] = id

        return ids

    def files(self, file: Path) -> tuple[Path, ...]:
        companion = file.with_suffix(self.beside) if self.beside else file
        return (file,) if companion == file else (file, companion)


@dataclass(frozen=True, kw_only=True)
class LayerReader:
    """One black-and-white picture per object: FOLDER/1/NAME.png, FOLDER/2/NAME.png, ...

    The annotation goes by the path of its first picture.

    folders: Name of the folder of each object, in the order of ids; later objects cover earlier
    ones. suffixes: Suffix of the pictures in each of these folders.
    """

    folders: tuple[str, ...]
    suffixes: tuple[str, ...]

    def __call__(self, file: Path) -> np.ndarray:
        ids = np.zeros((0, 0), np.uint8)
        for id, layer in enumerate(self.files(file), start=1):
            inside = read_white(layer)
            if id == 1:
                ids = np.zeros(inside.shape, np.uint8)
            if inside.shape != ids.shape:
                raise InputError(
                    f"{layer}: has another size than {file}; get the benchmark's files again"
                )

            ids[inside] = id

        return ids

    def files(self, file: Path) -> tuple[Path, ...]:
        above = file.parent.parent
        pairs = zip(self.folders, self.suffixes, strict=True)
        return tuple(above / folder / f"{file.stem}{suffix}" for folder, suffix in pairs)


@dataclass(frozen=True, kw_only=True)
class WhiteReader:
    """One black-and-white picture, whose white part is object 1."""

    def __call__(self, file: Path) -> np.ndarray:
        return read_white(file).astype(np.uint8)

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


def read_white(file: Path) -> np.ndarray:
    """The white part [H,W] bool of a black-and-white picture; InputError when it cannot be read."""
    return np.asarray(open_mask(file).convert("L")) >= WHITE
