"""`densevos data index`: look at the head of every video of a set and write down what was found."""

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
SAVED_EVERY = 30.0
"""Seconds from one writing of the progress file to the next."""


@dataclass
class _Rows:
    """What is known of each video so far, in the order of `paths`."""

    paths: PackedStrings
    columns: dict[str, np.ndarray]
    reasons: dict[int, str] = field(default_factory=dict)
    known: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(cls, paths: PackedStrings) -> "_Rows":
        columns: dict[str, np.ndarray] = {
            name: np.zeros(len(paths), kind) for name, kind in COLUMNS.items()
        }
        return cls(paths, columns, known=np.zeros(len(paths), np.bool_))

    def put(self, row: int, probed: Probed) -> None:
        self.known[row] = True
        for name in ("folder", "frames", "width", "height", "rate"):
            self.columns[name][row] = getattr(probed, name)

    def put_broken(self, row: int, status: Status, reason: str) -> None:
        self.known[row] = True
        self.columns["status"][row] = status
        self.reasons[row] = reason

    def take_over(self, earlier: VideoIndex, *, broken: bool) -> None:
        """What an earlier index says of these videos; of those that are not usable only if
        `broken`.
        """
        where = {path: row for row, path in enumerate(earlier.paths)}
        for row, path in enumerate(self.paths):
            old = where.get(path)
            if old is None or (earlier.status[old] and not broken):
                continue

            self.known[row] = True
            for name in COLUMNS:
                self.columns[name][row] = getattr(earlier, name)[old]

            if reason := earlier.reasons[old]:
                self.reasons[row] = reason

    def index(self, root: Path, dataset: str, split: str) -> VideoIndex:
        """The index of what is known."""
        whole = VideoIndex(
            root=str(root),
            dataset=dataset,
            split=split,
            paths=self.paths,
            reasons=PackedStrings.of(self.reasons.get(row, "") for row in range(len(self.paths))),
            folder=self.columns["folder"],
            frames=self.columns["frames"],
            width=self.columns["width"],
            height=self.columns["height"],
            rate=self.columns["rate"],
            status=self.columns["status"],
        )

        return whole if self.known.all() else whole.take(np.flatnonzero(self.known))


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
    """Look at every video of a split, in parallel processes, and write the index to `out`.

    What was found is written to OUT.part.npz now and then, and a repeated command goes on from
    there. Where `out` is there already, only videos that are new or could not be used are looked
    at, and those that are gone are left out; `overwrite` looks at all of them.

    Args:
        root: The folder that the set was unpacked to.
        layout: How it lies there.
        out: FILE.npz.
        split: The first one of the layout by default.
        shard: "I/N": every N-th video alone. `merged` joins the indexes of all shards.
        workers: Processes; all cores by default.
        timeout: Seconds after which a video that gave nothing is given up.
        overwrite: Begin anew.

    Raises:
        InputError: `root` holds no such videos, `out` is an index of something else, or an option
            cannot be used.
    """
    check_workers(workers)
    check_timeout(timeout)
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: an index must be called FILE.npz")

    root, split = root.resolve(), layout.splits[0] if split is None else split
    found = find_videos(layout, root, split)
    rows = _Rows.of(PackedStrings.of(found[k] for k in shard_range(len(found), shard)))
    del found

    progress = out.with_suffix(".part.npz")
    if not overwrite:
        for file, broken in ((out, False), (progress, True)):
            if file.is_file():
                rows.take_over(
                    _same_set(read_index(file), file, root, layout, split), broken=broken
                )

    made_folder(out.parent)
    try:
        for _ in _probe_all(rows, root, layout.rate or 0, workers, timeout):
            write_index(progress, rows.index(root, layout.name, split))
    except BaseException:  # Stopped by a signal, say: what is known is worth keeping.
        write_index(progress, rows.index(root, layout.name, split))
        raise

    index = rows.index(root, layout.name, split)
    write_index(out, index)
    progress.unlink(missing_ok=True)
    return index


def _same_set(
    earlier: VideoIndex, file: Path, root: Path, layout: Layout, split: str
) -> VideoIndex:
    if (earlier.root, earlier.dataset, earlier.split) != (str(root), layout.name, split):
        raise InputError(
            f"{file}: is an index of {earlier.root} ({earlier.dataset}, split {earlier.split}); choose another --out or"
            " pass --overwrite"
        )

    return earlier


def _probe_all(
    rows: _Rows, root: Path, rate: float, workers: int | None, timeout: float | None
) -> Iterator[None]:
    """Look at the videos that nothing is known of. Yields when it is time to save what is known."""
    saved = time.monotonic()
    unknown = ((int(row), rows.paths[int(row)]) for row in np.flatnonzero(~rows.known))
    print_header(f"looking at {len(rows.paths)} videos below {root}")

    with progress_bar() as bar:
        task = bar.add_task(
            "looking at videos", total=len(rows.paths), completed=int(rows.known.sum()), status=""
        )
        look = partial(_look, root=root, rate=rate)

        for (row, path), outcome in in_processes(look, unknown, workers, timeout=timeout):
            if isinstance(outcome, BROKEN):
                rows.put_broken(row, status_of(outcome), named(str(root / path), outcome))
            else:
                rows.put(row, outcome)

            bar.update(
                task, advance=1, status=f"{len(rows.reasons)} broken" if rows.reasons else ""
            )
            if time.monotonic() - saved > SAVED_EVERY:
                yield
                saved = time.monotonic()


def _look(item: tuple[int, str], on_step: OnStep, *, root: Path, rate: float) -> Probed:
    return probe(root / item[1], rate)


def status_of(error: Broken) -> Status:
    """Why a video that could not be looked at cannot be used."""
    if isinstance(error, HungError):
        return Status.HUNG
    return Status.CRASHED if isinstance(error, DiedError) else Status.UNREADABLE
