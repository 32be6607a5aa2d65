"""`densevos data foreground`: write a foreground map of every frame of every video.

Maps are written as MAPS/VIDEO/FRAME.png or into MAPS/VIDEO.zip. A map is an indexed PNG of its
frame's size: 0 background, 1 foreground, 255 uncertain.

The work is split into tasks: open a video, make the maps of one of its windows, pack the maps of a
video. A video's windows are listed when it is opened, so memory holds the windows of only a few
videos at a time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos.base.parallel import (
    BROKEN,
    Growing,
    OnStep,
    check_timeout,
    in_processes,
    named,
    shard_range,
)
from densevos.base.progress import print_header, progress_bar
from densevos.base.resumable import check_shard_alone, open_resumable
from densevos.data.foreground.features import pixel_features
from densevos.data.foreground.map_files import MapFolder, waiting
from densevos.data.foreground.probability import ForegroundConfig, probabilities, to_map, windows_of
from densevos.data.sources.open import open_source
from densevos.data.sources.source import VideoSource

RECORD = "foreground.json"


@dataclass(frozen=True)
class Task:
    """A task for one video, which is given by its index and its name in the source."""

    index: int
    video: str


@dataclass(frozen=True)
class Opening(Task):
    """Open the video and list its missing maps."""


@dataclass(frozen=True)
class Window(Task):
    """Make the missing maps of one window, so that several processes can share a long video."""

    window: range
    """Indices of the frames of the window."""
    missing: tuple[tuple[int, str], ...]
    """Index and name of each frame of the window that has no map."""


@dataclass(frozen=True)
class Packing(Task):
    """Put the finished maps of the video into its archive."""


@dataclass(frozen=True)
class Opened:
    """The result of `Opening`: what is left to do for a video."""

    kept: int
    """Number of frames that have a map already."""
    windows: tuple[Window, ...]
    """The windows with missing maps."""
    waiting: bool
    """Whether an earlier run left maps that are not packed yet."""


@dataclass(frozen=True)
class Written:
    """The result of `Window`: what was written."""

    count: int
    """Number of maps that were written."""
    reason: str | None
    """Why the first unreadable frame cannot be read; None if all frames can be read."""


@dataclass(frozen=True)
class MadeMaps:
    """What `make_maps` did."""

    written: int
    """Number of maps that this run wrote."""
    kept: int
    """Number of maps that an earlier run wrote."""
    broken: tuple[str, ...]
    """One line for each video that failed, in the order of the source."""


@dataclass
class _Tally:
    """Progress so far; videos are given by their index in the source."""

    written: int = 0
    kept: int = 0
    opened: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    """Video -> the first reason why it failed."""
    left: dict[int, int] = field(default_factory=dict)
    """Video -> number of windows that are not finished."""


def make_maps(
    source: Path | str,
    out: Path,
    config: ForegroundConfig,
    *,
    pack: bool = False,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    overwrite: bool = False,
) -> MadeMaps:
    """Write a map of every frame of every video of `source`, in parallel processes.

    Maps that an earlier run left in `out` are kept, so repeating the command resumes a stopped run.
    A frame that cannot be read gets no map. With motion and consensus the other frames of its
    window get none either. All other frames are still processed. Each process uses one thread.

    Args:
        source: Videos, in any form that `--data` of `densevos train` accepts.
        out: Folder of maps to create or to continue.
        config: How maps are made.
        pack: Write one archive per video instead of one file per frame; see `MapFolder`.
        shard: "I/N": process only every N-th video, starting with number I.
        workers: Number of processes; all cores by default.
        timeout: Seconds without a new map after which a window is given up.
        overwrite: Empty `out` first.

    Returns:
        The numbers of maps and the videos that failed.

    Raises:
        InputError: Without `overwrite`, `out` holds other files or maps made with other settings;
            the classifier or the encoder cannot be loaded; no video can be read; or `out` lies in
            `source`, where maps would be taken for videos.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1")

    # Wrong options are reported before the folder is touched.
    check_timeout(timeout)
    check_shard_alone(shard, overwrite=overwrite)
    if out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(
            f"--out {out}: lies in {source}, where maps would be taken for videos; choose another"
            " --out"
        )

    videos = open_source(source, "densevos data foreground")
    names = videos.names
    share = shard_range(len(videos), shard)

    # Missing weights are an error before `out` is touched, not once in every process.
    _check_tools(config)
    inputs = [Path(source), *videos.inputs]
    open_resumable(out, RECORD, asdict(config), kind="maps", overwrite=overwrite, inputs=inputs)

    # Each video starts with one task; its windows become known when it is opened.
    tally = _Tally()
    tasks: Growing[Task] = Growing(Opening(index, names[index]) for index in share)
    work = partial(_work, source=videos, config=config, maps=MapFolder(out), pack=pack)
    print_header(f"making maps of {len(share)} videos of {source} by {config.method} into {out}")

    with progress_bar("videos") as bar:
        task = bar.add_task("foreground", total=len(share), status="")
        for done, outcome in in_processes(work, tasks, workers, timeout=timeout):
            # A video is reported once, with the first reason.
            if isinstance(outcome, BROKEN):
                tally.broken.setdefault(done.index, named(videos.title(done.index), outcome))
            elif isinstance(outcome, Written) and outcome.reason:
                tally.broken.setdefault(done.index, named(videos.title(done.index), outcome.reason))

            more = _next_tasks(tally, done, outcome, pack=pack)
            tasks.add(more)

            # A video is finished when it has no task left, neither new nor under way.
            finished = not more and done.index not in tally.left
            bar.update(task, advance=int(finished), status=f"{tally.written} maps")

    # If not even one video can be opened, the source itself is wrong.
    if tally.broken and not tally.opened:
        first = tally.broken[min(tally.broken)]
        raise InputError(
            f"{source}: none of its {len(share)} videos can be read; the first: {first}"
        )

    # Tasks end in any order; the report has the order of the source.
    broken = tuple(tally.broken[index] for index in sorted(tally.broken))
    return MadeMaps(tally.written, tally.kept, broken)


