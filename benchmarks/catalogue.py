"""Knowing 300,000 videos at the start of a run: an index against searching the folder.

    python benchmarks/catalogue.py [--videos 300000] [--classes 400] [--rounds 2]

* plain: a sorted list of the paths of all video files, and the size of each for a fingerprint.
* folder: what --data FOLDER does, with its identity.
* index: what --data FILE.npz does, with its identity.

The files are empty and lie in folders of classes below a temporary folder. Their names are in the
cache of the system, which favours the first two. Each row is a process of its own, the fastest of
some. Its memory is what it grows by; `reader_mb` is what a forked process has for itself after it
looked at every path, as the reading processes of training do in time.

The script checks that all three know the same videos, and prints a table and, as the last line, one
JSON object.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import page_tables
from densevos.base.packed import PackedStrings
from densevos.data.sources.index_file import VideoIndex, write_index
from densevos.data.sources.open import open_source
from harness import Row, in_own_process, parser_of, report, resident_mb

KINDS = ("plain", "folder", "index")


def main() -> None:
    """Make the tree, run every row in a process of its own, print; or be that process."""
    parser = parser_of(__doc__, own_processes=True)
    parser.add_argument("--videos", type=int, default=300_000)
    parser.add_argument("--classes", type=int, default=400)
    parser.add_argument(
        "--rounds", type=int, default=2, help="each row is run so often; the fastest counts"
    )
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_row(options.one, options.root)))
        return

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "train"
        make_tree(root, options.videos, options.classes)
        rows: dict[str, Row] = {}

        # The kinds take turns, so other work on the machine touches all alike.
        for _ in range(options.rounds):
            for kind in KINDS:
                row = in_own_process([__file__, "--one", kind, "--root", str(root)])
                if kind not in rows or row["cpu"] < rows[kind]["cpu"]:
                    rows[kind] = row

    # A fast way that knows other videos would be no comparison.
    hashes = {row.pop("videos_sha256") for row in rows.values()}
    assert len(hashes) == 1, "they know different videos"

    from densevos.engine.provenance import commit  # Imports torch, which the rows do without.

    # On a machine that others use, only the time of the processor says how much work there is.
    seconds = {kind: float(row["cpu"]) for kind, row in rows.items()}
    command = ["python benchmarks/catalogue.py"]
    command += [f"--videos {options.videos}", f"--classes {options.classes}"]
    figures = {
        "videos": options.videos,
        "rows": rows,
        "times_faster_than_plain": round(seconds["plain"] / seconds["index"], 1),
        "times_faster_than_folder": round(seconds["folder"] / seconds["index"], 1),
        "command": " ".join(command),
        "date": f"{datetime.date.today()}",
        "commit": commit(),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
        },
    }
    report(figures, page_tables.catalogue(figures), out=options.out)


def make_tree(root: Path, videos: int, classes: int) -> None:
    """Empty files ROOT/CLASS/ID.mp4, and an index of them beside ROOT."""
    # Names as Kinetics has them: the id of YouTube, and the first and last second of the clip.
    paths = []
    for number in range(videos):
        first, last = number % 300, number % 300 + 10
        name = f"{hash_of(number)}_{first:06d}_{last:06d}.mp4"
        paths.append(f"class number {number % classes:03d}/{name}")

    for number in range(min(videos, classes)):
        (root / f"class number {number:03d}").mkdir(parents=True)

    # Raw system calls, without Python's buffers and encodings: there are hundreds of thousands.
    for path in paths:
        os.close(os.open(root / path, os.O_CREAT | os.O_WRONLY))

    paths.sort()
    count = len(paths)

    # Ten seconds of 30 frames at 340x256 pixels, in which copies of Kinetics are often kept.
    index = VideoIndex(
        root=str(root),
        dataset="kinetics400",
        split="train",
        paths=PackedStrings.of(paths),
        folder=np.zeros(count, np.bool_),
        frames=np.full(count, 300, np.int32),
        width=np.full(count, 340, np.int32),
        height=np.full(count, 256, np.int32),
        rate=np.full(count, 30, np.float32),
        status=np.zeros(count, np.uint8),
        reasons=PackedStrings.of("" for _ in paths),
    )
    write_index(index_of(root), index)


def hash_of(number: int) -> str:
    """Eleven letters, as YouTube's names have."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:11]


def index_of(root: Path) -> Path:
    """Where the index of the tree is."""
    return root.parent / "index.npz"


def one_row(kind: str, root: Path) -> Row:
    """Time and memory of one way to know the videos."""
    before, start, busy = resident_mb(), time.perf_counter(), time.process_time()
    if kind == "plain":
        titles, identity = plain(root)
    elif kind == "folder":
        titles, identity = ours(root)
    else:
        titles, identity = ours(index_of(root))

    loaded = time.perf_counter()

    # The identity is what a run records of its data.
    identity()
    done, cpu = time.perf_counter(), time.process_time() - busy
    grown = resident_mb() - before

    # Forking and hashing come after all clocks have stopped.
    return {
        "load": round(loaded - start, 3),
        "identity": round(done - loaded, 3),
        "seconds": round(done - start, 3),
        "cpu": round(cpu, 3),
        "mb": round(grown, 1),
        "reader_mb": round(private_mb_of_a_fork(titles), 1),
        "videos_sha256": hashlib.sha256("\n".join(sorted(titles())).encode()).hexdigest(),
    }


def plain(root: Path) -> tuple[Callable[[], Iterable[str]], Callable[[], object]]:
    """Paths in a list, and a hash of names and sizes."""
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() == ".mp4")

    def identity() -> str:
        return hashlib.sha256(
            "\n".join(f"{path} {path.stat().st_size}" for path in paths).encode()
        ).hexdigest()

    return lambda: map(str, paths), identity


def ours(data: Path) -> tuple[Callable[[], Iterable[str]], Callable[[], object]]:
    """What training does with --data."""
    source = open_source(data)
    return lambda: map(source.title, range(len(source))), source.identity


def private_mb_of_a_fork(titles: Callable[[], Iterable[str]]) -> float:
    """MB of its own that a forked process gains while it looks at every title.

    Memory that it shares with its parent does not count: Linux copies a page when one of the two
    writes to it, and counting references is writing.
    """
    # The child returns its figure through a pipe, since it shares no variables.
    reading_end, writing_end = os.pipe()
    if os.fork() == 0:
        before = private_mb()
        for _ in titles():
            pass

        # Leave without Python's clean-up, which is the parent's to do.
        os.write(writing_end, str(private_mb() - before).encode())
        os._exit(0)

    os.wait()
    return float(os.read(reading_end, 100))


def private_mb() -> float:
    """Memory of this process that no other one shares."""
    # Private_Clean, Private_Dirty and Private_Hugetlb, each in kB.
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


if __name__ == "__main__":
    main()
