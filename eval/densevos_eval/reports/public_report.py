"""Write a report page from a script; the command `report` parses options and calls this."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from densevos_eval.base.progress import frame_progress, run_header
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.reports.report import WORST, report_input, shown, write_movies, write_report
from densevos_eval.reports.results import read_all


def report(
    results: Path | str,
    out: Path | str | None = None,
    *,
    dataset: str | None = None,
    root: Path | str | None = None,
    split: str = "val",
    names: Sequence[str] = (),
    annotations: str | None = None,
    resolution: str | None = None,
    frames: Literal["all", "required"] = "all",
    against: Path | str | None = None,
    worst: int = WORST,
    movies: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Write one HTML page about a result: numbers, J and F over time, pictures of the worst frames.

    Args:
        results: Folder with masks and the results.json of `densevos-eval score`.
        out: The page; RESULTS/report.html when left out. Movies SEQUENCE.mp4 beside it are linked.
        dataset: Name of the benchmark that the masks belong to; required.
        root: Folder of the benchmark; required.
        split: Split of the benchmark.
        names: Names of the sequences that were scored, if they are not the whole split.
        annotations: Folder of annotations below `root`, instead of the benchmark's own.
        resolution: Folder of one resolution, such as 480p.
        frames: Frames of YouTube-VOS or VOST that were propagated through.
        against: Another folder like `results`, to show the difference to.
        worst: How many sequences are shown in detail, some 80 kB each; the table holds all.
        movies: Write movies of these sequences, too.
        seed: Seed of the bootstrap of the difference.
        progress: Show progress on standard error.

    Returns:
        Path of the page.

    Raises:
        InputError: The benchmark, the results or masks are missing, or do not belong together; or
            annotations or masks have changed since they were scored.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from PIL import Image
    >>> from densevos import write_mask
    >>> from densevos_eval import report
    >>> from densevos_eval.cli import dispatch
    >>> folder = Path(mkdtemp())
    >>> parts = ("data/JPEGImages/cat", "data/Annotations/cat", "masks/cat")
    >>> for part in parts:
    ...     (folder / part).mkdir(parents=True)
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> mask[10:30, 20:40] = 1
    >>> for t in range(4):
    ...     Image.new("RGB", (64, 48), "grey").save(folder / parts[0] / f"{t:05d}.jpg")
    ...     write_mask(folder / parts[1] / f"{t:05d}.png", mask)
    ...     write_mask(folder / parts[2] / f"{t:05d}.png", np.roll(mask, t, axis=1))
    >>> benchmark = ["--dataset", "folder", "--root", str(folder / "data")]
    >>> masks = ["--results", str(folder / "masks"), "--workers", "1"]
    >>> dispatch(["score", *benchmark, *masks])  # writes results.json, prints a table
    folder val, mean over objects (1) ...
    >>> page = report(folder / "masks", dataset="folder", root=folder / "data")
    >>> page.name, "J&amp;F" in page.read_text(encoding="utf-8")
    ('report.html', True)
    """
    results, page = Path(results), Path(out or Path(results) / "report.html")
    benchmark = BenchmarkOptions(
        dataset=dataset,
        root=None if root is None else Path(root),
        split=split,
        sequences=tuple(names),
        annotations=annotations,
        resolution=resolution,
        frames=frames,
    )

    # The difference is that of `results` to `against`.
    folders = [results] if against is None else [results, Path(against)]
    result, *others = read_all(folders)
    sequences = benchmark.load()
    # With `names` only a part of the split is loaded, but the page tells how large the whole is.
    of = benchmark.size_of_split() if names else len(sequences)
    other = others[0] if others else None
    subject = report_input(result, other, sequences, benchmark.protocol(), of)

    # Steps of the progress: each frame of a movie, and each section of the page.
    detailed = shown(subject, worst)
    count = sum(len(sequence.frame_names) for sequence in detailed) if movies else 0
    header = run_header("report", len(detailed), count, {"results": str(results)}, f"into {page}")

    with _progress(count + len(detailed), header, shown=progress) as on_step:
        # Movies come first, since the page links those that it finds beside it.
        if movies:
            write_movies(subject, page.parent, worst=worst, on_frame=on_step)

        generator = np.random.default_rng(seed)
        write_report(subject, page, generator, worst=worst, on_sequence=on_step)

    return page


@contextmanager
def _progress(total: int, header: str, *, shown: bool) -> Iterator[Callable[[str], object]]:
    """What to call after each frame and each sequence; it does nothing unless `shown`."""
    if not shown:
        yield lambda name: None
        return

    with frame_progress(total, "report", header) as on_step:
        yield on_step
