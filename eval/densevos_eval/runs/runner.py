"""The runner: write masks of every sequence, for all kinds of segmentation.

A kind of segmentation is a `MaskWriter`. The runner does what all kinds share: the record of the
settings, resuming, shards, processes and their threads, errors of memory, progress, the list of
failures, and the movie of the user's own video.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from densevos.base.console import list_failures, print_notes
from densevos.base.errors import RunError
from densevos.base.masks import read_mask
from densevos.base.names import mask_file
from densevos.base.parallel import (
    BROKEN,
    Broken,
    Function,
    OnStep,
    check_any,
    each,
    stopped_by_sigterm,
)
from densevos_eval.runs.fingerprint import UnreadableError
from densevos_eval.runs.options import RunOptions
from densevos_eval.runs.records import (
    EarlierResult,
    begin,
    earlier_result,
    is_complete,
    written_sequence,
)
from densevos_eval.runs.writer import CorrectingWriter, MaskWriter
from densevos_eval.sequences.sequence import VideoSequence

Load = Callable[[], MaskWriter]


def run(
    title: str,
    sequences: list[VideoSequence],
    load: Callable[[str], MaskWriter],
    options: RunOptions,
    *,
    device: str = "auto",
    usual_workers: int | None = None,
    movie: bool = False,
    broken: Mapping[str, Broken] | None = None,
) -> None:
    """Run a command: write the masks of all sequences, list failures, and draw the movie.

    Args:
        title: Title of the progress bar.
        sequences: All sequences; `options.shard` may choose a part of them.
        load: Makes the writer on a device. It is sent to other processes and called in each.
        options: Where masks go, and how the run is spread, resumed and shown.
        device: The device that the user asked for: auto, cpu, cuda, cuda:1, ...
        usual_workers: Number of processes if the user gives none; None for one for each GPU.
        movie: Whether the only sequence is the user's own video, which gets a movie.
        broken: Name of each sequence that is known to fail -> reason.

    Raises:
        InputError: The output folder or all sequences cannot be used.
        RunError: Some sequences have no result; they have been listed before.
    """
    from densevos_eval.base.devices import spread_over
    from densevos_eval.base.progress import frame_progress, run_header

    # A shard is a part of the sequences, so all counts below are those of the shard.
    sequences = options.sequences(sequences)
    devices = spread_over(device, options.workers or usual_workers)
    loads: list[Load] = [partial(load, place) for place in devices]
    # With several processes, this writer only tells the settings.
    writer = loads[0]()

    # Steps measure the work: some writers have none for frames without a wanted mask.
    frames = sum(writer.steps(sequence) for sequence in sequences)
    settings = writer.settings()[""]
    header = run_header(title, len(sequences), frames, settings, *_where(options, loads))

    with (
        stopped_by_sigterm("go on with --resume"),
        frame_progress(frames, title, header) as on_frame,
    ):
        failed = write_all(
            sequences,
            writer,
            options.out,
            overwrite=options.overwrite,
            # Shards share one folder: the one that starts later continues the run of the first.
            resume=options.resume or options.shard is not None,
            loads=loads if len(loads) > 1 else (),
            broken=broken,
            on_step=on_frame,
        )

    # Results are summed up before failures, whose list ends the command with an error.
    for line in writer.summary(options.out):
        print(line)

    list_failures(failed, len(sequences))
    if movie and sequences:
        _write_movie(sequences[0], options, background=writer.background)


def _where(options: RunOptions, loads: Sequence[Load]) -> list[str]:
    """The lines of a run's header that say where it computes and writes."""
    processes = [f"{len(loads)} processes"] if len(loads) > 1 else []
    return [*processes, f"into {options.out}"]


def write_all(
    sequences: list[VideoSequence],
    writer: MaskWriter,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    loads: Sequence[Load] = (),
    broken: Mapping[str, Broken] | None = None,
    on_step: OnStep = lambda name: None,
) -> dict[str, Broken]:
    """Write OUT/SEQUENCE/... for every sequence, and the record of the settings.

    A sequence appears in `out` when it is complete. If one fails, all others are still processed.

    Args:
        sequences: What to segment.
        writer: Makes the masks. With `loads` it only tells the settings, and computes nothing.
        out: Folder of the run.
        overwrite: Whether to empty the folder first.
        resume: Whether to continue the same run: complete sequences are kept if nothing about them
            has changed.
        loads: Functions that make the same writer. Each is called in a process of its own, which
            works on one sequence at a time. The result does not depend on them.
        broken: Name of each sequence that is known to fail -> reason.
        on_step: Called with the sequence's name after each of its frames, and as often for
            sequences that are skipped.

    Returns:
        Name of each sequence without result -> reason.

    Raises:
        InputError: The folder cannot be used, and is left as it is; or no sequence has a result.
    """
    names = [sequence.name for sequence in sequences]
    # What the writer refuses is known before anything is computed.
    failed = dict(broken or {})
    for sequence in sequences:
        if sequence.name not in failed and (reason := writer.refusal(sequence)):
            failed[sequence.name] = reason

    # Before the folder is touched: a run without any usable sequence must not empty it.
    check_any(failed, names)

    folders = _begin(sequences, writer, out, overwrite=overwrite, resume=resume)
    waiting = []
    for sequence in sequences:
        is_done = False
        try:
            if resume and sequence.name not in failed:
                is_done = _is_done(writer, folders, sequence)
        except UnreadableError as error:
            # Any other InputError means that the run is not the same one, and ends it.
            failed[sequence.name] = error

        if not is_done and sequence.name not in failed:
            waiting.append(sequence)
            continue

        # The progress bar counts the frames of all sequences.
        for _ in range(writer.steps(sequence)):
            on_step(sequence.name)

    processes = [partial(_in_process, load, folders, _threads(len(loads))) for load in loads]
    if processes:
        # Longest first: a long sequence at the end would keep one process busy and all others idle.
        waiting.sort(key=lambda sequence: -len(sequence.frame_names))

    # This function works in this process; with `processes` it is not called.
    write = partial(_write_sequence, writer, folders)
    for sequence, outcome in each(write, waiting, processes=processes, on_step=on_step):
        if isinstance(outcome, BROKEN):
            failed[sequence.name] = outcome

    check_any(failed, names)
    return failed


