"""Reads annotations of benchmarks, stored as ids, as colours, or as one image per object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, open_mask, read_mask
from densevos.data.segmentation.sets.fbms import read_colours

WHITE = 128  # Grey values from 128 on are the object; some images have grey edges.


class AnnotationReader(Protocol):
    """Reads one annotation as ids.

    Readers are sent to worker processes, so they are instances of importable classes.
    """

    def __call__(self, file: Path) -> np.ndarray:
        """Read an annotation.

        Args:
            file: the path that the benchmark lists for the frame.

        Returns:
            Ids [H,W] uint8; 0 is the background.

        Raises:
            InputError: if the file is missing or is not such an annotation.
        """
        ...

    def files(self, file: Path) -> tuple[Path, ...]:
        """All files that the annotation at `file` is read from."""
        ...


@dataclass(frozen=True, kw_only=True)
class IdReader:
    """The usual annotation: an indexed PNG whose pixel values are ids.

    void: whether 255 keeps its value, as an id or as void. Otherwise it becomes background.
    """

    void: bool = True

    def __call__(self, file: Path) -> np.ndarray:
        ids = read_mask(file)
        if self.void:
            return ids

        # Some benchmarks store 255 but score it as background.
        return np.where(ids == VOID, 0, ids)

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


@dataclass(frozen=True, kw_only=True)
class ColourReader:
    """Images in which every object has a colour.

    colours: value of each id, starting with the background: R*65536 + G*256 + B, or a grey value.
        Pixels of other colours are background.
    beside: suffix of a second image of the same name that belongs to the annotation, such as
        `.pgm`.
    """

    colours: tuple[int, ...]
    beside: str = ""

    def __call__(self, file: Path) -> np.ndarray:
        # Colours that are not listed stay 0, the background.
        values = read_colours(file)
        ids = np.zeros(values.shape, np.uint8)
        # The first colour is the background, so positions in the list are ids.
        for id, colour in enumerate(self.colours):
            ids[values == colour] = id

        return ids

    def files(self, file: Path) -> tuple[Path, ...]:
        if not self.beside:
            return (file,)

        # The annotation itself may have that suffix.
        companion = file.with_suffix(self.beside)
        return (file,) if companion == file else (file, companion)


@dataclass(frozen=True, kw_only=True)
class LayerReader:
    """One black-and-white image per object: FOLDER/1/NAME.png, FOLDER/2/NAME.png, ...

    The path of the first image stands for the annotation.

    folders: name of the folder of each object, in the order of ids. Later objects cover earlier
        ones.
    suffixes: suffix of the images in each of these folders.
    """

    folders: tuple[str, ...]
    suffixes: tuple[str, ...]

    def __call__(self, file: Path) -> np.ndarray:
        ids = np.zeros((0, 0), np.uint8)  # Replaced as soon as the size is known.
        for id, layer in enumerate(self.files(file), start=1):
            inside = read_white(layer)
            if id == 1:
                ids = np.zeros(inside.shape, np.uint8)
            if inside.shape != ids.shape:
                raise InputError(
                    f"{layer}: has another size than {file}; get the benchmark's files again"
                )

            # Layers may overlap; a later one wins.
            ids[inside] = id

        return ids

    def files(self, file: Path) -> tuple[Path, ...]:
        # The listed path lies in the folder of the first object, beside those of the others.
        above = file.parent.parent
        pairs = zip(self.folders, self.suffixes, strict=True)
        return tuple(above / folder / f"{file.stem}{suffix}" for folder, suffix in pairs)


@dataclass(frozen=True, kw_only=True)
class WhiteReader:
    """One black-and-white image, whose white part is object 1."""

    def __call__(self, file: Path) -> np.ndarray:
        # True becomes id 1.
        return read_white(file).astype(np.uint8)

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


def read_white(file: Path) -> np.ndarray:
    """Read the white part [H,W] bool of a black-and-white image.

    Raises:
        InputError: if the image cannot be read.
    """
    # Grey values are compared, so that an image in RGB is read like one in grey.
    return np.asarray(open_mask(file).convert("L")) >= WHITE
