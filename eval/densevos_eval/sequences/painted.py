"""Reads painted masks of one video: indexed, black and white, or one flat colour per object."""

# Shapes: H x W pixels of a mask.

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
"""Colour 0xRRGGBB of the DAVIS palette -> id."""

SIMILAR = 100  # Distance in RGB below which two colours may have been meant as one.


@dataclass(frozen=True, kw_only=True)
class PaintedMasks:
    """The masks of one video.

    ids: a mask [H,W] uint8 for each file, in their order; 0 is background.
    notes: which colour is which object, and which colours were rounded, a line each.
    warnings: what the painter may not have meant, a line each.
    """

    ids: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(kw_only=True)
class _Objects:
    """The objects of the masks read so far.

    by_colour: colour 0xRRGGBB -> id.
    ids: all ids, also those of objects without a colour.
    notes, warnings: as in PaintedMasks.
    """

    by_colour: dict[int, int] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def nearest(self, colour: int) -> tuple[int, float]:
        """The object colour nearest to `colour`, and its distance; infinite without objects."""
        if not self.by_colour:
            return 0, np.inf

        colours = np.array(list(self.by_colour))
        apart = distances(np.array([colour]), colours)[0]
        return int(colours[apart.argmin()]), float(apart.min())


def read_painted(paths: Iterable[Path | str]) -> PaintedMasks:
    """Read the masks of one video, so that a colour is the same object in all of them.

    * Indexed and grey images hold ids.
    * A black-and-white image, whose edges may be smooth, holds one object.
    * In colour images, black and transparent pixels are background, and every other flat colour is
      an object. A colour equal or near to one seen before is that object. New colours get the ids
      of the DAVIS palette if it has all new colours of the image, and otherwise the next free ids.
    * Pixels of soft edges count as the nearest colour.
    * A cut-out photograph on transparent ground is object 1.
    * If there are ids above 255, all ids are renumbered from 1 on, with a warning.

    Args:
        paths: the files, in the order of their frames.

    Returns:
        The masks, with notes and warnings for the user.

    Raises:
        InputError: if a file cannot be read, or is a photograph.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> from densevos_eval import read_masks
    >>> picture = Image.new("RGB", (64, 48), "black")
    >>> picture.paste("red", (10, 10, 30, 30))
    >>> file = Path(mkdtemp()) / "first.png"
    >>> picture.save(file)
    >>> masks = read_masks([file])
    >>> masks.ids[0].shape, int(masks.ids[0].max())
    ((48, 64), 1)
    >>> masks.notes
    ('...first.png: red (255, 0, 0) is object 1, 400 pixels',)
    """
    files = [Path(path) for path in paths]
    # All files are read first, because ids above 255 in one mask renumber all masks.
    pictures = [read_picture(file) for file in files]
    objects = _Objects()
    values = _instances_numbered(files, [picture.values for picture in pictures], objects)

    masks: list[np.ndarray] = []
    for file, picture, mask in zip(files, pictures, values, strict=True):
        # Objects that are missing in the first mask may be mistakes, so they cause warnings.
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
    """An `AnnotationReader` of painted masks: a colour is one object in all masks of a video.

    colours: pairs of colour 0xRRGGBB and id. A pixel belongs to the nearest of these colours or of
        black, which is background.
    """

    colours: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, files: Iterable[Path]) -> "PaintedReader":
        """Make the reader of these masks, with the same ids as `read_painted`.

        Args:
            files: the masks of a video, in the order of their frames.

        Raises:
            InputError: if a mask cannot be read, or is a photograph.
        """
        # One at a time: the masks of a long video do not fit into memory together.
        objects = _Objects()
        for file in files:
            values = read_picture(file).values
            if values.dtype == np.int32:
                _of_colours(file, values, objects, is_first=False)

        return cls(colours=tuple(objects.by_colour.items()))

    def __call__(self, file: Path) -> np.ndarray:
        values = read_picture(file).values
        if values.dtype == np.int32:
            # Black comes first, as id 0.
            codes, ids = np.array([(0, 0), *self.colours]).T
            # Distances are computed once for each colour, not for each pixel.
            present = np.unique(values)
            nearest = ids[distances(present, codes).argmin(1)].astype(np.uint8)
            painted: np.ndarray = nearest[np.searchsorted(present, values)]
            return painted

        if values.dtype != np.uint8:
            raise InputError(f"{file}: mask has ids above {VOID}; number the objects from 1 on")

        return values

    def files(self, file: Path) -> tuple[Path, ...]:
        return (file,)


def _of_colours(
    file: Path, colours: np.ndarray, objects: _Objects, *, is_first: bool
) -> np.ndarray:
    """The ids [H,W] uint8 of colours 0xRRGGBB [H,W]; new objects are added to `objects`."""
    present = _in_order(colours)
    # All colours are compared with earlier masks only: two colours of one mask are two objects.
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
                colours_text = f"{colour_text(colour)} counts as {colour_text(other)}"
                objects.notes.append(f"{file}: colour {colours_text}, object {id}")
        else:
            id = numbers[colour]
            pixels = int(is_colour.sum())
            near = None
            # Colours of the palette are near each other on purpose.
            if apart < SIMILAR and colour not in DAVIS:
                near = (other, objects.by_colour[other])
            _add(file, colour_text(colour), id, pixels, objects, is_first=is_first, near=near)

        mask[is_colour] = id

    for colour, id in numbers.items():
        objects.by_colour[colour] = id

    return mask


