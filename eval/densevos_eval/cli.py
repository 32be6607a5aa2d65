"""The commands of densevos-eval; torch is imported where it is needed."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tyro

from densevos import console
from densevos.errors import InputError
from densevos.files import new_folder, written_whole
from densevos_eval.protocols import BenchmarkOptions
from densevos_eval.settings import EncoderOptions, PropagationConfig, Videos


def score(
    benchmark: BenchmarkOptions,
    results: Path,
    out: Path | None = None,
    workers: int | None = None,
    stability: bool = True,
    decay_uint8: bool = False,
) -> None:
    """Score masks on disk: region similarity J and contour accuracy F of every object, and what a benchmark adds.

    Prints a table and writes global_results-SPLIT.csv, per-sequence_results-SPLIT.csv and results.json.

    Args:
        benchmark: What to score against.
        results: Folder with one mask per frame: SEQUENCE/00000.png.
        out: Folder for the tables; --results when left out.
        workers: Processes to spread the sequences over; one per CPU core when left out.
        stability: Compute temporal stability T where the benchmark has it (davis16); some .1 s for each frame.
        decay_uint8: Number the frames with 8 bits in the decay, as the DAVIS toolbox does; wrong beyond 256 frames.
    """
    from rich.console import Console
    from rich.progress import track

    from densevos_eval.measures import MEASURES, Measured
    from densevos_eval.score import score
    from densevos_eval.tables import measured_table, scores_table, write_measured, write_scores

    screen = Console(stderr=True)
    sequences = benchmark.load()
    protocol = replace(benchmark.protocol(), decay_uint8=decay_uint8)
    if protocol.measure in MEASURES:
        overall, each = MEASURES[protocol.measure](sequences, results)
        measured = Measured(dataset=protocol.name, split=benchmark.split, overall=overall, sequences=each)
        write_measured(measured, out or results)
        Console().print(measured_table(measured))
        return
    scores = score(
        sequences,
        results,
        protocol if stability else replace(protocol, stability=frozenset()),
        split=benchmark.split,
        workers=workers or os.cpu_count() or 1,
        watch=lambda finished: track(
            finished,
            "score",
            total=len(sequences),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        ),
    )
    write_scores(scores, out or results)
    Console().print(scores_table(scores))


def submit(benchmark: BenchmarkOptions, results: Path, out: Path, overwrite: bool = False) -> None:
    """Pack masks for the server of davis17-testdev, ytvos18 or ytvos19; a bad submission is refused.

    Args:
        benchmark: What the masks belong to.
        results: Folder with one mask per frame: SEQUENCE/00000.png.
        out: The zip to upload (NAME.zip), or a folder of the same content.
        overwrite: Replace what is there.
    """
    from densevos_eval.submit import submit

    count = submit(benchmark.load(), results, benchmark.protocol(), out, overwrite=overwrite)
    print(f"{out}: {count} masks, ready for the server")


def propagate(
    videos: Videos,
    encoder: EncoderOptions,
    config: PropagationConfig,
    out: Path,
    overwrite: bool = False,
    fps: float = 24,
) -> None:
    """Propagate given masks through the sequences of a benchmark (--dataset, --root) or one's own --video.

    Writes an indexed PNG per frame, at the frame's size, as OUT/SEQUENCE/FRAME.png, and OUT/propagation.json.
    A --video also gets OUT/SEQUENCE.mp4 with the masks drawn over it.

    Args:
        videos: What to propagate through.
        encoder: What computes the features.
        config: How labels are propagated.
        out: Folder for the masks.
        overwrite: Empty the output folder if it holds files.
        fps: Frames per second of the movie of a --video.
    """
    sequences = videos.load()
    from densevos_eval.encoders import load_encoder
    from densevos_eval.pose import propagate_joints_to_folder
    from densevos_eval.progress import frame_progress
    from densevos_eval.propagate import propagate_to_folder
    from densevos_eval.show import write_movie

    network = load_encoder(encoder.encoder, layer=encoder.layer, device=encoder.device, precision=encoder.precision)
    with frame_progress(sum(len(sequence.frame_names) for sequence in sequences)) as on_frame:
        follow = propagate_joints_to_folder if sequences[0].joints else propagate_to_folder
        follow(sequences, network, config, out, overwrite=overwrite, on_frame=on_frame)
    if videos.video:
        write_movie(sequences[0], {"": out}, out / f"{sequences[0].name}.mp4", fps=fps)


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
    from densevos_eval.progress import frame_progress
    from densevos_eval.show import show

    sequences = benchmark.load()
    folders = _titled_folders(results)
    new_folder(out, overwrite=overwrite)
    with frame_progress(sum(len(sequence.frame_names) for sequence in sequences)) as on_frame:
        show(sequences, folders, out, fps=fps, width=width, movies=movies, on_frame=on_frame)


def _titled_folders(pairs: tuple[str, ...]) -> dict[str, Path]:
    folders = {}
    for pair in pairs:
        title, equals, folder = pair.partition("=")
        if not (title and equals and folder):
            raise InputError(f"--results {pair}: must be TITLE=FOLDER, such as trained=out/trained")
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder of results (--results {pair})")
        folders[title] = Path(folder)
    return folders


def compare(
    results: tyro.conf.Positional[tuple[Path, ...]],
    format: Literal["markdown", "csv", "latex"] = "markdown",
    out: Path | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Compare scored results of one benchmark: differences to the first, sequences won, 95 % bootstrap intervals.

    Args:
        results: Folders with the results.json of densevos-eval score; the others are compared with the first.
        format: Form of the tables; csv holds every number, as shares 0 to 1, the others the means in per cent.
        out: File for the tables, instead of standard output.
        published: Show published figures of the benchmark beside, marked as such.
        seed: Seed of the bootstrap.
    """
    import numpy as np

    from densevos_eval.compare import compare
    from densevos_eval.compare_tables import FORMATS
    from densevos_eval.published import published_rows
    from densevos_eval.results import read_all

    comparison = compare(read_all(results), np.random.default_rng(seed))
    first = comparison.first
    text = FORMATS[format](comparison, published_rows(first.dataset, first.split) if published else ())
    if out is None:
        print(text, end="")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out, "w") as file:
        file.write(text)


def report(
    results: tyro.conf.Positional[Path],
    benchmark: BenchmarkOptions,
    against: Path | None = None,
    out: Path | None = None,
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
        movies: Write the movies too.
        seed: Seed of the bootstrap of the difference.
    """
    import numpy as np

    from densevos_eval.progress import frame_progress
    from densevos_eval.report import judged, write_movies, write_report
    from densevos_eval.results import read_all

    result, *others = read_all([results, against] if against else [results])
    subject = judged(result, others[0] if others else None, benchmark.load(), benchmark.protocol())
    page = out or results / "report.html"
    frames = sum(len(sequence.frame_names) for sequence in subject.sequences) if movies else 0
    with frame_progress(frames + len(subject.sequences)) as on_frame:
        if movies:
            write_movies(subject, page.parent, on_frame=on_frame)
        write_report(subject, page, np.random.default_rng(seed), on_sequence=on_frame)
    print(page)


COMMANDS: dict[str, Callable[..., None]] = {
    "propagate": propagate,
    "score": score,
    "show": show,
    "submit": submit,
    "compare": compare,
    "report": report,
}


def dispatch(arguments: list[str]) -> None:
    """Run one command."""
    flat = (tyro.conf.OmitArgPrefixes,)
    tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="densevos-eval", args=arguments, config=flat)


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
