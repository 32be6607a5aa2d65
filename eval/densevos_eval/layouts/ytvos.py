"""YouTube-VOS: a meta.json says which objects a video has and in which frames they are asked for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from densevos.data.readers import image_files
from densevos.errors import InputError
from densevos_eval.layouts.need import need_folder
from densevos_eval.sequences import Sequence

if TYPE_CHECKING:
    from densevos_eval.protocols import Protocol

Objects = dict[int, tuple[str, ...]]  # id -> names of the frames it is asked for in, the first hands it over


def load(protocol: "Protocol", root: Path, split: str, names: tuple[str, ...]) -> list[Sequence]:
    """The videos of ROOT/SPLIT/meta.json, or those in `names`; `val` is the folder `valid`.

    Frames come from SPLIT_all_frames where the protocol takes all of them, else from SPLIT, every fifth. There is
    something to score against where SPLIT/Annotations holds a mask of every required frame, as in `train`.
    """
    split = "valid" if split == "val" else split
    folder = root / split
    cure = (
        f"{protocol.name} needs {split}/meta.json, {split}/JPEGImages/VIDEO/00000.jpg and"
        f" {split}/Annotations/VIDEO/00000.png below --root (from {protocol.source})"
    )
    images = root / f"{split}_all_frames" / "JPEGImages" if protocol.all_frames else folder / "JPEGImages"
    for needed in (root, folder, folder / "Annotations"):
        need_folder(needed, cure)
    need_folder(images, f"get it as well, or pass --frames required; {cure}" if protocol.all_frames else cure)
    videos = _read_meta(folder / "meta.json", cure)
    for name in names:
        if name not in videos:
            raise InputError(f"{folder / 'meta.json'}: has no video {name}; choose other --sequences")
    return [_sequence(n, videos[n], images / n, folder / "Annotations" / n, cure) for n in names or sorted(videos)]


def _sequence(name: str, objects: Objects, images: Path, annotations: Path, cure: str) -> Sequence:
    for needed in (images, annotations):
        need_folder(needed, cure)
    frame_names = tuple(file.stem for file in image_files(images))
    index = {frame: t for t, frame in enumerate(frame_names)}
    required = tuple(sorted({frame for frames in objects.values() for frame in frames}))
    for frame in required:
        if frame not in index:
            raise InputError(f"{images / frame}.jpg: frame is missing; {cure}")
    appears = {id: index[min(frames)] for id, frames in objects.items()}
    given = {t: annotations / f"{frame_names[t]}.png" for t in sorted(set(appears.values()))}
    for file in given.values():
        if not file.is_file():
            raise InputError(f"{file}: mask of a first appearance is missing; {cure}")
    truth = tuple(annotations / f"{frame}.png" for frame in frame_names)
    annotated = tuple(index[frame] for frame in required)
    return Sequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given=given,
        truth=truth if all(truth[t].is_file() for t in annotated) else (),
        annotated=annotated,
        appears=appears,
        required=required,
    )


def _read_meta(path: Path, cure: str) -> dict[str, Objects]:
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {
            name: {int(id): tuple(one["frames"]) for id, one in video["objects"].items() if one["frames"]}
            for name, video in videos.items()
        }
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; {cure}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no list of videos, their objects and frames ({error!r}); get it again: {cure}"
        ) from error
