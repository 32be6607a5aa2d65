"""YouTube-VOS: a meta.json says which objects a video has and in which frames they are asked for.

Source: Xu et al., YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark, arXiv 1809.03327.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.names import frame_order
from densevos.base.text import read_text
from densevos_eval.protocols.layout import (
    masks_by_frame,
    need_every_frame,
    need_file,
    need_folder,
    need_frames,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

# The 65 categories of the objects of train, in both versions. Objects of other categories are
# unseen.
SEEN_CATEGORIES = """
    airplane ape bear bike bird boat bucket bus camel cat cow crocodile deer dog dolphin duck eagle earless_seal
    elephant fish fox frisbee frog giant_panda giraffe hand hat hedgehog horse knife leopard lion lizard monkey
    motorbike mouse others owl paddle parachute parrot penguin person plant rabbit raccoon sedan shark sheep sign
    skateboard snail snake snowboard squirrel surfboard tennis_racket tiger toilet train truck turtle umbrella whale
    zebra
"""
SEEN = frozenset(SEEN_CATEGORIES.split())


@dataclass(frozen=True, kw_only=True)
class Video:
    """What meta.json says of a video.

    objects: Id -> names of the frames that the object is asked for in; the first of them hands it
    over. categories: Id -> category of the object, where meta.json names it.
    """

    objects: Mapping[int, tuple[str, ...]]
    categories: Mapping[int, str]

    @property
    def groups(self) -> dict[int, str]:
        """Id -> seen or unseen; nothing unless all objects have a category."""
        if self.categories.keys() != self.objects.keys():
            return {}
        return {id: "seen" if name in SEEN else "unseen" for id, name in self.categories.items()}


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """The videos of ROOT/SPLIT/meta.json, or those in `names`; the splits are folders: train,
    valid, test.

    Frames come from SPLIT_all_frames (perhaps in a folder all_frames) where the protocol takes all
    of them, else from SPLIT, every fifth. There is something to score against where
    SPLIT/Annotations holds the masks of all required frames, as in `train`. The benchmark scores
    valid and test on a server, whose program is not public: J and F of objects of seen and of
    unseen categories apart, then the mean of these four, as its paper says.
    """
    folder = root / split
    hint = (
        f"{protocol.name} needs {split}/meta.json, {split}/JPEGImages/VIDEO/00000.jpg and"
        f" {split}/Annotations/VIDEO/00000.png below --root (from {protocol.source})"
    )
    images = _all_frames(root, split) if protocol.all_frames else folder / protocol.images
    for needed in (root, folder, folder / protocol.annotations):
        need_folder(needed, hint)

    need_folder(
        images,
        f"get it as well, or pass --frames required; {hint}" if protocol.all_frames else hint,
    )
    videos = _read_meta(folder / "meta.json", hint)

    for name in names:
        if name not in videos:
            raise InputError(
                f"{folder / 'meta.json'}: has no video {name}; choose other --sequences"
            )

    annotations, complete = folder / protocol.annotations, split == "train"
    return [
        _sequence(name, videos[name], images / name, annotations / name, hint, complete=complete)
        for name in names or sorted(videos)
    ]


def _all_frames(root: Path, split: str) -> Path:
    """Folder of all frames: where the archives unpack to, or where many keep it, below
    all_frames.
    """
    below = Path(f"{split}_all_frames") / "JPEGImages"
    return root / "all_frames" / below if (root / "all_frames" / below).is_dir() else root / below


def _sequence(
    name: str, video: Video, images: Path, annotations: Path, hint: str, *, complete: bool
) -> VideoSequence:
    objects = video.objects
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)
    index = {frame: t for t, frame in enumerate(frame_names)}
    required = tuple(
        sorted({frame for frames in objects.values() for frame in frames}, key=frame_order)
    )
    need_every_frame(images, frame_names, required, hint)
    appears = {id: min(index[frame] for frame in frames) for id, frames in objects.items()}
    masks = masks_by_frame(annotations)
    truth = tuple(masks.get(frame, annotations / f"{frame}.png") for frame in frame_names)
    given = {t: truth[t] for t in sorted(set(appears.values()))}
    annotated = tuple(index[frame] for frame in required)
    for t in annotated if complete else given:
        need_file(truth[t], hint)

    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given=given,
        truth=truth if all(truth[t].is_file() for t in annotated) else (),
        annotated=annotated,
        appears=appears,
        groups=video.groups,
        required=required,
    )


def _read_meta(path: Path, hint: str) -> dict[str, Video]:
    try:
        videos = json.loads(read_text(path, hint))["videos"]
        return {name: _video(video["objects"]) for name, video in videos.items()}
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; {hint}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no list of videos, their objects and frames ({error!r}); get it again: {hint}"
        ) from error


def _video(objects: Mapping[str, Any]) -> Video:
    asked = {int(id): one for id, one in objects.items() if one["frames"]}
    return Video(
        objects={id: tuple(one["frames"]) for id, one in asked.items()},
        categories={id: one["category"] for id, one in asked.items() if one.get("category")},
    )


YTVOS18 = Protocol(
    name="ytvos18",
    source="https://youtube-vos.org/dataset/vos/ (2018 version)",
    layout=load,
    splits={"val": "valid"},
    flags=frozenset({"split", "frames"}),
    skipped=(0, 0),  # Every object counts from the frame after the one that hands it over.
    submission="Annotations/{sequence}/{frame}.png",
    measure="seen",
)
YTVOS19 = replace(
    YTVOS18, name="ytvos19", source="https://youtube-vos.org/dataset/vos/ (2019 version)"
)
PROTOCOLS = (YTVOS18, YTVOS19)
