"""YouTube-BoundingBoxes: a table of objects, and those of its videos that lie here; nothing is
downloaded.
"""

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
CATEGORIES = {str(id): name for id, name in enumerate(YTBB)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """One row of the table: where an object is at one time.

    video, category, object: together the segment that the row belongs to.
    seconds: since the video's beginning.
    edges: xmin, xmax, ymin, ymax as fractions of width and height; None where the object is not
    seen.
    """

    video: str
    category: str
    object: int
    seconds: float
    edges: tuple[float, float, float, float] | None


def load(root: Path, options: SetReading) -> SegmentationSet:
    """The parts of local videos during which an object of a wanted class is seen, one shot a
    segment; see open_set.

    Needs ROOT/yt_bb_detection_train.csv (or _validation; may end in .gz) and ROOT/videos/ID.mp4, or
    a folder of frames ID, decoded at 30 a second. Videos of the table that are not there are left
    out and counted in a note.
    """
    split = options.split
    if options.labels:
        raise InputError(f"ytbb:{root}: has boxes, not masks; pass it as --unlabelled")

    table = f"yt_bb_detection_{SPLITS.get(split, split)}.csv"
    hint = f"ytbb needs {table} (or {table}.gz) and videos/ID.mp4 below its folder (research.google.com/youtube-bb)"
    videos = {_id(video): video for video in open_paths(need_folder(root / "videos", hint)).videos}
    classes = choose_classes("ytbb", YTBB, options.wanted, ("background", *SHARED))
    ids = same_classes(YTBB, classes)
    file = next((f for f in (root / table, root / f"{table}.gz") if f.is_file()), None)
    if file is None:
        raise InputError(f"{root / table}: table is missing; {hint}")

    spans: dict[tuple[str, str, int], tuple[float, float]] = {}
    missing = set()
    for box in read_boxes(file):
        if box.category not in ids or box.edges is None:
            continue
        if box.video not in videos:
            missing.add(box.video)
            continue

        segment = (box.video, box.category, box.object)
        first, last = spans.get(segment, (box.seconds, box.seconds))
        spans[segment] = (min(first, box.seconds), max(last, box.seconds))

    shots = tuple(
        Shot(
            name=f"{video}/{category.replace(' ', '-')}-{object}",
            source=videos[video],
            present=frozenset({classes[ids[category]]}),
            seconds=span,
        )
        for (video, category, object), span in sorted(spans.items())
    )
    notes = (
        (f"{root / 'videos'}: {len(missing)} videos of {file.name} are not there and left out",)
        if missing
        else ()
    )

    return SegmentationSet(name="ytbb", kind="video", classes=classes, shots=shots, notes=notes)


def read_boxes(file: Path) -> Iterator[Box]:
    """The rows of the table, which has no header: youtube_id, timestamp_ms, class_id, class_name,
    object_id, object_presence, xmin, xmax, ymin, ymax.

    Raises InputError, naming the line, for a row that is none, or has its edges in another order.
    """
    try:
        with _open(file) as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                try:
                    yield _box(row)
                except ValueError as error:
                    raise InputError(
                        f"{file}: line {number}: {error}; a row is youtube_id, timestamp_ms, class_id, class_name,"
                        " object_id, object_presence, xmin, xmax, ymin, ymax"
                    ) from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); get it again") from error


def _box(row: list[str]) -> Box:
    video, milliseconds, category, _, object, presence, *numbers = row
    xmin, xmax, ymin, ymax = map(float, numbers)
    if category not in CATEGORIES:
        raise ValueError(f"class {category} is none of 0 to {len(YTBB) - 1}")

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
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return open(file, encoding="utf-8", newline="")


def _id(video: Path) -> str:
    return video.name if video.is_dir() else video.stem
