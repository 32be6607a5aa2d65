"""LVOS: long videos of one to two minutes, in versions 1 and 2.

Source: Hong et al., LVOS: A Benchmark for Long-term Video Object Segmentation, ICCV 2023; version
2: arXiv 2404.19326. Scores were checked against the authors' program
(github.com/LingyiHongfd/lvos-evaluation).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
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

STEP = 5  # Difference between the numbers of neighbouring frames.

# Videos whose objects have categories that train lacks. Version 2 counts two videos of version 1
# as seen.
UNSEEN_BOTH = """
    R3UJGYwy 058oeZ2p yfzVCnvU 6mNj04tC yWnanBID gw84JOqH 711gAS21 FmzvB44A Oj1z5fO0 tAyQIobn
    yxCvN6OJ LWVlKBlK K3OUeINk xpI7xRWN FiRTBMg2 nfcT3owb v3uNUctx JGG6MrhF 49TNsJzk dtHbJvYy
    8lxxCA5h N6CONZUW vJ8W2TO5 gdqCcvs2 pMntJwSQ
"""
UNSEEN_NEW = """
    p9RjdKoh 9NA8c5C3 m37l7ti1 nwflTTf1 LY2zehlH beR0WT11 afoR2rH6 xQZlxhxV o36i3YWC cdzAjcuN
    IlvtT6D6 YfoFnMgm FiQUhyRi 9oLyy7aJ 9RoNInYO wrrX6bxv q2HE4zaM rvwT3piq ZFqAoImI bwcKqVSN
    QE1wMR58 eEcUJVBZ Qf9YVXOW SRRojucs PQfn7XV2 3bvEjhOT
"""
UNSEEN1 = frozenset(f"{UNSEEN_BOTH} UtEnRpiP aFytsETk".split())
UNSEEN2 = frozenset(f"{UNSEEN_BOTH} {UNSEEN_NEW}".split())


@dataclass(frozen=True, kw_only=True)
class Span:
    """Numbers of the first and the last frame of an object; it counts in the frames between."""

    first: int
    last: int


Spans = Mapping[int, Span]
"""Id of an object -> its span."""


def load_version1(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...]
) -> list[VideoSequence]:
    """Find the videos of version 1; see `load`."""
    return load(protocol, root, split, names, UNSEEN1)


def load_version2(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...]
) -> list[VideoSequence]:
    """Find the videos of version 2; see `load`."""
    return load(protocol, root, split, names, UNSEEN2)


def load(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...], unseen: frozenset[str]
) -> list[VideoSequence]:
    """Find the videos of ROOT/SPLIT/SPLIT_meta.json; see protocol.Layout.

    Frames are SPLIT/JPEGImages/VIDEO/00000001.jpg, 00000006.jpg and so on; train and valid have a
    mask for each. meta.json says in which frames an object is visible. Its mask is given in the
    first of them, and scored in all but the first and the last. Videos of test have only the masks
    that give objects; the others are on the server.

    Args:
        protocol: The benchmark.
        root: Folder that holds the benchmark.
        split: train, valid (or val), or test.
        names: Names of the videos to find, instead of all.
        unseen: Names of the videos whose objects have categories that train lacks.
    """
    # The authors' archive calls the split valid, their description of the layout val.
    if split == "valid" and not (root / split).is_dir() and (root / "val").is_dir():
        split = "val"

    folder = root / split
    hint = (
        f"{protocol.name} needs {split}/{split}_meta.json,"
        f" {split}/{protocol.images}/VIDEO/00000001.jpg and"
        f" {split}/{protocol.annotations}/VIDEO/00000001.png below --root (from {protocol.source})"
    )
    images, annotations = folder / protocol.images, folder / protocol.annotations
    # Folders are checked from the outside inwards, so that a message names the first one missing.
    for needed in (root, folder, images, annotations):
        need_folder(needed, hint)

    meta = folder / f"{split}_meta.json"
    videos = _read_meta(meta, hint)
    # A misspelt name would otherwise end in a KeyError.
    for name in names:
        if name not in videos:
            raise InputError(f"{meta}: has no video {name}; choose other --sequences")

    sequences = []
    for name in names or sorted(videos):
        video = _sequence(
            name, videos[name], images / name, annotations / name, hint, unseen=name in unseen
        )
        sequences.append(video)

    return sequences


def _sequence(
    name: str, spans: Spans, images: Path, annotations: Path, hint: str, *, unseen: bool
) -> VideoSequence:
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)
    # meta.json counts in frame numbers, everything else here in indices.
    index = {int(frame): t for t, frame in enumerate(frame_names) if frame.isdecimal()}

    # The frame in which an object is given cannot be replaced by a neighbour.
    for span in spans.values():
        if span.first not in index:
            need_every_frame(images, frame_names, [f"{span.first:08d}"], hint)

    masks = masks_by_frame(annotations)
    truth = truth_files(annotations, frame_names, masks)

    # The first mask of every object is given, so it must exist.
    appears = {id: index[span.first] for id, span in spans.items()}
    given = {t: truth[t] for t in sorted(set(appears.values()))}
    for file in given.values():
        need_file(file, hint)

    sequence = VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given=given,
        truth=truth,
        appears=appears,
        leaves={id: _index_of(span.last, index) for id, span in spans.items()},
        groups=dict.fromkeys(spans, "unseen" if unseen else "seen"),
    )

    # Masks of frames in which no object counts may be missing.
    scored = []
    for t in range(len(frame_names)):
        if any(sequence.counts(id, t) for id in spans):
            scored.append(t)

    if all(truth[t].is_file() for t in scored):
        return replace(sequence, annotated=tuple(scored))

    # Without all masks of scored frames, only the server can score the video.
    return replace(sequence, truth=(), leaves={})


def _index_of(number: int, index: Mapping[int, int]) -> int:
    """Index of the first frame with this number or a higher one; the number of frames if none."""
    # The last frame of a span may be missing on disk; the next one then ends the span.
    later = [t for other, t in index.items() if other >= number]
    return min(later, default=len(index))


def _read_meta(path: Path, hint: str) -> dict[str, Spans]:
    """The spans of the objects of each video."""
    try:
        videos = json.loads(read_text(path, hint))["videos"]
        return {name: _spans(video["objects"]) for name, video in videos.items()}
    except FileNotFoundError:
        raise InputError(f"{path}: file is missing; {hint}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is no list of videos, their objects and ranges of frames ({error!r});"
            f" get it again: {hint}"
        ) from error


def _spans(objects: Mapping[str, Any]) -> Spans:
    """The span of each object of a video, from its entry in meta.json."""
    spans = {}
    for id, entry in objects.items():
        frames = entry["frame_range"]
        first = int(frames["start"])

        # In some entries `end` is the number of the last frame, in others one more.
        last = first + STEP * (int(frames["frame_nums"]) - 1)
        spans[int(id)] = Span(first=first, last=min(int(frames["end"]), last))

    return spans


LVOS1 = Protocol(
    name="lvos1",
    source="https://github.com/LingyiHongfd/LVOS",
    layout=load_version1,
    splits={"val": "valid"},
    skipped=(0, 0),  # Objects have first and last frames of their own.
    submission="Annotations/{sequence}/{frame}.png",
    measure="long-term",
)
LVOS2 = replace(LVOS1, name="lvos2", layout=load_version2)
PROTOCOLS = (LVOS1, LVOS2)
