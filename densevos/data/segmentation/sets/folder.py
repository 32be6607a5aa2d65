"""The user's own images or videos with indexed masks, and their class names in a small file."""

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
    "folder needs images/SPLIT/NAME.jpg and masks/SPLIT/NAME.png (indexed), or"
    " images/SPLIT/CLIP/00000.jpg and masks/SPLIT/CLIP/00000.png, and classes.txt (one name a line,"
    ' the first is value 0) or classes.json (["sky", ...] or {"0": "sky", ...}) below its folder'
)


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the images of ROOT/images/SPLIT or, if it holds folders, its videos; see open_set.

    Value 255 of a mask is void. Videos may have masks of some frames only. Without labels, neither
    masks nor classes are needed.

    Args:
        root: Folder of the set.
        options: How the set is read.

    Raises:
        InputError: A file is missing, the split holds both images and videos, or the file of
            classes is wrong.
    """
    split = options.split
    above = need_folder(root / "images", LAYOUT)
    if not (above / split).is_dir():
        # The set may have other splits than the default one.
        splits = ", ".join(folder.name for folder in folders(above)) or "none"
        raise InputError(f"{above / split}: folder is missing (splits there: {splits}); {LAYOUT}")

    # Names of the classes, in the order of their values; void is no class to choose.
    values = _values(root, options)
    usual = tuple(name for name in values.values() if name != "void")

    known = f"{_summary(values)} and 255 void; name it in the file of classes"

    # Images directly in the folder of the split mean a set of images, else it is one of videos.
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
    ids = class_values({**values, VOID: "void"}, classes, options.others)
    masks = root / "masks" / split
    # One shot per folder; people label only some frames of their own videos.
    videos: list[Shot] = []

    for folder in folders(above / split):
        video = Shot(name=folder.name, source=folder)
        if options.labels:
            images = need_images(folder, LAYOUT)
            video = labelled_video(video, images, masks / folder.name, ids, known, sparse=True)

        videos.append(video)

    # If the user chose no classes, every video of the split is used and no mask need be read.
    shots = tuple(videos)
    if options.labels and options.wanted is not None:
        shots = keep_wanted("folder", videos, classes, workers=options.workers)

    return SegmentationSet(name="folder", kind="video", classes=classes, shots=shots)


def _summary(values: dict[int, str]) -> str:
    """The first five values with their names, which is enough for a message."""
    first = [f"{value} {name}" for value, name in list(values.items())[:5]]
    if len(values) > 5:
        first.append("...")

    return ", ".join(first)


def _values(root: Path, options: SetReading) -> dict[int, str]:
    """Value -> class name; empty if labels are not wanted and there is no file of names."""
    file = options.table
    # A file that the user names wins; of the two usual names, the text file.
    for candidate in (root / "classes.txt", root / "classes.json"):
        if file is None and candidate.is_file():
            file = candidate

    if file is None and not options.labels:
        return {}

    file = file or root / "classes.txt"  # the message about a missing file names this one
    if file.suffix == ".json":
        values = _read_table(file)
    else:
        values = dict(enumerate(_read_lines(file)))

    if not values or min(values) < 0 or max(values) >= VOID:
        raise InputError(
            f"{file}: names classes of values outside 0 to {VOID - 1}, or none; {LAYOUT}"
        )

    twice = named_twice(values.values())
    if twice:
        raise InputError(f"{file}: names {twice} twice; give every class a name of its own")

    return values


def _read_lines(file: Path) -> list[str]:
    """The names in a text file, one on each line; InputError for an empty line between them."""
    try:
        # utf-8-sig also accepts the byte order mark that some editors write.
        lines = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except FileNotFoundError:
        raise InputError(f"{file}: file of class names is missing; {LAYOUT}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is no text; {LAYOUT}") from None

    # Whether an empty line counts is unclear, and all later values depend on it.
    names = [line.strip() for line in lines]
    if "" in names:
        raise InputError(
            f"{file}: line {names.index('') + 1}: is empty, and the line of a name is its value;"
            " remove it, or name the value (void: no label)"
        )

    return names


def _read_table(file: Path) -> dict[int, str]:
    """Value -> name, from a list or a table in a JSON file."""
    named = read_json(file, LAYOUT)
    try:
        pairs = named.items() if isinstance(named, dict) else enumerate(named)
        # Values are text in JSON: as integers, 10 comes after 9.
        ordered = sorted((int(value), name) for value, name in pairs)
        return {value: str(name) for value, name in ordered}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{file}: is neither a list of names nor a table of value: name; {LAYOUT}"
        ) from error


def _refuse_clips(folder: Path) -> None:
    """Raise InputError if there are also folders of images, which would be ignored."""
    for clip in folders(folder):
        if image_files(clip):
            raise InputError(
                f"{folder}: holds images and clips ({clip.name}); keep each kind in a split of its"
                " own"
            )
