"""The runner: masks for every sequence, whatever kind of segmentation makes them.

It owns what all kinds share: the record of the settings, resuming, shards, processes and their
threads, errors of memory, progress, the list of failures, and the movie of one's own video. A kind
of segmentation is a `MaskWriter`.
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
    is_whole,
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
    """One command of the command line: write the masks of all sequences, report, and draw the
    movie.

    Args:
        title: Title of the progress bar.
        sequences: All sequences, of which `options.shard` may choose a part.
        load: Makes the writer on a device; it is sent to other processes, and called in each of
            them.
        options: Where masks go, and how the run is spread, resumed and shown.
        device: What the user asked for: auto, cpu, cuda, cuda:1, ...
        usual_workers: Number of processes where the user names none; None: one for each GPU.
        movie: Whether the one sequence is the user's own video, which gets a movie.
        broken: Sequences that are known to fail, and why.

    Raises:
        InputError: The output folder or all sequences cannot be used.
        RunError: Some sequences have no result; they have been listed by then.
    """
    from densevos_eval.base.devices import spread_over
    from densevos_eval.base.progress import frame_progress, run_header

    sequences = options.sequences(sequences)
    loads: list[Load] = [
        partial(load, place) for place in spread_over(device, options.workers or usual_workers)
    ]
    writer = loads[0]()

    frames = sum(writer.steps(sequence) for sequence in sequences)
    header = run_header(
        title, len(sequences), frames, writer.settings()[""], *_where(options, loads)
    )

    with (
        stopped_by_sigterm("go on with --resume"),
        frame_progress(frames, title, header) as on_frame,
    ):
        failed = write_all(
            sequences,
            writer,
            options.out,
            overwrite=options.overwrite,
            resume=options.resume or options.shard is not None,
            loads=loads if len(loads) > 1 else (),
            broken=broken,
            on_step=on_frame,
        )

    for line in writer.summary(options.out):
        print(line)

    list_failures(failed, len(sequences))
    if movie and sequences:
        _write_movie(sequences[0], options, background=writer.background)


def _where(options: RunOptions, loads: Sequence[Load]) -> list[str]:
    """Where a run computes and writes, for its header."""
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

    A sequence appears in `out` when it is complete. One that fails does not end the others.

    Args:
        sequences: What to segment.
        writer: Says how. With `loads` it only says what the settings are, and computes nothing.
        out: Folder of the run.
        overwrite: Empty the folder first.
        resume: Go on with the same run: sequences that are complete are left as they are, if
            nothing about them has changed.
        loads: Makers of the same writer, each called in a process of its own that works on a
            sequence at a time. The result does not depend on them.
        broken: Sequences that are known to fail, and why.
        on_step: Called with the sequence's name after each of its frames, and as often for those
            passed over.

    Returns:
        The reasons of the sequences that have no result, by name.

    Raises:
        InputError: The folder cannot be used, which is found out before it is touched; or no
            sequence has a result.
    """
    failed = dict(broken or {})
    for sequence in sequences:
        if sequence.name not in failed and (reason := writer.refusal(sequence)):
            failed[sequence.name] = reason

    check_any(failed, [sequence.name for sequence in sequences])

    folders = _begin(sequences, writer, out, overwrite=overwrite, resume=resume)
    waiting = []
    for sequence in sequences:
        done = False
        try:
            done = resume and sequence.name not in failed and _is_done(writer, folders, sequence)
        except UnreadableError as error:
            failed[sequence.name] = (
                error  # Other errors say that the run is not the same, and end it.
            )

        if not done and sequence.name not in failed:
            waiting.append(sequence)
            continue

        for _ in range(writer.steps(sequence)):
            on_step(sequence.name)

    processes = [partial(_in_process, load, folders, _threads(len(loads))) for load in loads]
    if processes:
        # A long sequence begun last would keep a single process busy.
        waiting.sort(key=lambda sequence: -len(sequence.frame_names))

    write = partial(_write_sequence, writer, folders)
    for sequence, outcome in each(write, waiting, processes=processes, on_step=on_step):
        if isinstance(outcome, BROKEN):
            failed[sequence.name] = outcome

    check_any(failed, [sequence.name for sequence in sequences])
    return failed


def _is_done(writer: MaskWriter, folders: list[Path], sequence: VideoSequence) -> bool:
    """Whether nothing is left to do; InputError when what is there has other inputs, and cannot be
    corrected.
    """
    if _earlier(writer, folders, sequence):
        return False

    return all(is_whole(folder, sequence) for folder in folders)


def _earlier(
    writer: MaskWriter, folders: list[Path], sequence: VideoSequence
) -> EarlierResult | None:
    """The result of an earlier run with other given masks, if the writer can correct it."""
    return earlier_result(folders[0], sequence) if isinstance(writer, CorrectingWriter) else None


def _begin(
    sequences: list[VideoSequence], writer: MaskWriter, out: Path, *, overwrite: bool, resume: bool
) -> list[Path]:
    """Make the folders of the run with the records of their settings, or check that they are of the
    same run.
    """
    (_, own), *below = writer.settings().items()
    inputs = [*writer.inputs, *(path for sequence in sequences for path in sequence.inputs)]
    begin(out, own, overwrite=overwrite, resume=resume, inputs=inputs, file=writer.record)
    for name, settings in below:
        begin(out / name, settings, overwrite=False, resume=True, inputs=[], file=writer.record)

    return [out, *(out / name for name, _ in below)]


def _threads(processes: int) -> int:
    """Threads of each of so many processes; of no other process none need be counted."""
    if not processes:
        return 0

    from densevos_eval.base.devices import threads_of_each

    return threads_of_each(processes)


def _in_process(load: Load, folders: list[Path], threads: int) -> Function[VideoSequence, None]:
    """What a process of its own does with every sequence."""
    from densevos_eval.base.devices import limit_threads

    limit_threads(threads)
    return partial(_write_sequence, load(), folders)


def _write_sequence(
    writer: MaskWriter, folders: list[Path], sequence: VideoSequence, on_step: OnStep
) -> None:
    import torch  # Masks are made with it in any case; what only reads this module does without.

    earlier = _earlier(writer, folders, sequence)
    try:
        with ExitStack() as opened:
            parts = [
                opened.enter_context(written_sequence(folder, sequence, keep=earlier is not None))
                for folder in folders
            ]

            if earlier and isinstance(writer, CorrectingWriter):
                print_notes([writer.rewrite(sequence, earlier, parts, on_step)])
            else:
                writer.write(sequence, parts, on_step)
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise RunError(f"{sequence.source}: memory is too short; {writer.memory_hint}") from error


def _write_movie(sequence: VideoSequence, options: RunOptions, *, background: bool) -> None:
    """Draw the masks of one's own video over it, and say where both are."""
    from densevos_eval.base.progress import frame_progress
    from densevos_eval.drawing.movie import write_movie

    movie = options.out / f"{sequence.name}.mp4"
    with frame_progress(len(sequence.frame_names), "movie") as on_frame:
        write_movie(
            sequence,
            {"": options.out},
            movie,
            fps=options.fps,
            background=background,
            on_frame=lambda name: on_frame("movie"),
        )

    print(
        f"{options.out / sequence.name}: {len(sequence.written)} masks\n{movie}: the movie of them"
    )
    masks = [mask_file(options.out / sequence.name, name) for name in sequence.written]
    if background and not any(read_mask(mask).any() for mask in masks):
        print(f"{sequence.name}: no object in any frame")
