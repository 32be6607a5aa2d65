"""YouTube-VOS: a meta.json says which objects a video has and in which frames they are asked for."""

import json
from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import frame_order
from densevos.base.text import read_text
from densevos_eval.protocols.layout import masks_by_frame, need_every_frame, need_file, need_folder, need_frames
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import Sequence

Objects = dict[int, tuple[str, ...]]  # id -> names of the frames it is asked for in, the first hands it over


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[Sequence]:
    """The videos of ROOT/SPLIT/meta.json, or those in `names`; the splits are folders: train, valid, test.

    Frames come from SPLIT_all_frames (perhaps in a folder all_frames) where the protocol takes all of them, else from
    SPLIT, every fifth. There is something to score against where SPLIT/Annotations holds the masks of all required
    frames, as in `train`; scores of that are our own convention, the benchmark scores valid and test on a server.
    """
    folder = root / split
    cure = (
        f"{protocol.name} needs {split}/meta.json, {split}/JPEGImages/VIDEO/00000.jpg and"
        f" {split}/Annotations/VIDEO/00000.png below --root (from {protocol.source})"
    )
    images = _all_frames(root, split) if protocol.all_frames else folder / protocol.images
    for needed in (root, folder, folder / protocol.annotations):
        need_folder(needed, cure)
    need_folder(images, f"get it as well, or pass --frames required; {cure}" if protocol.all_frames else cure)
    videos = _read_meta(folder / "meta.json", cure)
    for name in names:
        if name not in videos:
            raise InputError(f"{folder / 'meta.json'}: has no video {name}; choose other --sequences")
    annotations, complete = folder / protocol.annotations, split == "train"
    return [
        _sequence(name, videos[name], images / name, annotations / name, cure, complete=complete)
        for name in names or sorted(videos)
    ]


def _all_frames(root: Path, split: str) -> Path:
    """Folder of all frames: where the archives unpack to, or where many keep it, below all_frames."""
    below = Path(f"{split}_all_frames") / "JPEGImages"
    return root / "all_frames" / below if (root / "all_frames" / below).is_dir() else root / below


def _sequence(name: str, objects: Objects, images: Path, annotations: Path, cure: str, *, complete: bool) -> Sequence:
    frame_names = need_frames(images, cure)
    need_folder(annotations, cure)
    index = {frame: t for t, frame in enumerate(frame_names)}
    required = tuple(sorted({frame for frames in objects.values() for frame in frames}, key=frame_order))
    need_every_frame(images, frame_names, required, cure)
    appears = {id: min(index[frame] for frame in frames) for id, frames in objects.items()}
    masks = masks_by_frame(annotations)
    truth = tuple(masks.get(frame, annotations / f"{frame}.png") for frame in frame_names)
    given = {t: truth[t] for t in sorted(set(appears.values()))}
    annotated = tuple(index[frame] for frame in required)
    for t in annotated if complete else given:
        need_file(truth[t], cure)
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
        videos = json.loads(read_text(path, cure))["videos"]
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


YTVOS18 = Protocol(
    name="ytvos18",
    source="https://youtube-vos.org/dataset/vos/ (2018 version)",
    layout=load,
    splits={"val": "valid"},
    flags=frozenset({"split", "frames"}),
    skipped=(0, 0),  # Every object counts from the frame after the one that hands it over.
    submission="Annotations/{sequence}/{frame}.png",
)
YTVOS19 = replace(YTVOS18, name="ytvos19", source="https://youtube-vos.org/dataset/vos/ (2019 version)")
PROTOCOLS = (YTVOS18, YTVOS19)
