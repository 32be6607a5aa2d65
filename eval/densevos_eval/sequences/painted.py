"""Masks of one video as paint programs save them: indexed, black and white, or one flat colour for
each object.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, VOID
from densevos_eval.sequences.flat_colours import (
    ALIKE,
    CODE,
    FIX,
    WHITE,
    MaskPicture,
    distances,
    read_picture,
)
from densevos_eval.sequences.mask_report import colour_text, inverted_lines, rounded_lines

DAVIS = {int(code): id for id, code in enumerate(PALETTE.astype(np.int32) @ CODE)}
SIMILAR = 100  # Distance of RGB below which somebody may have meant one colour.


@dataclass(frozen=True, kw_only=True)
class PaintedMasks:
    """Masks of one video.

    ids: a mask [H,W] uint8 for each picture, in their order; 0 is background.
    notes: which colour is which object, and what was rounded, a line each.
    warnings: what may not be meant, a line each.
    """

    ids: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(kw_only=True)
class _Objects:
    """The objects so far: which colour is which, and what there is to say of them."""

    by_colour: dict[int, int] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def nearest(self, colour: int) -> tuple[int, float]:
        """The known colour next to this one, and its distance; infinite where none is known."""
        if not self.by_colour:
            return 0, np.inf

        known = np.array(list(self.by_colour))
        apart = distances(np.array([colour]), known)[0]
        return int(known[apart.argmin()]), float(apart.min())


def read_painted(paths: Iterable[Path | str]) -> PaintedMasks:
    """Read the masks of one video, in the order of their frames, so that a colour is the same
    object in all of them.

    An indexed or grey picture holds ids already, but one in black and white (its edges may be
    smooth) is object 1. In colours, black and transparent are background; every other flat colour
    is an object: the known one of that colour or of a colour near it, else a new one, with the id
    that the DAVIS palette gives it if that knows all of the picture, else numbered in order of
    appearance. Pixels of soft edges count as the nearest colour. A cut-out photograph on
    transparent ground is object 1. Ids above 255 are numbered from 1 on, which a warning says.

    Raises:
        InputError: A file cannot be read, or is a photograph.

    >>> masks = read_painted(["first.png", "00120.png"])  # doctest: +SKIP
    >>> print(*masks.notes, *masks.warnings, sep="\\n")  # doctest: +SKIP
    first.png: red (255, 0, 0) is object 1, 5,123 pixels
    """
    files = [Path(path) for path in paths]
    pictures = [read_picture(file) for file in files]
    objects = _Objects()
    values = _instances_numbered(files, [picture.values for picture in pictures], objects)

    masks: list[np.ndarray] = []
    for file, picture, mask in zip(files, pictures, values, strict=True):
        is_first = not masks
        if mask.dtype == np.int32:
            mask = _of_colours(file, mask, objects, is_first=is_first)
        elif picture.is_black_and_white:
            mask = _of_white(file, mask, objects, is_first=is_first)
        else:
            _take_ids(file, mask, picture, objects, is_first=is_first)

        masks.append(mask)

    return PaintedMasks(
        ids=tuple(masks),
        notes=(*objects.notes, *rounded_lines(files, pictures)),
        warnings=(*objects.warnings, *inverted_lines(files, masks)),
    )


@dataclass(frozen=True, kw_only=True)
class PaintedReader:
    """An `AnnotationReader` of masks in colours, which are the same objects in all masks of a
    video.

    colours: each colour 0xRRGGBB and its object. Pixels have the nearest of these, or are
    background.
    """

    colours: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, files: Iterable[Path]) -> "PaintedReader":
        """The reader of these masks, numbered as `read_painted` does; they are read one at a
        time.
        """
        objects = _Objects()
        for file in files:
            values = read_picture(file).values
            if values.dtype == np.int32:
                _of_colours(file, values, objects, is_first=False)

        return cls(colours=tuple(objects.by_colour.items()))

    def __call__(self, file: Path) -> np.ndarray:
        values = read_picture(file).values
        if values.dtype == np.int32:
            codes, ids = np.array([(0, 0), *self.colours]).T
            present = np.unique(values)
            nearest = ids[distances(present, codes).argmin(1)].astype(np.uint8)
            return nearest[np.searchsorted(present, values)]

        if values.dtype != np.uint8:
            raise InputError(f"{file}: mask has ids above {VOID}; number the objects from 1 on")

        return values

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


def _of_colours(
    file: Path, colours: np.ndarray, objects: _Objects, *, is_first: bool
) -> np.ndarray:
    """The ids [H,W] uint8 of colours 0xRRGGBB [H,W]; new objects join the others."""
    present = _in_order(colours)
    nearest = {colour: objects.nearest(colour) for colour in present}
    new = [colour for colour, (_, apart) in nearest.items() if apart >= ALIKE]
    numbers = _new_ids(new, objects.ids)
    if max(numbers.values(), default=0) > VOID:
        raise InputError(f"{file}: with this mask there are more than {VOID} colours; {FIX}")

    mask = np.zeros(colours.shape, np.uint8)
    for colour in present:
        other, apart = nearest[colour]
        is_colour = colours == colour
        if apart < ALIKE:
            id = objects.by_colour[other]
            if apart > 0:
                objects.notes.append(
                    f"{file}: colour {colour_text(colour)} counts as {colour_text(other)}, object {id}"
                )
        else:
            id = numbers[colour]
            near = (
                (other, objects.by_colour[other])
                if apart < SIMILAR and colour not in DAVIS
                else None
            )
            _join(
                file,
                colour_text(colour),
                id,
                int(is_colour.sum()),
                objects,
                is_first=is_first,
                near=near,
            )

        mask[is_colour] = id

    for colour, id in numbers.items():
        objects.by_colour[colour] = id

    return mask


def _new_ids(colours: Sequence[int], taken: set[int]) -> dict[int, int]:
    """Ids of new colours: those of the DAVIS palette if it knows all of them and they are free,
    else the next ones.
    """
    if all(colour in DAVIS and DAVIS[colour] not in taken for colour in colours):
        return {colour: DAVIS[colour] for colour in colours}

    return {colour: id for id, colour in enumerate(colours, start=max(taken, default=0) + 1)}


def _of_white(file: Path, mask: np.ndarray, objects: _Objects, *, is_first: bool) -> np.ndarray:
    """The ids [H,W] uint8 of a mask in black and white: the object that is white, the only one
    known, or object 1.
    """
    if WHITE in objects.by_colour:
        return mask * np.uint8(objects.by_colour[WHITE])
    if not objects.ids:
        _join(file, "white", 1, int(mask.sum()), objects, is_first=is_first)
        objects.by_colour[WHITE] = 1
        return mask

    id = next(iter(objects.ids)) if len(objects.ids) == 1 else 1
    line = f"{file}: is black and white, and counts as object {id}"
    if len(objects.ids) > 1:
        objects.warnings.append(
            f"{line}; paint it in the colour of another object if that is meant"
        )
    else:
        objects.notes.append(line)

    objects.ids.add(id)
    return mask * np.uint8(id)


def _take_ids(
    file: Path, mask: np.ndarray, picture: MaskPicture, objects: _Objects, *, is_first: bool
) -> None:
    """Let the ids of a mask join the others, with the colours that an indexed picture shows them
    in.
    """
    for id, count in zip(*np.unique(mask[mask > 0], return_counts=True), strict=True):
        colour = picture.colours.get(int(id))
        other, apart = objects.nearest(colour) if colour is not None else (0, np.inf)
        if apart < ALIKE and objects.by_colour[other] != id:
            before = f"object {objects.by_colour[other]} had this colour before"
            objects.warnings.append(
                f"{file}: {colour_text(colour or 0)} is number {id} of its palette, but {before}; numbers count, so"
                " save it in RGB if colours should"
            )

        if id not in objects.ids:
            what = f"number {id}" if colour is None else f"number {id}, {colour_text(colour)},"
            _join(file, what, int(id), int(count), objects, is_first=is_first)

        # Some palettes have a grey or nearly black for small numbers: these say nothing.
        if (
            colour is not None
            and apart >= ALIKE
            and distances(np.array([colour]), np.zeros(1, int))[0, 0] >= ALIKE
        ):
            objects.by_colour[colour] = int(id)


def _join(
    file: Path,
    what: str,
    id: int,
    pixels: int,
    objects: _Objects,
    *,
    is_first: bool,
    near: tuple[int, int] | None = None,
) -> None:
    """Add a new object; one of a later mask may be a mistake. near: a known colour and its
    object.
    """
    objects.ids.add(id)
    if is_first:
        objects.notes.append(f"{file}: {what} is object {id}, {pixels:,} pixels")
        return

    hint = ""
    if near:
        hint = f"; it is near {colour_text(near[0])} of object {near[1]}: paint both alike if they are one object"

    objects.warnings.append(
        f"{file}: {what} is new and becomes object {id}, {pixels:,} pixels{hint}"
    )


def _instances_numbered(
    files: list[Path], masks: list[np.ndarray], objects: _Objects
) -> list[np.ndarray]:
    """The masks [H,W]; where ids are above 255 those of all masks are numbered from 1 on, alike in
    all of them.
    """
    wide = [file for file, mask in zip(files, masks, strict=True) if mask.dtype == np.int64]
    if not wide:
        return masks

    ids = np.unique(np.concatenate([np.unique(mask) for mask in masks if mask.dtype != np.int32]))
    ids = ids[ids > 0]
    if len(ids) > VOID:
        raise InputError(
            f"{wide[0]}: mask has {len(ids)} ids up to {ids[-1]}, and masks hold 255; if they are not objects, it was"
            " resized with interpolation: make it again with nearest neighbour"
        )

    names = ", ".join(map(str, ids.tolist()))
    numbers = ", ".join(map(str, range(1, len(ids) + 1)))
    objects.warnings.append(
        f"{wide[0]}: masks hold ids up to 255, so {names} are numbered {numbers}"
    )

    return [mask if mask.dtype == np.int32 else _numbers(mask, ids) for mask in masks]


def _numbers(mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where in the ascending `ids` each value of the mask [H,W] stands, from 1 on, uint8; 0 stays
    0.
    """
    return np.where(mask > 0, np.searchsorted(ids, mask) + 1, 0).astype(np.uint8)


def _in_order(colours: np.ndarray) -> list[int]:
    """The colours other than background, in the order in which rows of pixels show them."""
    present, first = np.unique(colours, return_index=True)
    return [int(present[i]) for i in first.argsort() if present[i]]
