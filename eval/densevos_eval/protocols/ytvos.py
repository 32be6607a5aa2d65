"""YouTube-VOS: meta.json lists the objects of each video, and the frames that need their masks.

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
    truth_files,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

# The 65 categories of objects in train, in both versions. Objects of other categories are unseen.
SEEN_CATEGORIES = """
    airplane ape bear bike bird boat bucket bus camel cat cow crocodile deer dog dolphin duck eagle
    earless_seal elephant fish fox frisbee frog giant_panda giraffe hand hat hedgehog horse knife
    leopard lion lizard monkey motorbike mouse others owl paddle parachute parrot penguin person
    plant rabbit raccoon sedan shark sheep sign skateboard snail snake snowboard squirrel surfboard
    tennis_racket tiger toilet train truck turtle umbrella whale zebra
"""
SEEN = frozenset(SEEN_CATEGORIES.split())


@dataclass(frozen=True, kw_only=True)
class Video:
    """The entry of a video in meta.json.

    Attributes:
        objects: Id -> names of the frames that need a mask of the object. In the first of them its
            mask is given.
        categories: Id -> category of the object, if meta.json names it.
    """

    objects: Mapping[int, tuple[str, ...]]
    categories: Mapping[int, str]

    @property
    def groups(self) -> dict[int, str]:
        """Id -> `seen` or `unseen`; empty unless all objects have a category."""
        # Groups are all or none: objects without a group would be missing in the means.
        if self.categories.keys() != self.objects.keys():
            return {}

        groups = {}
        for id, category in self.categories.items():
            groups[id] = "seen" if category in SEEN else "unseen"

        return groups


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the videos of ROOT/SPLIT/meta.json; see protocol.Layout.

    The splits are folders: train, valid, test. If the protocol uses all frames, they lie in
    SPLIT_all_frames, perhaps in a folder all_frames; otherwise SPLIT holds every fifth frame. A
    video can be scored if SPLIT/Annotations holds the masks of all required frames, as in train.

    The benchmark scores valid and test on a server whose program is not public. According to its
    paper, the server measures J and F of objects of seen and of unseen categories separately, and
    averages these four numbers.
    """
    folder = root / split
    hint = (
        f"{protocol.name} needs {split}/meta.json, {split}/JPEGImages/VIDEO/00000.jpg and"
        f" {split}/Annotations/VIDEO/00000.png below --root (from {protocol.source})"
    )
    images = _all_frames(root, split) if protocol.all_frames else folder / protocol.images
    for needed in (root, folder, folder / protocol.annotations):
        need_folder(needed, hint)

    # All frames are an archive of their own, which many do not have.
    if protocol.all_frames:
        need_folder(images, f"get it as well, or pass --frames required; {hint}")
    else:
        need_folder(images, hint)

    videos = _read_meta(folder / "meta.json", hint)

    # A misspelt name would otherwise end in a KeyError.
    for name in names:
        if name not in videos:
            raise InputError(
                f"{folder / 'meta.json'}: has no video {name}; choose other --sequences"
            )

    annotations = folder / protocol.annotations
    complete = split == "train"
    sequences = []
    for name in names or sorted(videos):
        sequence = _sequence(
            name, videos[name], images / name, annotations / name, hint, complete=complete
        )
        sequences.append(sequence)

    return sequences


def _all_frames(root: Path, split: str) -> Path:
    """Folder of all frames: below all_frames, where many keep it, or where the archives unpack."""
    below = Path(f"{split}_all_frames") / "JPEGImages"
    usual = root / "all_frames" / below
    return usual if usual.is_dir() else root / below


def _sequence(
    name: str, video: Video, images: Path, annotations: Path, hint: str, *, complete: bool
) -> VideoSequence:
    objects = video.objects
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)

    # A frame is required if any object needs a mask in it.
    required_frames: set[str] = set()
    for frames in objects.values():
        required_frames.update(frames)

    required = tuple(sorted(required_frames, key=frame_order))
    need_every_frame(images, frame_names, required, hint)

    # Objects appear in the first of their frames, and their masks are given there.
    index = {frame: t for t, frame in enumerate(frame_names)}
    appears = {}
    for id, frames in objects.items():
        appears[id] = min(index[frame] for frame in frames)

    masks = masks_by_frame(annotations)
    truth = truth_files(annotations, frame_names, masks)
    given = {t: truth[t] for t in sorted(set(appears.values()))}

    # A training video must have all masks; in other splits the server may keep some.
    annotated = tuple(index[frame] for frame in required)
    for t in annotated if complete else given:
        need_file(truth[t], hint)

    can_be_scored = all(truth[t].is_file() for t in annotated)
    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given=given,
        truth=truth if can_be_scored else (),
        annotated=annotated,
        appears=appears,
        groups=video.groups,
        required=required,
    )


def _read_meta(path: Path, hint: str) -> dict[str, Video]:
    """The entry of each video."""
    try:
        videos = json.loads(read_text(path, hint))["videos"]
        return {name: _video(video["objects"]) for name, video in videos.items()}
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; {hint}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no list of videos, their objects and frames ({error!r});"
            f" get it again: {hint}"
        ) from error


def _video(objects: Mapping[str, Any]) -> Video:
    """An entry of meta.json without the objects that need no mask."""
    frames: dict[int, tuple[str, ...]] = {}
    categories: dict[int, str] = {}

    for id, entry in objects.items():
        # Names of frames are kept as text, because they are also names of files.
        if entry["frames"]:
            frames[int(id)] = tuple(entry["frames"])
            if entry.get("category"):
                categories[int(id)] = entry["category"]

    return Video(objects=frames, categories=categories)


YTVOS18 = Protocol(
    name="ytvos18",
    source="https://youtube-vos.org/dataset/vos/ (2018 version)",
    layout=load,
    splits={"val": "valid"},
    flags=frozenset({"split", "frames"}),
    skipped=(0, 0),  # Every object counts from the frame after the one in which it is given.
    submission="Annotations/{sequence}/{frame}.png",
    measure="seen",
)
# The 2019 version has the same layout and rules.
YTVOS19 = replace(
    YTVOS18, name="ytvos19", source="https://youtube-vos.org/dataset/vos/ (2019 version)"
)
PROTOCOLS = (YTVOS18, YTVOS19)