def _is_done(writer: MaskWriter, folders: list[Path], sequence: VideoSequence) -> bool:
    """Whether a sequence is complete; InputError if its result has other inputs for good."""
    # A result that the writer can correct is not final.
    if _earlier(writer, folders, sequence):
        return False

    return all(is_complete(folder, sequence) for folder in folders)


def _earlier(
    writer: MaskWriter, folders: list[Path], sequence: VideoSequence
) -> EarlierResult | None:
    """The result of an earlier run with other given masks, if the writer can correct it."""
    if not isinstance(writer, CorrectingWriter):
        return None

    return earlier_result(folders[0], sequence)


def _begin(
    sequences: list[VideoSequence], writer: MaskWriter, out: Path, *, overwrite: bool, resume: bool
) -> list[Path]:
    """Make the folders of a run with the records of their settings, or check these records."""
    # The new folder must not hold any file that the run reads.
    inputs = list(writer.inputs)
    for sequence in sequences:
        inputs += sequence.inputs

    # The run's own folder comes first, under the name "". All other folders lie in it, so they are
    # new whenever it is.
    (_, own_settings), *below = writer.settings().items()
    begin(out, own_settings, overwrite=overwrite, resume=resume, inputs=inputs, file=writer.record)

    folders = [out]
    for name, settings in below:
        folder = out / name
        begin(folder, settings, overwrite=False, resume=True, inputs=[], file=writer.record)
        folders.append(folder)

    return folders


def _threads(processes: int) -> int:
    """Number of threads of each process; 0 if all work is done in this one."""
    if not processes:
        return 0

    from densevos_eval.base.devices import threads_of_each

    return threads_of_each(processes)


def _in_process(load: Load, folders: list[Path], threads: int) -> Function[VideoSequence, None]:
    """Load the writer in another process; returns what it does with each sequence."""
    from densevos_eval.base.devices import limit_threads

    # Processes share the cores, so each gets a part of the threads.
    limit_threads(threads)
    return partial(_write_sequence, load(), folders)


def _write_sequence(
    writer: MaskWriter, folders: list[Path], sequence: VideoSequence, on_step: OnStep
) -> None:
    """Write one sequence into all folders, or correct its earlier result."""
    # Torch is slow to import, and commands that only parse options import this module too.
    import torch

    # An earlier result is looked up before its files are replaced.
    earlier = _earlier(writer, folders, sequence)
    try:
        with ExitStack() as opened:
            parts = []
            for folder in folders:
                # A correction copies files of the earlier result, which must therefore stay.
                part = written_sequence(folder, sequence, keep=earlier is not None)
                parts.append(opened.enter_context(part))

            if earlier and isinstance(writer, CorrectingWriter):
                print_notes([writer.rewrite(sequence, earlier, parts, on_step)])
            else:
                writer.write(sequence, parts, on_step)
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise RunError(f"{sequence.source}: memory is too short; {writer.memory_hint}") from error


def _write_movie(sequence: VideoSequence, options: RunOptions, *, background: bool) -> None:
    """Draw the masks over the user's own video, and print where both are."""
    from densevos_eval.base.progress import frame_progress
    from densevos_eval.drawing.movie import write_movie

    # The movie lies beside the folder of masks, which holds nothing but results.
    movie = options.out / f"{sequence.name}.mp4"
    with frame_progress(len(sequence.frame_names), "movie") as on_frame:
        write_movie(
            sequence,
            {"": options.out},  # A single result without title fills the frame.
            movie,
            fps=options.fps,
            background=background,
            on_frame=lambda name: on_frame("movie"),
        )

    folder = options.out / sequence.name
    print(f"{folder}: {len(sequence.written)} masks")
    print(f"{movie}: the movie of them")

    # Empty masks are probably not what the user expects.
    masks = [mask_file(folder, name) for name in sequence.written]
    if background and not any(read_mask(mask).any() for mask in masks):
        print(f"{sequence.name}: no object in any frame")