def _new_ids(colours: Sequence[int], taken: set[int]) -> dict[int, int]:
    """Ids of new colours: those of the DAVIS palette if it has all of them, else the next ones."""
    # An id of the palette that another object has already rules out the palette.
    if all(colour in DAVIS and DAVIS[colour] not in taken for colour in colours):
        return {colour: DAVIS[colour] for colour in colours}

    return {colour: id for id, colour in enumerate(colours, start=max(taken, default=0) + 1)}


def _of_white(file: Path, mask: np.ndarray, objects: _Objects, *, is_first: bool) -> np.ndarray:
    """The ids [H,W] uint8 of a mask in black and white [H,W] 0 or 1."""
    if WHITE in objects.by_colour:
        return mask * np.uint8(objects.by_colour[WHITE])

    if not objects.ids:
        _add(file, "white", 1, int(mask.sum()), objects, is_first=is_first)
        objects.by_colour[WHITE] = 1
        return mask

    # Earlier masks have other colours. If they hold one object, white must mean that one.
    if len(objects.ids) == 1:
        id = next(iter(objects.ids))
        objects.notes.append(f"{file}: is black and white, and counts as object {id}")
    else:
        id = 1
        objects.warnings.append(
            f"{file}: is black and white, and counts as object {id}; paint it in the colour of"
            " another object if that is meant"
        )

    objects.ids.add(id)
    return mask * np.uint8(id)


def _take_ids(
    file: Path, mask: np.ndarray, picture: MaskPicture, objects: _Objects, *, is_first: bool
) -> None:
    """Add the ids of a mask to `objects`, with the colours of its palette."""
    for id, count in zip(*np.unique(mask[mask > 0], return_counts=True), strict=True):
        colour = picture.colours.get(int(id))
        other, apart = 0, np.inf
        if colour is not None:
            other, apart = objects.nearest(colour)

        if apart < ALIKE and objects.by_colour[other] != id:
            objects.warnings.append(
                f"{file}: {colour_text(colour or 0)} is number {id} of its palette, but object"
                f" {objects.by_colour[other]} had this colour before; numbers count, so save it in"
                " RGB if colours should"
            )

        if id not in objects.ids:
            what = f"number {id}"
            if colour is not None:
                what = f"number {id}, {colour_text(colour)},"
            _add(file, what, int(id), int(count), objects, is_first=is_first)

        if colour is None:
            continue

        # Some palettes have nearly black colours for small numbers. Those identify no object, since
        # black is the background of colour images.
        from_black = distances(np.array([colour]), np.zeros(1, int))[0, 0]
        if apart >= ALIKE and from_black >= ALIKE:
            objects.by_colour[colour] = int(id)


def _add(
    file: Path,
    what: str,
    id: int,
    pixels: int,
    objects: _Objects,
    *,
    is_first: bool,
    near: tuple[int, int] | None = None,
) -> None:
    """Add a new object, with a note, or a warning if it is not in the first mask.

    near: a similar colour of another object, and that object.
    """
    objects.ids.add(id)
    if is_first:
        objects.notes.append(f"{file}: {what} is object {id}, {pixels:,} pixels")
        return

    hint = ""
    if near:
        colour, other = near
        hint = (
            f"; it is near {colour_text(colour)} of object {other}: paint both alike if they are"
            " one object"
        )

    objects.warnings.append(
        f"{file}: {what} is new and becomes object {id}, {pixels:,} pixels{hint}"
    )


def _instances_numbered(
    files: list[Path], masks: list[np.ndarray], objects: _Objects
) -> list[np.ndarray]:
    """The masks [H,W]; if there are ids above 255, all are renumbered from 1 on, in all masks."""
    # read_picture returns int64 only for ids above 255, and int32 for colours.
    wide = [file for file, mask in zip(files, masks, strict=True) if mask.dtype == np.int64]
    if not wide:
        return masks

    ids = np.unique(np.concatenate([np.unique(mask) for mask in masks if mask.dtype != np.int32]))
    ids = ids[ids > 0]
    if len(ids) > VOID:
        raise InputError(
            f"{wide[0]}: mask has {len(ids)} ids up to {ids[-1]}, and masks hold 255; if they are"
            " not objects, it was resized with interpolation: make it again with nearest neighbour"
        )

    names = ", ".join(map(str, ids.tolist()))
    numbers = ", ".join(map(str, range(1, len(ids) + 1)))
    objects.warnings.append(
        f"{wide[0]}: masks hold ids up to 255, so {names} are numbered {numbers}"
    )

    numbered = []
    for mask in masks:
        if mask.dtype != np.int32:
            mask = _numbers(mask, ids)
        numbered.append(mask)

    return numbered


def _numbers(mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Replace each value of a mask [H,W] by its place among the ascending `ids`, from 1 on, uint8.

    0 stays 0.
    """
    return np.where(mask > 0, np.searchsorted(ids, mask) + 1, 0).astype(np.uint8)


def _in_order(colours: np.ndarray) -> list[int]:
    """The colours other than background, in the order in which rows of pixels contain them."""
    present, first = np.unique(colours, return_index=True)
    return [int(present[i]) for i in first.argsort() if present[i]]