def _next_tasks(tally: _Tally, done: Task, outcome: object, *, pack: bool) -> Sequence[Task]:
    """Count the outcome of a task, and return the next tasks of its video."""
    packing = [Packing(done.index, done.video)] if pack else []
    if isinstance(outcome, Opened):
        tally.opened += 1
        tally.kept += outcome.kept
        if outcome.windows:
            tally.left[done.index] = len(outcome.windows)
            return outcome.windows

        # All maps are made, but an earlier run was stopped before it packed them.
        return packing if outcome.waiting else []

    if isinstance(done, Window):
        if isinstance(outcome, Written):
            tally.written += outcome.count

        # Maps are packed after the last window of the video, also if some windows failed.
        tally.left[done.index] -= 1
        if not tally.left[done.index]:
            del tally.left[done.index]
            return packing

    return []


def _check_tools(config: ForegroundConfig) -> None:
    """Raise InputError if the classifier or the encoder cannot be loaded."""
    # A failure here is one message instead of one in every worker process.
    if config.method == "cam":
        from densevos.data.foreground.cam import load_classifier  # slow: it imports torch

        load_classifier(config.network, config.weights)

    if config.encoder:
        pixel_features(config.encoder)


def _work(
    task: Task,
    on_step: OnStep,
    *,
    source: VideoSource,
    config: ForegroundConfig,
    maps: MapFolder,
    pack: bool,
) -> Opened | Written | None:
    """Do a task; InputError if its video cannot be read."""
    if isinstance(task, Window):
        folder = maps.to_be_packed(task.video) if pack else maps.loose(task.video)
        return _map_frames(task, on_step, source, config, folder)

    if isinstance(task, Opening):
        return _open(task, source, config, maps, pack=pack)

    maps.pack(task.video)
    return None


def _open(
    task: Opening, source: VideoSource, config: ForegroundConfig, maps: MapFolder, *, pack: bool
) -> Opened:
    """List the missing maps of a video, window by window."""
    # With packing, maps that wait for it are present as well.
    names = source.open(task.index).names
    unpacked = waiting(maps, task.video) if pack else set()
    present = maps.frames(task.video) | unpacked
    missing = [(index, name) for index, name in enumerate(names) if name not in present]

    # Windows without a missing map are finished and get no task.
    windows: list[Window] = []
    for window in windows_of(len(names), config):
        wanted = tuple((index, name) for index, name in missing if index in window)
        if wanted:
            windows.append(Window(task.index, task.video, window, wanted))

    return Opened(len(names) - len(missing), tuple(windows), bool(unpacked))


def _map_frames(
    task: Window, on_step: OnStep, source: VideoSource, config: ForegroundConfig, folder: Path
) -> Written:
    """Write the missing maps of a window to a folder."""
    # Opened anew for each window, as windows of a video run in different processes.
    reader = source.open(task.index)
    folder.mkdir(parents=True, exist_ok=True)
    names = dict(task.missing)
    count = 0
    reason: str | None = None

    for index, foreground in probabilities(reader, task.window, config, names):
        on_step(task.video)  # restarts the timeout
        if isinstance(foreground, InputError):
            reason = reason or str(foreground)
            continue

        ids = to_map(foreground.probability, foreground.size, config.uncertain)
        write_mask(folder / f"{names[index]}.png", ids)
        count += 1

    return Written(count, reason)
