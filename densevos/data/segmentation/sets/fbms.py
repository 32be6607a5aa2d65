"""FBMS-59: sparse labels of moving regions as colours; what the regions show is in a table that the
user writes.
"""

import csv
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import open_mask
from densevos.data.segmentation.classes import choose_classes, class_values, same_classes
from densevos.data.segmentation.fbms_definition import read_ground_truth
from densevos.data.segmentation.labels import MaskFiles
from densevos.data.segmentation.layout import folders, need_folder, need_images
from densevos.data.segmentation.presence import keep_wanted
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot

SPLITS = {"train": "Trainingset", "val": "Testset", "test": "Testset"}
UNDECLARED = -1
HEADER = ["sequence", "region", "class"]

Table = Mapping[str, Mapping[int, str]]
"""Sequence -> region -> class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionReader:
    """Reads a label image as values [H,W] int32; colours that are not declared become UNDECLARED,
    with a warning.
    """

    declared: tuple[int, ...]

    def __call__(self, file: Path) -> np.ndarray:
        values = read_colours(file)
        strange = ~np.isin(values, self.declared)
        if strange.any():
            colours = ", ".join(
                f"#{colour:06x}" for colour in np.unique(values[strange]).tolist()[:5]
            )
            warnings.warn(
                f"{file}: {int(strange.sum())} pixels have colours that its definition does not declare ({colours})",
                stacklevel=2,
            )

        return np.where(strange, UNDECLARED, values)


def load(root: Path, options: SetReading) -> SegmentationSet:
    """The sequences of Trainingset (train) or Testset (val, test) with a region of a wanted class;
    see open_set.

    The classes of regions are read from ROOT/classes.csv (or `options.table`), lines
    `sequence,region,class`, regions counted from 0 as in `Scale of region 0`; regions that it does
    not name are background. All classes of the table are wanted unless others are. Without labels
    and without table all sequences are used.
    """
    split = options.split
    hint = (
        f"fbms needs {SPLITS.get(split, split)}/SEQ/*.jpg and SEQ/GroundTruth with one *.dat and label images below"
        " its folder (FBMS_Trainingset.zip and FBMS_Testset.zip of lmb.informatik.uni-freiburg.de)"
    )
    above = need_folder(root / SPLITS.get(split, split), hint)
    sequences = folders(above)
    if not sequences:
        raise InputError(f"{above}: holds no sequences; {hint}")

    file = options.table or root / "classes.csv"
    if not options.labels and options.table is None and not file.is_file():
        note = f"{file}: not there, so all {len(sequences)} sequences are used, whatever they show"
        shots = tuple(Shot(name=folder.name, source=folder) for folder in sequences)
        return SegmentationSet(name="fbms", kind="video", classes=(), shots=shots, notes=(note,))

    table = read_table(file)
    named = sorted(
        {one for regions in table.values() for one in regions.values()} - {"background", "void"}
    )
    classes = choose_classes("fbms", named, options.wanted, ("background", *named))
    shown = [
        _shot(folder, table.get(folder.name, {}), named, classes, options, hint)
        for folder in sequences
    ]
    unnamed = [folder.name for folder in sequences if folder.name not in table]
    notes = (f"{file}: names no region of {', '.join(unnamed)}; left out",) if unnamed else ()
    shots = keep_wanted("fbms", shown, classes)

    return SegmentationSet(name="fbms", kind="video", classes=classes, shots=shots, notes=notes)


def _shot(
    folder: Path,
    regions: Mapping[int, str],
    named: list[str],
    classes: tuple[str, ...],
    options: SetReading,
    hint: str,
) -> Shot:
    ids = same_classes(named, classes)
    shown = frozenset(classes[ids[name]] for name in regions.values() if name in ids)
    shot = Shot(name=folder.name, source=folder, present=shown)
    images = need_images(folder, hint)
    if not options.labels:
        return shot

    truth = read_ground_truth(folder, [image.stem for image in images], hint)
    definition = truth.definition
    if beyond := [region for region in regions if region >= len(definition.colours)]:
        raise InputError(
            f"{truth.file}: has regions 0 to {len(definition.colours) - 1}, but the table of classes names"
            f" {beyond[0]} of {folder.name}"
        )

    names = {
        colour: regions.get(region, "background")
        for region, colour in enumerate(definition.colours)
    }
    # An undeclared colour is as good as a class that nobody wants.
    values = class_values({**names, UNDECLARED: "undeclared"}, classes, options.others, named)
    files = {t: (images[t], label) for t, label in truth.labels.items()}
    reader = MaskFiles(
        files=files,
        values=values,
        known="its definition declares others",
        read=RegionReader(declared=tuple(names)),
    )

    return replace(shot, labelled=tuple(sorted(files)), reader=reader)


def read_colours(file: Path) -> np.ndarray:
    """A label image as values [H,W] int32: R*65536 + G*256 + B of a PPM, grey values of a PGM."""
    image = open_mask(file)
    if image.mode == "RGB":
        red, green, blue = np.moveaxis(np.asarray(image, np.int32), 2, 0)
        return red * 65536 + green * 256 + blue

    return np.asarray(image).astype(np.int32)


def read_table(file: Path) -> Table:
    """The user's classes of regions; InputError for a line that is not `sequence,region,class`."""
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except FileNotFoundError:
        raise InputError(
            f"{file}: table of classes is missing, and FBMS has none; write lines `sequence,region,class`"
            " such as `cats02,1,cat`"
        ) from None

    table: dict[str, dict[int, str]] = {}
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or cells == HEADER:
            continue
        if len(cells) != 3 or not cells[1].isdecimal() or not cells[2]:
            raise InputError(
                f"{file}: line {number}: is not `sequence,region,class` such as `cats02,1,cat`"
            )

        table.setdefault(cells[0], {})[int(cells[1])] = cells[2]

    return table
