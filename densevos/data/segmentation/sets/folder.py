"""One's own images or clips with indexed masks, and their class names in a small file."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos.base.names import image_files
from densevos.data.segmentation.classes import choose_classes, class_values, named_twice
from densevos.data.segmentation.layout import (
    folders,
    image_set,
    labelled_video,
    need_folder,
    need_images,
    read_json,
)
from densevos.data.segmentation.presence import keep_wanted
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot

LAYOUT = (
    "folder needs images/SPLIT/NAME.jpg and masks/SPLIT/NAME.png (indexed), or images/SPLIT/CLIP/00000.jpg and"
    " masks/SPLIT/CLIP/00000.png, and classes.txt (one name a line, the first is value 0) or classes.json"
    ' (["sky", ...] or {"0": "sky", ...}) below its folder'
)


def load(root: Path, options: SetReading) -> SegmentationSet:
    """The images of ROOT/images/SPLIT, or, where it holds folders, the clips; see open_set.

    Value 255 of a mask is void; clips may have masks of some frames only. Without labels neither
    masks nor classes are needed. Raises InputError for a split of both images and clips, and for
    names of classes that are doubtful.
    """
    split = options.split
    above = need_folder(root / "images", LAYOUT)
    if not (above / split).is_dir():
        there = ", ".join(clip.name for clip in folders(above)) or "none"
        raise InputError(f"{above / split}: folder is missing (splits there: {there}); {LAYOUT}")

    values = _values(root, options)
    usual = tuple(name for name in values.values() if name != "void")
    first = ", ".join(f"{value} {name}" for value, name in list(values.items())[:5])
    known = (
        f"{first}{', ...' if len(values) > 5 else ''} and 255 void; name it in the file of classes"
    )

    if image_files(above / split):
        _refuse_clips(above / split)
        return image_set(
            "folder",
            need_images(above / split, LAYOUT),
            root / "masks" / split,
            options,
            values={**values, VOID: "void"},
            usual=usual,
            known=known,
            hint=LAYOUT,
        )

    classes = choose_classes("folder", usual, options.wanted, usual)
    shots = [Shot(name=clip.name, source=clip) for clip in folders(above / split)]
    if options.labels:
        ids = class_values({**values, VOID: "void"}, classes, options.others)
        masks = root / "masks" / split
        shots = [
            labelled_video(
                shot, need_images(shot.source, LAYOUT), masks / shot.name, ids, known, sparse=True
            )
            for shot in shots
        ]

    kept = (
        keep_wanted("folder", shots, classes, workers=options.workers)
        if options.labels and options.wanted is not None
        else tuple(shots)
    )

    return SegmentationSet(name="folder", kind="video", classes=classes, shots=kept)


def _values(root: Path, options: SetReading) -> dict[int, str]:
    """Value -> class name; none when labels are not wanted and there is no file."""
    file = options.table or next(
        (f for f in (root / "classes.txt", root / "classes.json") if f.is_file()), None
    )
    if file is None and not options.labels:
        return {}

    file = file or root / "classes.txt"
    values = dict(enumerate(_read_lines(file))) if file.suffix != ".json" else _read_table(file)
    if not values or min(values) < 0 or max(values) >= VOID:
        raise InputError(
            f"{file}: names classes of values outside 0 to {VOID - 1}, or none; {LAYOUT}"
        )

    if twice := named_twice(values.values()):
        raise InputError(f"{file}: names {twice} twice; give every class a name of its own")

    return values


def _read_lines(file: Path) -> list[str]:
    """The names in a text file; InputError for an empty line between them, which would shift all
    ids after it.
    """
    try:
        names = [
            line.strip() for line in file.read_text(encoding="utf-8-sig").rstrip().splitlines()
        ]
    except FileNotFoundError:
        raise InputError(f"{file}: file of class names is missing; {LAYOUT}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is no text; {LAYOUT}") from None

    if "" in names:
        raise InputError(
            f"{file}: line {names.index('') + 1}: is empty, and the line of a name is its value; remove it, or name the"
            " value (void: no label)"
        )

    return names


def _read_table(file: Path) -> dict[int, str]:
    """Value -> name in a JSON file."""
    named = read_json(file, LAYOUT)
    try:
        pairs = named.items() if isinstance(named, dict) else enumerate(named)
        return {
            int(value): str(name)
            for value, name in sorted((int(value), name) for value, name in pairs)
        }
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{file}: is neither a list of names nor a table of value: name; {LAYOUT}"
        ) from error


def _refuse_clips(folder: Path) -> None:
    """Raise InputError when folders of images lie beside the images, which would go unused."""
    for clip in folders(folder):
        if image_files(clip):
            raise InputError(
                f"{folder}: holds images and clips ({clip.name}); keep each kind in a split of its own"
            )
