"""The commands of densevos-eval; torch is imported where it is needed."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.files import new_folder, written_whole
from densevos.base.parallel import check_workers
from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.inputs.footage import Unlabelled, Videos
from densevos_eval.presets.describe import preset_facts
from densevos_eval.presets.options import PresetName, PropagationOptions
from densevos_eval.presets.registry import PRESETS
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.runs.options import RunOptions, check_fps
from densevos_eval.scoring.options import ScoreOptions, ScoringRun
from densevos_eval.segmentation.options import NetworkOptions, Pictures
from densevos_eval.sweep.grid import Grid
from densevos_eval.zeroshot.options import CrfOptions, InstanceOptions, ZeroShotOptions


def score(against: ScoreOptions, scoring: ScoringRun, metric: str | None = None) -> None:
    """Score masks on disk against a benchmark (--dataset, --root) or a labelled set (--set SET:ROOT).

    A benchmark says itself what is scored: region similarity J and contour accuracy F of every object, and temporal
    stability T (davis16); mean IoU of parts (vip); or PCK of joints (jhmdb). A labelled set is scored by class: IoU
    and accuracy of every class over the pixels of all labelled frames together, and their means over the classes that
    the annotations have. Void (255) does not count.

    Prints a table and writes results.json and, of objects, global_results-SPLIT.csv and
    per-sequence_results-SPLIT.csv, of classes, classes.csv and confusion.png. Sequences that cannot be scored are
    listed at the end; the others are then in results.json and in no other file.

    Args:
        against: What to score against.
        scoring: Which masks are scored.
        metric: Metric to score with, such as joints-box for jhmdb, or module:NAME of your own. Without this option it
            is what the benchmark asks for, and miou for a labelled set.
    """
    from densevos_eval.scoring.run import run

    run(against, scoring, metric)


def submit(benchmark: BenchmarkOptions, results: tuple[Path, ...], out: Path, overwrite: bool = False) -> None:
    """Pack masks for the server of a benchmark that has one; a bad submission is refused.

    Args:
        benchmark: What the masks belong to.
        results: Folder with one mask per frame: SEQUENCE/00000.png; or several, each from a --shard of propagate.
        out: The zip to upload (NAME.zip), or a folder of the same content.
        overwrite: Replace what is there.
    """
    from densevos_eval.scoring.folders import located
    from densevos_eval.submit import submit

    sequences = benchmark.load()
    count = submit(sequences, located(sequences, results), benchmark.protocol(), out, overwrite=overwrite)
    print(f"{out}: {count} masks, ready for the server")


def propagate(
    videos: Videos,
    encoder: EncoderOptions,
    options: PropagationOptions,
    run: RunOptions,
    save_probabilities: bool = False,
) -> None:
    """Propagate given masks through the sequences of a benchmark (--dataset, --root) or one's own --video.

    Writes an indexed PNG per frame, at the frame's size, as OUT/SEQUENCE/FRAME.png, and OUT/propagation.json.
    A --video also gets OUT/SEQUENCE.mp4 with the masks drawn over it. A folder of masks appears when it is complete.
    Sequences that fail are listed at the end; all others are still processed.

    Args:
        videos: What to propagate through.
        encoder: What computes the features.
        options: How labels are propagated.
        run: Where masks go.
        save_probabilities: Write alpha mattes too, OUT/SEQUENCE/probabilities/ID/FRAME.png (ID 0: the background).
    """
    setup = options.setup(videos.dataset)
    run.check_movie(videos.video is not None)
    sequences = videos.find()
    if (save_probabilities or videos.max_side) and any(sequence.joints for sequence in sequences):
        raise InputError("--save-probabilities, --max-side: are for masks, and this propagates joints; leave them out")
    from densevos_eval.propagation.propagate import Propagation
    from densevos_eval.runs.runner import run as run_all

    load = partial(
        Propagation.loaded,
        encoder=encoder,
        setup=setup,
        max_side=videos.working_side,
        probabilities=save_probabilities,
    )
    run_all("propagate", sequences, load, run, device=encoder.device, movie=videos.video is not None)


def zeroshot(
    videos: Unlabelled, crf: CrfOptions, options: ZeroShotOptions, instances: InstanceOptions, run: RunOptions
) -> None:
    """Find the primary objects of every video without a first mask: by how they move, or with a trained model.

    Writes an indexed PNG per frame (1: object), at the frame's size, as OUT/SEQUENCE/FRAME.png, and with the CRF the
    masks before it as OUT/no-crf/SEQUENCE/FRAME.png: both folders are results for score, compare and report.
    A --video also gets OUT/SEQUENCE.mp4. A folder of masks appears when it is complete. Sequences that fail are listed
    at the end; all others are still processed.

    With --instances every object has an id of its own, the same through the video, and OUT/SEQUENCE/tracks.json lists
    ids, first and last frames and scores. There are then no masks before the CRF.

    Args:
        videos: What to find objects in: a benchmark that can judge foreground against background, or one's own video.
        crf: What refines the masks.
        options: What finds the objects.
        instances: Whether and how objects are told apart.
        run: Where masks go.
    """
    config = crf.config()
    instances.check(videos.dataset, options)
    run.check_movie(videos.video is not None)
    sequences = videos.find()
    from densevos_eval.runs.runner import run as run_all
    from densevos_eval.runs.writer import MaskWriter
    from densevos_eval.zeroshot.instance_level import InstanceLevel
    from densevos_eval.zeroshot.object_level import ObjectLevel, usual_workers

    load: Callable[[str], MaskWriter] = partial(ObjectLevel.loaded, options=options, crf=config)
    if instances.instances:
        load = partial(InstanceLevel.loaded, options=options, instances=instances, crf=config)
    usual = usual_workers(config, len(run.sequences(sequences)))
    own = videos.video is not None
    run_all("zeroshot", sequences, load, run, device=options.device, usual_workers=usual, movie=own)


def segment(pictures: Pictures, options: NetworkOptions, run: RunOptions) -> None:
    """Tell the class of every pixel with a trained segmentation network: a set of images or videos, or one's own video.

    Writes an indexed PNG of class ids per frame, at the frame's size, as OUT/SEQUENCE/FRAME.png (an image is a sequence
    of one frame), and OUT/segment.json with the classes. A --video also gets OUT/SEQUENCE.mp4. A folder of masks
    appears when it is complete. Sequences that fail are listed at the end; all others are still processed. A network
    of clips sees frames as far apart as in training.

    Args:
        pictures: What to segment.
        options: What tells the classes.
        run: Where masks go.
    """
    run.check_movie(pictures.video is not None)
    material = pictures.load()
    console.print_notes(material.notes)
    from densevos_eval.runs.runner import run as run_all
    from densevos_eval.segmentation.segment import SemanticSegmentation

    load = partial(SemanticSegmentation.loaded, options=options, material=material)
    own = pictures.video is not None
    run_all("segment", material.sequences, load, run, device=options.device, movie=own, broken=material.broken)


def frame(video: tyro.conf.Positional[Path], out: Path, at: str | None = None) -> None:
    """Write one frame of a video, at its own size, to paint the objects over.

    Args:
        video: A video file or a folder of frames.
        out: The picture: first.png.
        at: Which frame, by its number or in seconds such as 3.5s; the first when left out.
    """
    from densevos_eval.sequences.own_video import write_frame

    print(write_frame(video, out, at))


def sweep(
    benchmark: BenchmarkOptions,
    encoder: EncoderOptions,
    grid: Grid,
    out: Path,
    overwrite: bool = False,
    workers: int | None = None,
) -> None:
    """Propagate and score with every combination of settings, on features that are computed once.

    Writes masks and scores of each as OUT/SETTING, as propagate and score do (without T), prints a table, best
    setting first, and writes OUT/sweep.csv and OUT/sweep.json. A sequence's features lie on disk in OUT meanwhile:
    13 MB a frame of 480x854. Sequences that fail are listed at the end; all others
    are still processed.

    Args:
        benchmark: What to propagate through and score against.
        encoder: What computes the features.
        grid: Values to try.
        out: Folder for masks, scores and tables.
        overwrite: Empty the output folder if it holds files.
        workers: Processes that score; one per CPU core when left out.
    """
    check_workers(workers)
    sequences, setups = benchmark.load(), grid.setups(benchmark.dataset)
    from densevos_eval.base.progress import frame_progress
    from densevos_eval.sweep.sweep import sweep
    from densevos_eval.sweep.table import sweep_table, write_sweep

    first = next(iter(setups.values()))
    network = encoder.load(
        preferred_layer=first.layer,
        preferred_normalisation=first.normalisation,
        preferred_positions=first.positions,
        frames=first.frames,
    )
    with frame_progress(sum(len(one.frame_names) for one in sequences) * len(setups)) as on_frame:
        result = sweep(
            sequences,
            network,
            setups,
            benchmark.protocol(),
            out,
            split=benchmark.split,
            workers=workers or os.cpu_count() or 1,
            overwrite=overwrite,
            on_frame=on_frame,
        )
    write_sweep(result, out)
    console.print_table(sweep_table(result))
    console.list_failures(result.broken, len(sequences), "mend and sweep again")


def info(
    encoder: tyro.conf.Positional[str | None] = None,
    layer: str | None = None,
    weights_of: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    positions: Positions | None = None,
    scale: float = 1,
    preset: PresetName | None = None,
) -> None:
    """Print what an encoder is, or what a preset is and which numbers were published with it.

    Of an encoder: kind, architecture, layers, stride, normalisation, file, and how it was trained. Of a preset: its
    source, every switch as the option that sets it, published numbers, and what changes on other benchmarks.

    Args:
        encoder: As --encoder of propagate takes it.
        layer: Features that are compared; the encoder's usual ones when left out.
        weights_of: Network to take from a weights file that holds several, such as teacher or encoder_q.
        mean: Mean of R, G and B in 0 to 1, subtracted from frames; that of the weights when left out.
        std: Standard deviation of R, G and B in 0 to 1, by which frames are divided; that of the weights when left out.
        positions: How a vision transformer interpolates its position embeddings to the size of a frame; timm when
            left out.
        scale: Frames are resized by this factor before they are encoded.
        preset: A published protocol, as --preset of propagate takes it.
    """
    if encoder is None and preset is None:
        raise InputError("info: name an encoder, or a protocol with --preset")
    from densevos_eval.base.facts import as_lines

    if preset is not None:
        print("\n".join(as_lines(preset_facts(PRESETS[preset]))))
    if encoder is not None:
        from densevos_eval.adapters.describe import facts

        options = EncoderOptions(
            encoder=encoder,
            layer=layer,
            weights_of=weights_of,
            mean=mean,
            std=std,
            positions=positions,
            scale=scale,
            device="cpu",
        )
        print("\n".join(as_lines(facts(options.load()))))


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
    from densevos_eval.base.progress import frame_progress
    from densevos_eval.reports.results import titled_folders
    from densevos_eval.reports.show import show

    check_fps(fps)
    sequences = benchmark.load()
    if any(sequence.joints for sequence in sequences):
        raise InputError(f"--dataset {benchmark.dataset}: has joints instead of masks, and only masks can be drawn")
    folders = titled_folders(results)
    read = [file for one in sequences for file in (one.source, *one.truth)]
    new_folder(out, overwrite=overwrite, inputs=[*folders.values(), *read])
    with frame_progress(sum(len(sequence.frame_names) for sequence in sequences)) as on_frame:
        show(sequences, folders, out, fps=fps, width=width, movies=movies, on_frame=on_frame)


def compare(
    results: tyro.conf.Positional[tuple[Path, ...]],
    format: Literal["markdown", "csv", "latex"] = "markdown",
    out: Path | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Compare scored results of one benchmark: differences to the first, sequences won, 95 % bootstrap intervals.

    Intervals are of means over sequences; mIoU, of all pixels together, has none.

    Args:
        results: Folders with the results.json of densevos-eval score; the others are compared with the first.
        format: Form of the tables; csv holds every number, as shares 0 to 1, the others the means in per cent.
        out: File for the tables, instead of standard output.
        published: Show published figures of the benchmark beside, marked as such.
        seed: Seed of the bootstrap.
    """
    import numpy as np

    from densevos_eval.reports.compare import compare
    from densevos_eval.reports.compare_tables import FORMATS
    from densevos_eval.reports.published import published_rows
    from densevos_eval.reports.results import read_all

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
    import numpy as np

    from densevos_eval.base.progress import frame_progress
    from densevos_eval.reports.report import judged, shown, write_movies, write_report
    from densevos_eval.reports.results import read_all

    result, *others = read_all([results, against] if against else [results])
    subject = judged(result, others[0] if others else None, benchmark.load(), benchmark.protocol())
    page = out or results / "report.html"
    detailed = shown(subject, worst)
    frames = sum(len(sequence.frame_names) for sequence in detailed) if movies else 0
    with frame_progress(frames + len(detailed)) as on_frame:
        if movies:
            write_movies(subject, page.parent, worst=worst, on_frame=on_frame)
        write_report(subject, page, np.random.default_rng(seed), worst=worst, on_sequence=on_frame)
    print(page)


