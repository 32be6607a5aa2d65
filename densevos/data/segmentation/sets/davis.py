"""DAVIS-2017 with the classes that its semantic annotations give to its objects."""

from collections.abc import Mapping
from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.classes import SHARED, choose_classes, class_values, same_classes
from densevos.data.segmentation.layout import (
    first_folder,
    labelled_video,
    need_images,
    read_json,
    read_names,
)
from densevos.data.segmentation.presence import keep_wanted
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot

Objects = Mapping[int, str]
"""Id of an object in a sequence -> name of its class."""

Frames = Mapping[str, list[Path]]
"""Name of a sequence -> its images, in order."""

SEMANTICS = "davis_semantics.json"


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the sequences of ImageSets/2017/SPLIT.txt that show a wanted class; see open_set.

    Classes come from davis_semantics.json and the ids of objects in Annotations. If one of the two
    is missing, they come from Annotations_semantics and categories.json. The json has the ids of
    2017. The challenge of 2019 made new annotations with other ids (Annotations_unsupervised); they
    are used only with `reannotated`, and need a json with their ids. Without labels and without
    json, all sequences of the split are loaded and a note says so.

    Args:
        root: Folder of the set.
        options: How the set is read.

    Raises:
        InputError: A file is missing or damaged, or no sequence shows a wanted class.
    """
    split = options.split
    hint = (
        "davis needs JPEGImages/480p/SEQ/00000.jpg, Annotations/480p/SEQ/00000.png,"
        f" ImageSets/2017/{split}.txt and {SEMANTICS} below its folder"
        " (DAVIS-2017-trainval-480p.zip and DAVIS-2017_semantics-480p.zip of davischallenge.org)"
    )
    # Frames first: all ways of reading the set need them.
    images = _resolution(root / "JPEGImages", hint)
    names = read_names(root / "ImageSets" / "2017" / f"{split}.txt", hint)
    frames = {name: need_images(images / name, hint) for name in names}
    objects_known = (root / SEMANTICS).is_file()

    # Masks of classes are used only if the json or the masks of objects are missing.
    if options.labels and (root / "Annotations_semantics").is_dir():
        objects_known &= (root / _annotations(options)).is_dir()
        if not objects_known:
            return _by_category(root, frames, options, hint)

    if options.labels or objects_known:
        return _by_object(root, frames, options, hint)

    # Unlabelled videos are useful even if nobody knows their classes.
    note = (
        f"{root / SEMANTICS}: file is missing, so all {len(names)} sequences are used, whatever"
        " they show"
    )
    shots = tuple(Shot(name=name, source=images / name) for name in names)

    return SegmentationSet(name="davis", kind="video", classes=(), shots=shots, notes=(note,))


def _by_object(root: Path, frames: Frames, options: SetReading, hint: str) -> SegmentationSet:
    """Classes from the ids of objects and the json that names them."""
    semantics = _read_semantics(root / SEMANTICS, hint)
    annotations = _check_year(root, options, hint) if options.labels else None
    known: list[str] = []
    for objects in semantics.values():
        known.extend(objects.values())

    classes = choose_classes("davis", known, options.wanted, ("background", *SHARED))
    ids = same_classes(known, classes)
    shots = []

    for name, files in frames.items():
        if name not in semantics:
            raise InputError(f"{root / SEMANTICS}: has no sequence {name}; {hint}")

        # Only the annotations of 2019 have void. In those of DAVIS-2016, which look the same, 255
        # is the object.
        names = {0: "background", **semantics[name]}
        if options.reannotated:
            names[255] = "void"

        explanation = (
            f"{name} has objects {', '.join(map(str, semantics[name]))} in {SEMANTICS}, whose ids"
            " are those of DAVIS-2017, not of DAVIS-2016 (255) or the annotations of 2019; get the"
            " annotations of 2017"
        )
        # The table tells which classes a sequence shows, so no mask need be read for it.
        shown = frozenset(classes[ids[item]] for item in semantics[name].values() if item in ids)
        shot = Shot(name=name, source=files[0].parent, present=shown)
        if annotations is not None:
            values = class_values(names, classes, options.others, known)
            shot = labelled_video(shot, files, annotations / name, values, explanation)

        shots.append(shot)

    return SegmentationSet(
        name="davis",
        kind="video",
        classes=classes,
        shots=keep_wanted("davis", shots, classes, workers=options.workers),
    )


def _by_category(root: Path, frames: Frames, options: SetReading, hint: str) -> SegmentationSet:
    """Classes from masks whose values are ids of classes."""
    file = root / "categories.json"
    masks = _resolution(root / "Annotations_semantics", hint)
    try:
        names = {int(entry["id"]): name for name, entry in read_json(file, hint).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: is no table of NAME: {{id, super_category}} ({error!r}); {hint}"
        ) from error

    # categories.json names neither background nor void.
    classes = choose_classes("davis", names.values(), options.wanted, ("background", *SHARED))
    values = class_values({0: "background", 255: "void", **names}, classes, options.others)
    explanation = f"the values are the ids of {file}; get both from the same archive"
    shots: list[Shot] = []
    for name, files in frames.items():
        shot = Shot(name=name, source=files[0].parent)
        shots.append(labelled_video(shot, files, masks / name, values, explanation))

    return SegmentationSet(
        name="davis",
        kind="video",
        classes=classes,
        shots=keep_wanted("davis", shots, classes, workers=options.workers),
    )


def _annotations(options: SetReading) -> str:
    """Name of the folder of masks."""
    return "Annotations_unsupervised" if options.reannotated else "Annotations"


def _check_year(root: Path, options: SetReading, hint: str) -> Path:
    """The folder of masks; InputError if only the unwanted annotations of 2019 exist."""
    if (
        not options.reannotated
        and (root / "Annotations_unsupervised").is_dir()
        and not (root / "Annotations").is_dir()
    ):
        raise InputError(
            f"{root / 'Annotations_unsupervised'}: the annotations made anew in 2019 have other"
            f" object ids than {SEMANTICS}; get Annotations of 2017, or a json made for these ids"
            " and --reannotated"
        )

    return _resolution(root / _annotations(options), hint)


def _resolution(folder: Path, hint: str) -> Path:
    """The frames or masks at 480p or, if these are missing, at full resolution."""
    return first_folder([folder / "480p", folder / "Full-Resolution"], hint)


def _read_semantics(file: Path, hint: str) -> dict[str, Objects]:
    """Name of a sequence -> its objects."""
    semantics: dict[str, Objects] = {}
    content = read_json(file, hint)
    try:
        for sequence, objects in content.items():
            semantics[sequence] = {int(id): str(name) for id, name in objects.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f'{file}: is no table of SEQUENCE: {{"1": CLASS}} ({error!r}); {hint}'
        ) from error

    return semantics
