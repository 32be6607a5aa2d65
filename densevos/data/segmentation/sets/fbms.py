"""FBMS-59: labels of moving regions in some frames, with classes from a table of the user."""

# Shapes: H x W pixels of a frame.

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

# The set has two folders; both validation and test mean the second.
SPLITS = {"train": "Trainingset", "val": "Testset", "test": "Testset"}
UNDECLARED = -1
"""Value of pixels whose colour the definition does not declare."""
HEADER = ["sequence", "region", "class"]
"""First line that the user's table may have."""

Table = Mapping[str, Mapping[int, str]]
"""Sequence -> region -> class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionReader:
    """Reads a label image, and warns about colours that are not declared."""

    declared: tuple[int, ...]
    """Values that the definition declares."""

    def __call__(self, file: Path) -> np.ndarray:
        """Values [H,W] int32; UNDECLARED for colours that are not declared."""
        values = read_colours(file)
        strange = ~np.isin(values, self.declared)
        if strange.any():
            first = np.unique(values[strange]).tolist()[:5]
            colours = ", ".join(f"#{colour:06x}" for colour in first)
            warnings.warn(
                f"{file}: {int(strange.sum())} pixels have colours that its definition does not"
                f" declare ({colours})",
                stacklevel=2,
            )

        return np.where(strange, UNDECLARED, values)


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the sequences that show a region of a wanted class; see open_set.

    The classes of regions are read from ROOT/classes.csv (or `options.table`), which has lines
    `sequence,region,class`. Regions are numbered from 0 as in `Scale of region 0`; regions that are
    not in the table are background. By default all classes of the table are wanted. Without labels
    and without table, all sequences are loaded.

    Args:
        root: Folder of the set.
        options: How the set is read; split train is the folder Trainingset, val and test are
            Testset.

    Raises:
        InputError: A file is missing or damaged, or no sequence shows a wanted class.
    """
    split = options.split
    hint = (
        f"fbms needs {SPLITS.get(split, split)}/SEQ/*.jpg and SEQ/GroundTruth with one *.dat and"
        " label images below its folder (FBMS_Trainingset.zip and FBMS_Testset.zip of"
        " lmb.informatik.uni-freiburg.de)"
    )
    above = need_folder(root / SPLITS.get(split, split), hint)
    sequences = folders(above)
    if not sequences:
        raise InputError(f"{above}: holds no sequences; {hint}")

    file = options.table or root / "classes.csv"
    if not options.labels and options.table is None and not file.is_file():
        note = (
            f"{file}: file is missing, so all {len(sequences)} sequences are used, whatever they"
            " show"
        )
        shots = tuple(Shot(name=folder.name, source=folder) for folder in sequences)
        return SegmentationSet(name="fbms", kind="video", classes=(), shots=shots, notes=(note,))

    table = read_table(file)
    names: set[str] = set()
    for regions in table.values():
        names.update(regions.values())

    named = sorted(names - {"background", "void"})
    classes = choose_classes("fbms", named, options.wanted, ("background", *named))

    candidates: list[Shot] = []
    unnamed: list[str] = []
    for folder in sequences:
        regions = table.get(folder.name, {})
        candidates.append(_shot(folder, regions, named, classes, options, hint))
        if folder.name not in table:
            unnamed.append(folder.name)

    # A forgotten sequence is worth a note: without regions it shows no wanted class.
    notes: tuple[str, ...] = ()
    if unnamed:
        notes = (f"{file}: names no region of {', '.join(unnamed)}; left out",)

    shots = keep_wanted("fbms", candidates, classes)

    return SegmentationSet(name="fbms", kind="video", classes=classes, shots=shots, notes=notes)


def _shot(
    folder: Path,
    regions: Mapping[int, str],
    named: list[str],
    classes: tuple[str, ...],
    options: SetReading,
    hint: str,
) -> Shot:
    """One sequence; `regions` are its classes, and `named` all classes of the table."""
    ids = same_classes(named, classes)
    shown = frozenset(classes[ids[name]] for name in regions.values() if name in ids)
    shot = Shot(name=folder.name, source=folder, present=shown)
    images = need_images(folder, hint)
    if not options.labels:
        return shot

    truth = read_ground_truth(folder, [image.stem for image in images], hint)
    definition = truth.definition
    # The table may count regions from 1, or belong to another sequence.
    for region in regions:
        if region >= len(definition.colours):
            raise InputError(
                f"{truth.file}: has regions 0 to {len(definition.colours) - 1}, but the table of"
                f" classes names {region} of {folder.name}"
            )

    names: dict[int, str] = {}
    for region, colour in enumerate(definition.colours):
        names[colour] = regions.get(region, "background")

    # An undeclared colour is treated like a class that is not wanted.
    values = class_values({**names, UNDECLARED: "undeclared"}, classes, options.others, named)

    # Only some frames of a sequence have a label image.
    files: dict[int, tuple[Path, Path]] = {}
    for t, label in truth.labels.items():
        files[t] = (images[t], label)

    reader = MaskFiles(
        files=files,
        values=values,
        known="its definition declares others",
        read=RegionReader(declared=tuple(names)),
    )

    return replace(shot, labelled=tuple(sorted(files)), reader=reader)


def read_colours(file: Path) -> np.ndarray:
    """Read a label image: [H,W] int32, R*65536 + G*256 + B of a PPM or grey values of a PGM."""
    image = open_mask(file)
    # int32, since a colour needs 24 bits and UNDECLARED is negative.
    if image.mode == "RGB":
        red, green, blue = np.moveaxis(np.asarray(image, np.int32), 2, 0)
        colours: np.ndarray = red * 65536 + green * 256 + blue
        return colours

    return np.asarray(image).astype(np.int32)


def read_table(file: Path) -> Table:
    """Read the user's classes of regions.

    Raises:
        InputError: The file is missing, or a line is not `sequence,region,class`.
    """
    try:
        # utf-8-sig also accepts the byte order mark that some spreadsheets write.
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except FileNotFoundError:
        raise InputError(
            f"{file}: table of classes is missing, and FBMS has none; write lines"
            " `sequence,region,class` such as `cats02,1,cat`"
        ) from None

    table: dict[str, dict[int, str]] = {}
    for number, row in enumerate(rows, start=1):
        # Empty lines, comments and the header are skipped.
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or cells == HEADER:
            continue
        if len(cells) != 3 or not cells[1].isdecimal() or not cells[2]:
            raise InputError(
                f"{file}: line {number}: is not `sequence,region,class` such as `cats02,1,cat`"
            )

        table.setdefault(cells[0], {})[int(cells[1])] = cells[2]

    return table
