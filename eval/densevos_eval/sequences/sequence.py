"""Describes sequences to evaluate on: where frames, given masks and annotations lie.

Nothing is read until a method asks for it.
"""

# Shapes: H x W pixels of a frame or mask.

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

    name: name of the video, and of its folder of results.
    source: frame folder or video file.
    frame_names: stem of every frame, which is also the stem of the mask written for it.
    given: masks that the method starts from, by frame index: {0: file} in semi-supervised
        benchmarks.
    truth: annotation file of every frame; empty if there is nothing to score against.
    annotated: indices of the frames that have an annotation; empty if all frames have one.
    appears: object id -> index of the frame in whose given mask it appears, for benchmarks that
        list them. The object is scored from the next frame on. Empty: all objects are those of the
        first annotation.
    leaves: object id -> index of the first frame in which it is no longer scored, for benchmarks
        that list them.
    groups: object id -> name of the group of objects that it is scored with, such as "seen" or
        "unseen".
    required: names of the frames whose masks are required; empty if all are.
    merge_objects: all ids above 0 are one object, as in DAVIS-2016.
    joints: file of the joints of every frame, for benchmarks that propagate joints.
    resize_masks: resize masks that differ in size from frames or annotations; otherwise they are an
        error.
    frame_size: [H,W] that frames are resized to for propagation; None: their own size.
    annotation_size: [H,W] that annotations are resized to before masks of that size are scored;
        None: their own size.
    start: index in the source of the first frame used.
    painted: given masks may also be painted: in black and white, or in one colour per object.
    both_ways: frames before the first given mask are segmented backward from it; otherwise they are
        background.
    reader: reads given masks and annotations.
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
        """Open the frames.

        Raises:
            InputError: if the source is missing or unreadable.
        """
        reader = open_frames(self.source)
        # An excerpt is needed only if the source has frames that are not used.
        stop = self.start + len(self.frame_names)
        if self.start or stop < len(reader):
            return Excerpt(reader, self.start, stop)

        return reader

    def video(self) -> Video:
        """Open the frames as a `Video`, to iterate over or to index.

        Raises:
            InputError: if the source is missing or unreadable.
        """
        return Video(self.frames())

    def masks(self) -> dict[int, np.ndarray]:
        """Read the given masks; see `read_given`."""
        return read_given(self)

    @property
    def inputs(self) -> list[Path]:
        """Files and folders that a method reads: frames, given masks or joints."""
        paths = [self.source]
        # One annotation may be read from several files.
        for mask in self.given.values():
            paths += self.reader.files(mask)
        if self.joints:
            paths.append(self.joints)

        return paths

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the frames whose masks are required."""
        # Servers may ask for some frames only.
        return self.required or self.frame_names

    def counts(self, id: int, frame: int) -> bool:
        """Whether object `id` is scored in the frame with index `frame`, if that frame is scored.

        Args:
            id: id of the object in the annotations.
            frame: index of the frame.
        """
        # The frame whose given mask shows the object is not scored: its mask is an input.
        return self.appears.get(id, -1) < frame < self.leaves.get(id, len(self.frame_names))


def read_given(sequence: VideoSequence) -> dict[int, np.ndarray]:
    """Read the given masks without the report on painted ones; see `described_given`.

    Returns:
        Frame index -> ids [H,W] uint8 at the size of the frames.

    Raises:
        InputError: as `described_given` does.
    """
    return described_given(sequence)[0]


def described_given(sequence: VideoSequence) -> tuple[dict[int, np.ndarray], PaintedMasks | None]:
    """Read the given masks, with a report on painted ones.

    Returns:
        Frame index -> ids [H,W] uint8 at the size of the frames; and the painted masks with their
        notes, None if masks of this sequence are not painted.

    Raises:
        InputError: if a mask is missing or unreadable, is RGB instead of indexed (unless painted),
            differs in size from the frames, holds no object, or has edges smoothed by interpolation
            or JPEG.
    """
    if not sequence.given:
        return {}, None

    # One decoded frame tells the size of all of them.
    height, width = sequence.frames().read([min(sequence.given)])[0].shape[:2]
    given = dict(sorted(sequence.given.items()))
    # Painted masks are read together, since a colour is one object in all of them.
    painted = read_painted(given.values()) if sequence.painted else None
    read = painted.ids if painted else map(sequence.reader, given.values())
    masks = {}

    # Sizes are settled before ids are checked, since messages about ids would mislead.
    for (index, path), ids in zip(given.items(), read, strict=True):
        if sequence.resize_masks:
            ids = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)
        if ids.shape != (height, width):
            raise InputError(
                f"{path}: mask is {ids.shape[1]}x{ids.shape[0]} but the frames of"
                f" {sequence.source} are {width}x{height};"
                f" {size_remedy(ids.shape, (height, width))}"
            )

        # The check sees all ids of the file, before some of them are left out.
        check_objects(path, ids)
        if sequence.appears:
            ids = _appearing(sequence, index, path, ids)

        if sequence.merge_objects:
            ids = merged(ids)

        masks[index] = ids

    return masks, painted


def _appearing(sequence: VideoSequence, index: int, path: Path, ids: np.ndarray) -> np.ndarray:
    """The mask [H,W] with only those objects that appear in this frame."""
    # Objects that appeared earlier are propagated, so their masks here would be a hint.
    wanted = [id for id, first in sequence.appears.items() if first == index]
    for id in wanted:
        if id not in ids:
            raise InputError(
                f"{path}: mask lacks object {id}, which appears here;"
                " get the benchmark's files again"
            )

    return np.where(np.isin(ids, wanted), ids, 0).astype(np.uint8)


def check_objects(path: Path, ids: np.ndarray) -> None:
    """Check that a mask holds objects, and that smoothing did not invent their ids.

    Args:
        path: file of the mask, for the message.
        ids: [H,W].

    Raises:
        InputError: if the mask holds no object, or most of its ids lie in thin lines.
    """
    if not ids.any():
        raise InputError(
            f"{path}: mask holds no object (all pixels are 0); give each object an id from 1 on"
        )

    # An id is solid if at least one of its pixels lies in a flat region.
    present = len(np.unique(ids))
    solid = len(np.unique(ids[flat(ids)]))
    # Real objects have an inside; the ids that smoothing invents lie in thin lines along edges.
    if present - solid > max(8, solid):
        raise InputError(
            f"{path}: mask has {present} ids; it was probably resized with interpolation or"
            " saved as JPEG; make it again with nearest neighbour and save it as PNG"
        )


def resized_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask [H,W] with nearest neighbour to `size` [H,W]; no copy if it has that size."""
    if ids.shape == size:
        return ids

    # OpenCV takes sizes as width and height.
    return cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def merged(ids: np.ndarray) -> np.ndarray:
    """Merge all objects of a mask [H,W] into one with id 1, uint8."""
    return (ids > 0).astype(np.uint8)
