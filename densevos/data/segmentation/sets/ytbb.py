"""YouTube-BoundingBoxes: a table of objects, and those of its videos that exist on disk."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from densevos.base.errors import InputError
from densevos.data.segmentation.classes import SHARED, YTBB, choose_classes, same_classes
from densevos.data.segmentation.layout import need_folder
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot
from densevos.data.sources.open import open_paths

SPLITS = {"train": "train", "val": "validation"}
# The table writes ids of classes as text.
CATEGORIES = {str(id): name for id, name in enumerate(YTBB)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """One row of the table: where an object is at one time.

    Rows of the same video, category and object belong to one segment.
    """

    video: str
    """Id of the video."""
    category: str
    """Name of the object's class."""
    object: int
    """Number of the object among those of its class."""
    seconds: float
    """Time since the start of the video."""
    edges: tuple[float, float, float, float] | None
    """xmin, xmax, ymin, ymax as shares of width and height; None if the object is not visible."""


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load the parts of videos that show an object of a wanted class; see open_set.

    Each segment of the table becomes a shot. The set needs ROOT/yt_bb_detection_train.csv (or
    _validation; both may end in .gz) and ROOT/videos/ID.mp4, or a folder ID of frames that were
    decoded at 30 frames per second. Nothing is downloaded: videos of the table that are missing are
    left out and counted in a note.

    Args:
        root: Folder of the set.
        options: How the set is read.

    Raises:
        InputError: Labels are wanted, or the table or all videos are missing or damaged.
    """
    split = options.split
    if options.labels:
        raise InputError(f"ytbb:{root}: has boxes, not masks; pass it as --unlabelled")

    table = f"yt_bb_detection_{SPLITS.get(split, split)}.csv"
    hint = (
        f"ytbb needs {table} (or {table}.gz) and videos/ID.mp4 below its folder"
        " (research.google.com/youtube-bb)"
    )
    videos = {_id(video): video for video in open_paths(need_folder(root / "videos", hint)).videos}
    classes = choose_classes("ytbb", YTBB, options.wanted, ("background", *SHARED))
    ids = same_classes(YTBB, classes)
    file = root / table
    if not file.is_file():
        file = root / f"{table}.gz"
    if not file.is_file():
        raise InputError(f"{root / table}: table is missing; {hint}")

    # Segment -> first and last second at which its object is visible.
    spans: dict[tuple[str, str, int], tuple[float, float]] = {}
    missing = set()
    for box in read_boxes(file):
        # Rows without edges tell that the object is absent at this time.
        if box.category not in ids or box.edges is None:
            continue
        # Only videos that show a wanted object count as missing.
        if box.video not in videos:
            missing.add(box.video)
            continue

        # A segment lasts from its first to its last row with edges, in any order of the rows.
        segment = (box.video, box.category, box.object)
        first, last = spans.get(segment, (box.seconds, box.seconds))
        spans[segment] = (min(first, box.seconds), max(last, box.seconds))

    # Sorted, so that the order of the rows does not change training.
    shots: list[Shot] = []
    for (video, category, object), span in sorted(spans.items()):
        shot = Shot(
            name=f"{video}/{category.replace(' ', '-')}-{object}",
            source=videos[video],
            present=frozenset({classes[ids[category]]}),
            seconds=span,
        )
        shots.append(shot)

    notes: tuple[str, ...] = ()
    if missing:
        videos_folder = root / "videos"
        notes = (f"{videos_folder}: {len(missing)} videos of {file.name} are missing and left out",)

    return SegmentationSet(
        name="ytbb", kind="video", classes=classes, shots=tuple(shots), notes=notes
    )


def read_boxes(file: Path) -> Iterator[Box]:
    """Read the rows of the table.

    The table has no header. Its columns are youtube_id, timestamp_ms, class_id, class_name,
    object_id, object_presence, xmin, xmax, ymin, ymax.

    Raises:
        InputError: The file cannot be read, or a row is damaged or has its edges in another order.
            The message names the line.
    """
    try:
        with _open(file) as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                try:
                    yield _box(row)
                except ValueError as error:
                    raise InputError(
                        f"{file}: line {number}: {error}; a row is youtube_id, timestamp_ms,"
                        " class_id, class_name, object_id, object_presence, xmin, xmax, ymin, ymax"
                    ) from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); get it again") from error


def _box(row: list[str]) -> Box:
    """A row as a Box; ValueError if it is damaged."""
    video, milliseconds, category, _, object, presence, *numbers = row
    xmin, xmax, ymin, ymax = map(float, numbers)
    if category not in CATEGORIES:
        raise ValueError(f"class {category} is none of 0 to {len(YTBB) - 1}")

    # Absent objects have -1 for all edges.
    seen = presence == "present"
    if seen and not (xmin <= xmax and ymin <= ymax):
        raise ValueError(f"edges {xmin}, {xmax}, {ymin}, {ymax} are not xmin, xmax, ymin, ymax")

    return Box(
        video=video,
        category=CATEGORIES[category],
        object=int(object),
        seconds=int(milliseconds) / 1000,
        edges=(xmin, xmax, ymin, ymax) if seen else None,
    )


def _open(file: Path) -> IO[str]:
    """Open a table, which may be compressed."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return open(file, encoding="utf-8", newline="")


def _id(video: Path) -> str:
    """YouTube's id of a video file or a folder of frames."""
    return video.name if video.is_dir() else video.stem
