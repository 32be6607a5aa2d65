"""densevos-eval score | submit | show | compare | gap | report: masks become numbers, tables,
pages, uploads.
"""

import warnings
from pathlib import Path
from typing import Literal

import tyro

from densevos.base.console import print_notes, print_table
from densevos.base.errors import InputError
from densevos.base.files import atomic_write, made_folder, new_folder, write_json
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.runs.options import check_fps
from densevos_eval.scoring.options import ScoreOptions, ScoringRun


def score(against: ScoreOptions, scoring: ScoringRun, metric: str | None = None) -> None:
    """Score masks on disk against a benchmark (--dataset, --root), a labelled set (--set SET:ROOT)
    or true masks.

    A benchmark says itself what is scored: region similarity J and contour accuracy F of every
    object, and temporal stability T (davis16); mean IoU of parts (vip); or PCK of joints (jhmdb). A
    labelled set is scored by class: IoU and accuracy of every class over the pixels of all labelled
    frames together, and their means over the classes that the annotations have. Void (255) does not
    count. Of two folders of masks (--truth, --results), J and F of every object are scored in all
    frames that have a true mask.

    Prints a table and writes results.json and, of objects, global_results-SPLIT.csv and
    per-sequence_results-SPLIT.csv, of classes, classes.csv and confusion.png. Sequences that cannot
    be scored are listed at the end; the others are then in results.json and in no other file.

    Args:
        against: What to score against.
        scoring: Which masks are scored.
        metric: Metric to score with, such as joints-box for jhmdb, or module:NAME of your own.
            Without this option it is what the benchmark asks for, and miou for a labelled set.
    """
    # Imported here, so that the help of other commands does not wait for it.
    from densevos_eval.scoring.run import run

    run(against, scoring, metric)


def submit(
    benchmark: BenchmarkOptions, results: tuple[Path, ...], out: Path, overwrite: bool = False
) -> None:
    """Pack masks for the server of a benchmark that has one; a bad submission is refused.

    Args:
        benchmark: What the masks belong to.
        results: Folder with one mask per frame: SEQUENCE/00000.png; or several, each from a --shard
            of propagate.
        out: The zip to upload (NAME.zip), or a folder of the same content.
        overwrite: Replace what is there.
    """
    # Imported here, so that only this command loads what it needs.
    from densevos_eval.scoring.folders import located
    from densevos_eval.submit import submit

    sequences = benchmark.load()
    count = submit(
        sequences, located(sequences, results), benchmark.protocol(), out, overwrite=overwrite
    )
    print(f"{out}: {count} masks, ready for the server")


def show(
    benchmark: BenchmarkOptions,
    results: tuple[str, ...],
    out: Path,
    overwrite: bool = False,
    fps: float = 12,
    width: int = 1920,
    movies: bool = True,
) -> None:
    """Draw results over their frames, side by side: OUT/SEQUENCE.mp4 and OUT/overview.png.

    Args:
        benchmark: The sequences.
        results: Titles and folders of masks: --results random=FOLDER1 trained=FOLDER2.
        out: Folder for movies and the overview.
        overwrite: Empty the output folder if it holds files.
        fps: Frames per second of the movies.
        width: Most pixels that a row of panels may be wide.
        movies: Write the movies too, not only the overview.
    """
    from densevos_eval.base.progress import frame_progress, run_header
    from densevos_eval.reports.results import titled_folders
    from densevos_eval.reports.show import show

    # A wrong option ends the command before the output folder is emptied.
    check_fps(fps)
    sequences = benchmark.load()
    # Joints are points in joints.json; there is no mask that could tint a frame.
    if any(sequence.joints for sequence in sequences):
        raise InputError(
            f"--dataset {benchmark.dataset}: has joints instead of masks, and only masks can be "
            f"drawn"
        )

    # The new folder must not hold what is read: masks, frames or annotations.
    folders = titled_folders(results)
    read = [file for one in sequences for file in (one.source, *one.truth)]
    new_folder(out, overwrite=overwrite, inputs=[*folders.values(), *read])
    # The bar counts frames, not sequences, because sequences differ in length.
    frames = sum(len(sequence.frame_names) for sequence in sequences)
    header = run_header(
        "show", len(sequences), frames, {"results": ", ".join(results)}, f"into {out}"
    )
    with frame_progress(frames, "show", header) as on_frame:
        show(sequences, folders, out, fps=fps, width=width, movies=movies, on_frame=on_frame)


