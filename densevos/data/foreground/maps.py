"""`densevos data foreground`: foreground maps of every frame of every video, MAPS/VIDEO/FRAME.png
or in MAPS/VIDEO.zip.

A map is an indexed PNG of its frame's size: 0 background, 1 foreground, 255 uncertain. The work is
cut into tasks: to open a video, to make the maps of one of its windows, to pack what was made. A
video's windows are found when it is opened, so that only those of a few videos are known at a time.
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
    """Something to do for a video, known by its index in the source and its name there."""

    index: int
    video: str


@dataclass(frozen=True)
class Opening(Task):
    """Open the video and find out which maps are missing."""


@dataclass(frozen=True)
class Window(Task):
    """Make the maps of those frames of a window that have none, by index and name, so that long
    videos are shared.
    """

    window: range
    missing: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Packing(Task):
    """Put the maps that were made into the archive."""


@dataclass(frozen=True)
class Opened:
    """What an opened video lacks."""

    kept: int
    windows: tuple[Window, ...]
    waiting: bool
    """Whether maps of an earlier run wait to be packed."""


@dataclass(frozen=True)
class Written:
    """How many maps of a window were written, and the first reason why a frame cannot be read."""

    count: int
    reason: str | None


@dataclass(frozen=True)
class MadeMaps:
    """What `make_maps` did: maps written now, maps found from an earlier run, one line for each
    broken video.
    """

    written: int
    kept: int
    broken: tuple[str, ...]


@dataclass
class _Tally:
    """What was done so far, and how many windows are left of videos that are being worked on."""

    written: int = 0
    kept: int = 0
    opened: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)


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
    """Write a map of every frame of every video of `source`, in parallel processes of one thread
    each.

    Maps that an earlier run left in `out` are kept, so a stopped run goes on when it is repeated. A
    frame that cannot be read has no map, and of motion and consensus its window has none; the
    others are finished.

    Args:
        source: What `--data` of `densevos train` takes.
        out: Folder of maps to write, or to go on with.
        config: How maps are made.
        pack: One archive a video instead of a file a frame; see `MapFolder`.
        shard: "I/N": every N-th video alone.
        workers: Processes; all cores by default.
        timeout: Seconds after which a window that gave no map is given up.
        overwrite: Empty `out` first.

    Raises:
        InputError: `out` holds anything else, or maps made in another way, unless `overwrite`; the
            classifier or the encoder cannot be had; no video can be read; or `out` lies in
            `source`, where maps would pass for videos.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1")

    check_timeout(timeout)
    check_shard_alone(shard, overwrite=overwrite)
    if out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(
            f"--out {out}: lies in {source}, where maps would pass for videos; choose another --out"
        )

    videos = open_source(source, "densevos data foreground")
    names, share = videos.names, shard_range(len(videos), shard)
    _check_tools(config)
    inputs = [Path(source), *videos.inputs]
    open_resumable(out, RECORD, asdict(config), kind="maps", overwrite=overwrite, inputs=inputs)

    tally = _Tally()
    tasks: Growing[Task] = Growing(Opening(index, names[index]) for index in share)
    work = partial(_work, source=videos, config=config, maps=MapFolder(out), pack=pack)
    print_header(f"making maps of {len(share)} videos of {source} by {config.method} into {out}")

    with progress_bar("videos") as bar:
        task = bar.add_task("foreground", total=len(share), status="")
        for done, outcome in in_processes(work, tasks, workers, timeout=timeout):
            if isinstance(outcome, BROKEN):
                tally.broken.setdefault(done.index, named(videos.title(done.index), outcome))
            elif isinstance(outcome, Written) and outcome.reason:
                tally.broken.setdefault(done.index, named(videos.title(done.index), outcome.reason))

            more = _next_tasks(tally, done, outcome, pack=pack)
            tasks.add(more)
            finished = not more and done.index not in tally.left
            bar.update(task, advance=int(finished), status=f"{tally.written} maps")

    if tally.broken and not tally.opened:
        first = tally.broken[min(tally.broken)]
        raise InputError(
            f"{source}: none of its {len(share)} videos can be read; the first: {first}"
        )

    return MadeMaps(
        tally.written, tally.kept, tuple(tally.broken[index] for index in sorted(tally.broken))
    )


def _next_tasks(tally: _Tally, done: Task, outcome: object, *, pack: bool) -> Sequence[Task]:
    """Count what a task gave, and say what is to be done for its video now."""
    packing = [Packing(done.index, done.video)] if pack else []
    if isinstance(outcome, Opened):
        tally.opened += 1
        tally.kept += outcome.kept
        if outcome.windows:
            tally.left[done.index] = len(outcome.windows)

        return outcome.windows or (packing if outcome.waiting else [])

    if isinstance(done, Window):
        tally.written += outcome.count if isinstance(outcome, Written) else 0
        tally.left[done.index] -= 1
        if not tally.left[done.index]:
            del tally.left[done.index]
            return packing

    return []


def _check_tools(config: ForegroundConfig) -> None:
    if config.method == "cam":
        from densevos.data.foreground.cam import load_classifier

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
    """Do a task; InputError when its video cannot be read."""
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
    names = source.open(task.index).names
    unpacked = waiting(maps, task.video) if pack else set()
    present = maps.frames(task.video) | unpacked
    missing = [(index, name) for index, name in enumerate(names) if name not in present]
    windows = [
        Window(task.index, task.video, window, tuple(wanted))
        for window in windows_of(len(names), config)
        if (wanted := [(index, name) for index, name in missing if index in window])
    ]

    return Opened(len(names) - len(missing), tuple(windows), bool(unpacked))


def _map_frames(
    task: Window, on_step: OnStep, source: VideoSource, config: ForegroundConfig, folder: Path
) -> Written:
    """Write the missing maps of a window to a folder."""
    reader = source.open(task.index)
    folder.mkdir(parents=True, exist_ok=True)
    names = dict(task.missing)
    count, reason = 0, None

    for index, found in probabilities(reader, task.window, config, names):
        on_step(task.video)
        if isinstance(found, InputError):
            reason = reason or str(found)
            continue

        ids = to_map(found.probability, found.size, config.uncertain)
        write_mask(folder / f"{names[index]}.png", ids)
        count += 1

    return Written(count, reason)
