"""Sequences to judge: where frames, given masks and annotations lie; nothing is read until asked
for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from densevos.base.errors import InputError
from densevos.base.images import size_remedy
from densevos.data.sources.excerpt import Excerpt
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames
from densevos.video import Video
from densevos_eval.sequences.annotations import AnnotationReader, IdReader
from densevos_eval.sequences.flat_colours import flat
from densevos_eval.sequences.painted import PaintedMasks, read_painted


@dataclass(frozen=True, kw_only=True)
class VideoSequence:
    """One video of a benchmark, or one's own.

    source: frame folder or video file.
    frame_names: stem of every frame, which is the stem of the mask written for it.
    start: where in the source the first of them lies.
    given: masks handed to the method by frame index, {0: file} for semi-supervised benchmarks.
    truth: annotation file of every frame; empty where there is nothing to score against.
    annotated: indices of the frames that have an annotation; empty for all of them.
    appears: object id -> index of the frame that hands it to the method, where a benchmark names
    them; an object
        counts from the frame after. Empty: the objects of the first annotation.
    leaves: object id -> index of the first frame in which it no longer counts, where a benchmark
    says so. groups: object id -> name of the group of objects that it is scored with, such as seen
    and unseen. required: names of the frames whose masks are asked for; empty for all of them.
    merge_objects: all ids above 0 are one object, as in DAVIS-2016.
    joints: file of the joints of every frame, for benchmarks that propagate joints instead of
    masks. resize_masks: masks of another size than frames or annotations are resized instead of
    refused. frame_size: [H,W] that frames are resized to for propagation; None: as they are.
    annotation_size: [H,W] that annotations are resized to before masks of that size are scored;
    None: as they are. painted: given masks may also be pictures in black and white, or with a
    colour for each object. both_ways: frames before the first given mask are reached backward from
    it, instead of being background. reader: how given masks and annotations are stored.
    """

    name: str
    source: Path
    frame_names: tuple[str, ...]
    given: Mapping[int, Path] = field(default_factory=dict)
    truth: tuple[Path, ...] = ()
    annotated: tuple[int, ...] = ()
    appears: Mapping[int, int] = field(default_factory=dict)
    leaves: Mapping[int, int] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    merge_objects: bool = False
    joints: Path | None = None
    resize_masks: bool = False
    frame_size: tuple[int, int] | None = None
    annotation_size: tuple[int, int] | None = None
    start: int = 0
    painted: bool = False
    both_ways: bool = False
    reader: AnnotationReader = field(default_factory=IdReader)

    def frames(self) -> FrameReader:
        """The frames, opened; InputError when the source is missing or unreadable."""
        reader = open_frames(self.source)
        stop = self.start + len(self.frame_names)
        return Excerpt(reader, self.start, stop) if self.start or stop < len(reader) else reader

    def video(self) -> Video:
        """The frames, to go through or to pick from; InputError when the source is missing or
        unreadable.
        """
        return Video(self.frames())

    def masks(self) -> dict[int, np.ndarray]:
        """The masks that are given, see `read_given`."""
        return read_given(self)

    @property
    def inputs(self) -> list[Path]:
        """Files and folders that are handed to a method: frames, given masks or joints."""
        given = [file for path in self.given.values() for file in self.reader.files(path)]
        return [self.source, *given, *([self.joints] if self.joints else [])]

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the frames whose masks are asked for."""
        return self.required or self.frame_names

    def counts(self, id: int, frame: int) -> bool:
        """Whether the object is scored in the frame of this index, if that frame is."""
        return self.appears.get(id, -1) < frame < self.leaves.get(id, len(self.frame_names))


def read_given(sequence: VideoSequence) -> dict[int, np.ndarray]:
    """The masks of `described_given` alone."""
    return described_given(sequence)[0]


def described_given(sequence: VideoSequence) -> tuple[dict[int, np.ndarray], PaintedMasks | None]:
    """The masks handed to the method, and what there is to say of painted ones.

    Returns:
        Frame index -> ids [H,W] uint8 at frame size; and of painted masks their colours, else None.

    Raises InputError for a mask that is missing or unreadable, RGB instead of indexed (unless
    painted), of another size than the frames, without objects, or with edges smoothed by
    interpolation or JPEG.
    """
    if not sequence.given:
        return {}, None

    height, width = sequence.frames().read([min(sequence.given)])[0].shape[:2]
    given = dict(sorted(sequence.given.items()))
    painted = read_painted(given.values()) if sequence.painted else None
    read = painted.ids if painted else map(sequence.reader, given.values())
    masks = {}

    for (index, path), ids in zip(given.items(), read, strict=True):
        if sequence.resize_masks:
            ids = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)
        if ids.shape != (height, width):
            raise InputError(
                f"{path}: mask is {ids.shape[1]}x{ids.shape[0]} but the frames of {sequence.source} are"
                f" {width}x{height}; {size_remedy(ids.shape, (height, width))}"
            )

        check_objects(path, ids)
        if sequence.appears:
            ids = _appearing(sequence, index, path, ids)

        masks[index] = merged(ids) if sequence.merge_objects else ids

    return masks, painted


def _appearing(sequence: VideoSequence, index: int, path: Path, ids: np.ndarray) -> np.ndarray:
    """The mask [H,W] with those objects only that appear in this frame."""
    wanted = [id for id, first in sequence.appears.items() if first == index]
    for id in wanted:
        if id not in ids:
            raise InputError(
                f"{path}: mask lacks object {id}, which appears here; get the benchmark's files again"
            )

    return np.where(np.isin(ids, wanted), ids, 0).astype(np.uint8)


def check_objects(path: Path, ids: np.ndarray) -> None:
    """Raise InputError when the mask [H,W] holds no object or its ids are an artefact of
    smoothing.
    """
    if not ids.any():
        raise InputError(
            f"{path}: mask holds no object (all pixels are 0); give each object an id from 1 on"
        )

    present = len(np.unique(ids))
    solid = len(np.unique(ids[flat(ids)]))
    # Real objects have an inside; the ids that smoothing invents lie in thin lines along edges.
    if present - solid > max(8, solid):
        raise InputError(
            f"{path}: mask has {present} ids; it was probably resized with interpolation or saved as JPEG;"
            " make it again with nearest neighbour and save it as PNG"
        )


def resized_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask resized with nearest neighbour to [H,W] = `size`; itself if it has that size."""
    return (
        ids
        if ids.shape == size
        else cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    )


def merged(ids: np.ndarray) -> np.ndarray:
    """All objects of the mask [H,W] as one with id 1."""
    return (ids > 0).astype(np.uint8)
