"""`densevos data index`: read the header of every video of a dataset and write an index file."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import made_folder
from densevos.base.packed import PackedStrings
from densevos.base.parallel import (
    BROKEN,
    Broken,
    DiedError,
    HungError,
    OnStep,
    check_timeout,
    check_workers,
    in_processes,
    named,
    shard_range,
)
from densevos.base.progress import print_header, progress_bar
from densevos.data.catalogue.layout import Layout
from densevos.data.catalogue.registry import find_videos
from densevos.data.probe import Probed, probe
from densevos.data.sources.index_file import COLUMNS, Status, VideoIndex, read_index, write_index

TIMEOUT = 60.0
"""Seconds after which a video that has not been read is given up."""
SAVED_EVERY = 30.0
"""Seconds between two writes of the progress file."""


@dataclass
class _Rows:
    """The facts about each video so far, in the order of `paths`."""

    paths: PackedStrings
    columns: dict[str, np.ndarray]
    """One array per column of COLUMNS, [videos] each."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Why a video is unusable, by row."""
    # Which videos have been read, [videos] bool.
    known: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(cls, paths: PackedStrings) -> "_Rows":
        """Rows of videos of which none has been read."""
        columns: dict[str, np.ndarray] = {
            name: np.zeros(len(paths), kind) for name, kind in COLUMNS.items()
        }
        return cls(paths, columns, known=np.zeros(len(paths), np.bool_))

    def put(self, row: int, probed: Probed) -> None:
        """Record a usable video; its status is 0 already."""
        self.known[row] = True
        for name in ("folder", "frames", "width", "height", "rate"):
            self.columns[name][row] = getattr(probed, name)

    def put_broken(self, row: int, status: Status, reason: str) -> None:
        """Record an unusable video."""
        self.known[row] = True
        self.columns["status"][row] = status
        self.reasons[row] = reason

    def take_over(self, earlier: VideoIndex, *, broken: bool) -> None:
        """Copy what an earlier index knows of these videos; of unusable ones only if `broken`."""
        # Videos are matched by path: files may have been added or removed, which moves the rows.
        earlier_rows = {path: row for row, path in enumerate(earlier.paths)}
        for row, path in enumerate(self.paths):
            old = earlier_rows.get(path)
            if old is None:
                continue
            # An unusable video may have been repaired since a complete index was written.
            if earlier.status[old] and not broken:
                continue

            self.known[row] = True
            for name in COLUMNS:
                self.columns[name][row] = getattr(earlier, name)[old]

            if reason := earlier.reasons[old]:
                self.reasons[row] = reason

    def index(self, root: Path, dataset: str, split: str) -> VideoIndex:
        """The index of the videos that have been read."""
        # Usable videos have no entry, and their reason is empty.
        reasons = (self.reasons.get(row, "") for row in range(len(self.paths)))
        index = VideoIndex(
            root=str(root),
            dataset=dataset,
            split=split,
            paths=self.paths,
            reasons=PackedStrings.of(reasons),
            folder=self.columns["folder"],
            frames=self.columns["frames"],
            width=self.columns["width"],
            height=self.columns["height"],
            rate=self.columns["rate"],
            status=self.columns["status"],
        )

        # A saved progress must hold only videos that were read, or the others would count as
        # usable.
        if self.known.all():
            return index
        return index.take(np.flatnonzero(self.known))