def matrix(
    plan: tyro.conf.Positional[Path],
    out: Path,
    shard: str | None = None,
    workers: int | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Propagate and score every encoder on every benchmark with every preset of a plan: one table, one page.

    The plan is a TOML file with `presets`, a list; [encoders], a table of NAME = "ENCODER"; a table
    [benchmarks.NAME] for each benchmark, with dataset, root, split, sequences and the other options of a benchmark;
    and perhaps [options], with layer, scale, precision and device.

    Writes masks and scores as OUT/ENCODER/BENCHMARK/PRESET, as propagate and score do, and OUT/matrix.md, matrix.json
    and matrix.html. A run that was stopped goes on: finished cells are kept, and other settings are an error. Cells
    that fail are listed at the end; all others are still made.

    Args:
        plan: The plan.
        out: Folder for masks, scores and tables.
        shard: Make only part I of N of the cells: 1/4, 2/4 and so on, each perhaps on another machine with the same
            --out. The command without this option then writes the tables.
        workers: Processes that share the sequences, when propagating and when scoring; as for these commands when
            left out.
        published: Show published figures of the benchmarks beside, marked as such.
        seed: Seed of the bootstrap.
    """
    check_workers(workers)
    from densevos_eval.matrix.plan import read_plan
    from densevos_eval.matrix.run import run

    run(read_plan(plan), out, propagate, shard=shard, workers=workers, published=published, seed=seed)


def launch(arguments: list[str]) -> None:
    """Read options and, after --, a command; submit it as one job of a cluster, or as several that share it."""
    from densevos.commands.launch import split
    from densevos.launch import launch as submit
    from densevos_eval.launch import SharedOptions, jobs

    options, command = split(arguments, "densevos-eval launch", SharedOptions)
    submit(jobs(command, options.shards), options)


def watch(arguments: list[str]) -> None:
    """Read the run, options of watching, and options of propagate; score what the run writes."""
    from densevos.base.parallel import stopped_by_sigterm
    from densevos_eval.watch import WatchOptions
    from densevos_eval.watch import watch as watch_run

    program = "densevos-eval watch RUN --dataset NAME --root FOLDER"
    options, words = tyro.cli(WatchOptions, args=arguments, prog=program, return_unknown_args=True)
    if not words or words[0].startswith("-"):
        raise InputError(f"densevos-eval watch: no run; write {program}, and other options of propagate")
    with stopped_by_sigterm("run the same command again to go on"):
        watch_run(Path(words[0]), words[1:], options)


def _watch_help() -> None:
    """Score each encoder that a training run writes, and link the best (`densevos-eval watch --help`)."""


def _launch_help() -> None:
    """Submit a command as one or several jobs of a cluster (`densevos-eval launch --help`)."""


COMMANDS: dict[str, Callable[..., None]] = {
    "propagate": propagate,
    "zeroshot": zeroshot,
    "segment": segment,
    "frame": frame,
    "score": score,
    "sweep": sweep,
    "info": info,
    "show": show,
    "submit": submit,
    "compare": compare,
    "report": report,
    "matrix": matrix,
    "watch": _watch_help,
    "launch": _launch_help,
}


RENAMED: dict[str, dict[str, str]] = {
    "segment": {
        "--dataset": "--set SET:ROOT, which names layout and folder of the set; its classes are --wanted",
        "--root": "--set SET:ROOT, which names layout and folder of the set; its classes are --wanted",
        "--classes": "--wanted",
    },
    "sweep": {
        "--contexts": "--context, which takes several values here",
        "--radii": "--radius, which takes several values here",
        "--topks": "--topk, which takes several values here",
        "--temperatures": "--temperature, which takes several values here",
    },
}
"""Options of older versions, by command."""


def dispatch(arguments: list[str]) -> None:
    """Run one command."""
    own = {"launch": launch, "watch": watch}  # What follows them is not all theirs.
    if arguments and arguments[0] in own:
        return own[arguments[0]](arguments[1:])
    renamed = RENAMED.get(arguments[0], {}) if arguments else {}
    if "miou" in arguments or "--metric=miou" in arguments:  # It needs a set now, where there was a dataset.
        renamed = RENAMED["segment"]
    console.refuse_old_spellings(arguments, renamed)
    flat = (tyro.conf.OmitArgPrefixes,)
    return tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="densevos-eval", args=arguments, config=flat)


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
