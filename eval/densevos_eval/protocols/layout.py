"""What layouts share: checks of files, and the layout of DAVIS, one folder per sequence."""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import image_files
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import Sequence


def load_folders(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[Sequence]:
    """The sequences of the split's list, or those in `names`; see protocol.load_sequences."""
    cure, judged = _cure(protocol, split), protocol.annotated != "none"
    for folder in (root, root / protocol.images, *([root / protocol.annotations] if judged else [])):
        need_folder(folder, cure)
    resolution = protocol.resolution
    if resolution is None:
        resolution = _only_resolution(root / protocol.images)
    images, annotations = root / protocol.images / resolution, root / protocol.annotations / resolution
    for folder in (images, *([annotations] if judged else [])):
        need_folder(folder, cure)
    names = names or _listed(protocol, root, split, cure) or _all_folders(images)
    return [_sequence(protocol, name, images / name, annotations / name, cure) for name in names]


def _sequence(protocol: Protocol, name: str, images: Path, annotations: Path, cure: str) -> Sequence:
    frame_names = need_frames(images, cure)
    if protocol.annotated == "none":
        return Sequence(name=name, source=images, frame_names=frame_names, frame_size=protocol.frame_size)
    need_folder(annotations, cure)
    need_every_frame(images, frame_names, (mask.stem for mask in mask_files(annotations)), cure)
    if protocol.annotated == "first":
        need_consecutive(images, frame_names, cure)
    truth = tuple(annotations / f"{frame}.png" for frame in frame_names)
    for file in truth if protocol.annotated == "all" else truth[:1]:
        need_file(file, cure)
    return Sequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={0: truth[0]} if protocol.first_mask_given else {},
        truth=() if protocol.annotated == "first" else truth,
        merge_objects=protocol.merge_objects,
        frame_size=protocol.frame_size,
    )


def _only_resolution(images: Path) -> str:
    """480p where there is such a folder, else the only other one, else "" (sequences lie in `images`)."""
    found = sorted(folder.name for folder in images.glob("*p") if folder.name[:-1].isdigit())
    if "480p" in found:
        return "480p"
    if len(found) > 1:
        raise InputError(f"{images}: holds {', '.join(found)}; choose one with --resolution")
    return "".join(found)


def _listed(protocol: Protocol, root: Path, split: str, cure: str) -> tuple[str, ...]:
    """Names in the list of the split; none when there is no list and none is required."""
    candidates = [root / pattern.format(split=split) for pattern in protocol.lists]
    for file in candidates:
        if file.is_file():
            names = tuple(dict.fromkeys(file.read_text(encoding="utf-8").split()))
            if not names:
                raise InputError(f"{file}: list is empty; write one sequence name on each line")
            return names
    if protocol.list_required or (root / "ImageSets").is_dir():
        there = ", ".join(sorted(file.stem for file in candidates[0].parent.glob("*.txt"))) or "none"
        raise InputError(
            f"{candidates[0]}: list of sequences is missing (there: {there}); choose another --split,"
            f" name the --sequences, or get it: {cure}"
        )
    return ()


def _all_folders(images: Path) -> tuple[str, ...]:
    names = tuple(sorted(folder.name for folder in images.iterdir() if folder.is_dir()))
    if not names:
        raise InputError(f"{images}: holds no sequences; put the frames of each into a folder of its own")
    return names


def _cure(protocol: Protocol, split: str) -> str:
    resolution = f"{protocol.resolution}/" if protocol.resolution else ""
    optional = "" if protocol.list_required else "perhaps "
    return (
        f"{protocol.name} needs {protocol.images}/{resolution}SEQUENCE/00000.jpg,"
        f" {protocol.annotations}/{resolution}SEQUENCE/00000.png"
        f" and {optional}{protocol.lists[0].format(split=split)} below --root (from {protocol.source})"
    )


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