def make_index(
    root: Path,
    layout: Layout,
    out: Path,
    *,
    split: str | None = None,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float | None = TIMEOUT,
    overwrite: bool = False,
) -> VideoIndex:
    """Read the headers of all videos of a split in parallel and write the index to `out`.

    Progress is saved to OUT.part.npz every 30 seconds, and a repeated command continues from it. If
    `out` exists, only videos that are new or were unusable are read, and videos that no longer
    exist are removed; with `overwrite` all videos are read.

    Args:
        root: The folder that the dataset was unpacked to.
        layout: How the dataset is laid out in `root`.
        out: FILE.npz.
        split: A split of the layout; its first one by default.
        shard: "I/N" for every N-th video only; `merged` joins the indexes of all shards.
        workers: Number of worker processes; all cores by default.
        timeout: Seconds after which a video that has not been read is given up.
        overwrite: Whether to ignore an earlier index and earlier progress.

    Returns:
        The index that was written.

    Raises:
        InputError: `root` holds no such videos, `out` is an index of another dataset, or an option
            has an invalid value.
    """
    check_workers(workers)
    check_timeout(timeout)
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: an index must be called FILE.npz")

    # The index records the root, so it must not depend on the current folder.
    root = root.resolve()
    if split is None:
        split = layout.splits[0]

    paths = find_videos(layout, root, split)
    rows = _Rows.of(PackedStrings.of(paths[k] for k in shard_range(len(paths), shard)))
    del paths  # A list of millions of strings takes much more memory than packed ones.

    progress = out.with_suffix(".part.npz")
    if not overwrite:
        # Unusable videos of a complete index are read again, those of a stopped run are not.
        for file, broken in ((out, False), (progress, True)):
            if file.is_file():
                earlier = _same_set(read_index(file), file, root, layout, split)
                rows.take_over(earlier, broken=broken)

    # Read what is not known yet; whenever the generator yields, the progress is saved.
    made_folder(out.parent)
    try:
        for _ in _probe_all(rows, root, layout.rate or 0, workers, timeout):
            write_index(progress, rows.index(root, layout.name, split))
    except BaseException:  # Also when a signal stops the command: keep the progress.
        write_index(progress, rows.index(root, layout.name, split))
        raise

    # The progress file goes last: until then a stopped command can continue.
    index = rows.index(root, layout.name, split)
    write_index(out, index)
    progress.unlink(missing_ok=True)
    return index


def _same_set(
    earlier: VideoIndex, file: Path, root: Path, layout: Layout, split: str
) -> VideoIndex:
    """Return `earlier`; InputError if it is the index of another dataset."""
    if (earlier.root, earlier.dataset, earlier.split) != (str(root), layout.name, split):
        raise InputError(
            f"{file}: is an index of {earlier.root} ({earlier.dataset}, split {earlier.split});"
            " choose another --out or pass --overwrite"
        )

    return earlier


def _probe_all(
    rows: _Rows, root: Path, rate: float, workers: int | None, timeout: float | None
) -> Iterator[None]:
    """Read the videos that are not known yet; yields when it is time to save the progress."""
    saved = time.monotonic()
    unknown = ((int(row), rows.paths[int(row)]) for row in np.flatnonzero(~rows.known))
    print_header(f"reading the headers of {len(rows.paths)} videos below {root}")

    with progress_bar() as bar:
        # Videos that an earlier run has read count as done.
        done = int(rows.known.sum())
        task = bar.add_task("reading headers", total=len(rows.paths), completed=done, status="")
        read = partial(_read, root=root, rate=rate)

        for (row, path), outcome in in_processes(read, unknown, workers, timeout=timeout):
            if isinstance(outcome, BROKEN):
                rows.put_broken(row, status_of(outcome), named(str(root / path), outcome))
            else:
                rows.put(row, outcome)

            status = f"{len(rows.reasons)} broken" if rows.reasons else ""
            bar.update(task, advance=1, status=status)
            if time.monotonic() - saved > SAVED_EVERY:
                yield
                saved = time.monotonic()


def _read(item: tuple[int, str], on_step: OnStep, *, root: Path, rate: float) -> Probed:
    return probe(root / item[1], rate)


def status_of(error: Broken) -> Status:
    """The status of a video whose reading failed with `error`."""
    # The process died or hung in foreign code; everything else is a refusal by the decoder.
    if isinstance(error, HungError):
        return Status.HUNG
    if isinstance(error, DiedError):
        return Status.CRASHED
    return Status.UNREADABLE