def compare(
    results: tyro.conf.Positional[tuple[Path, ...]],
    format: Literal["markdown", "csv", "latex"] = "markdown",
    out: Path | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Compare scored results of one benchmark: differences to the first, sequences won, 95 %
    bootstrap intervals.

    Intervals are of means over sequences; mIoU, of all pixels together, has none.

    Args:
        results: Folders with the results.json of densevos-eval score; the others are compared with
            the first.
        format: Form of the tables; csv holds every number, as shares 0 to 1, the others the means
            in per cent.
        out: File for the tables, instead of standard output.
        published: Show published figures of the benchmark beside, marked as such, if the results
            are of its whole split.
        seed: Seed of the bootstrap.
    """
    from densevos_eval.reports.public_compare import compare

    # The seed fixes the bootstrap, so the same results give the same intervals.
    tables = compare(results, published=published, seed=seed)
    # Notes are printed apart from the tables, so that the text can be piped or saved as it is.
    print_notes(tables.notes)
    text = tables.text(format)
    if out is None:
        print(text, end="")
        return

    made_folder(out.parent)
    # A file that exists is replaced in one step, so nobody reads half a table.
    with atomic_write(out, "w") as file:
        file.write(text)


def gap(
    before: Path,
    after: Path,
    ceiling: Path | None = None,
    control: Path | None = None,
    statistics: Path | None = None,
    source_before: Path | None = None,
    source_after: Path | None = None,
    out: Path | None = None,
) -> None:
    """Tell how much of a domain gap an adaptation closed, and whether the adversary deserves the
    credit.

    Each option names a folder with the results.json of densevos-eval score; that file alone is
    read. Results on the target must be of the same set, split, classes and frames. The command
    prints a table and one line of judgement. A warning says if something simpler does as well as
    the adversary, or if the source collapsed. Two results count as the same if they differ by 0.5
    points of mIoU or less.

    Args:
        before: Results on the target of the network that was trained on the source alone.
        after: Results on the target of the adapted network.
        ceiling: Results on the target of a network that was trained with the target's labels: the
            end of the gap.
        control: Results on the target of a network that was adapted with --adversarial.mu 0.
        statistics: Results on the target of the source's network by segment --adapt-statistics.
        source_before: Results of the source's network on the source's validation set.
        source_after: Results of the adapted network on the source's validation set.
        out: JSON file for all numbers.
    """
    from densevos_eval.reports.gap import gap_json, gap_table, judgement, read_gap, warnings_of

    # Results on the target and those on the source are read apart: their sets may differ.
    target = {
        "before": before,
        "after": after,
        "ceiling": ceiling,
        "control": control,
        "statistics": statistics,
    }
    measured = read_gap(target, {"source_before": source_before, "source_after": source_after})
    print_table(gap_table(measured))
    print(judgement(measured))
    # Doubts come after the judgement that they weaken.
    for line in warnings_of(measured):
        warnings.warn(line, stacklevel=2)

    # The file holds all numbers, the table only those for the reader.
    if out is not None:
        made_folder(out.parent)
        write_json(out, gap_json(measured))


def report(
    results: tyro.conf.Positional[Path],
    benchmark: BenchmarkOptions,
    against: Path | None = None,
    out: Path | None = None,
    worst: int = 60,
    movies: bool = False,
    seed: int = 0,
) -> None:
    """Write one HTML page about a result: numbers, J and F over time, pictures of the worst frames.

    Movies SEQUENCE.mp4 in the page's folder are linked.

    Args:
        results: Folder with masks and the results.json of densevos-eval score.
        benchmark: What the masks belong to.
        against: Another such folder to show the difference to.
        out: The page; RESULTS/report.html when left out.
        worst: How many sequences are shown in detail, some 80 kB each; the table holds all.
        movies: Write the movies of these sequences too.
        seed: Seed of the bootstrap of the difference.
    """
    from densevos_eval.reports.public_report import report

    # The public function takes single values, so that scripts need no options object.
    page = report(
        results,
        out,
        dataset=benchmark.dataset,
        root=benchmark.root,
        split=benchmark.split,
        names=benchmark.sequences,
        annotations=benchmark.annotations,
        resolution=benchmark.resolution,
        frames=benchmark.frames,
        against=against,
        worst=worst,
        movies=movies,
        seed=seed,
        progress=True,
    )
    print(page)
