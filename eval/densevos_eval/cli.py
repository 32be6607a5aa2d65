"""densevos-eval propagate | score | show | submit: the evaluator's command line; torch is imported where needed."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import tyro

from densevos import console
from densevos.errors import InputError
from densevos.files import new_folder
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


COMMANDS: dict[str, Callable[..., None]] = {
    "propagate": propagate,
    "score": score,
    "show": show,
    "submit": submit,
}


def dispatch(arguments: list[str]) -> None:
    """Run one command."""
    flat = (tyro.conf.OmitArgPrefixes,)
    tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="densevos-eval", args=arguments, config=flat)


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
