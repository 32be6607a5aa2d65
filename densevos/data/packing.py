"""`densevos data pack`: videos -> indexed tar shards, few large files with random access.

The format is described in densevos.data.sources.shard_index. Worker processes pack each video into
a file of its own, and the main process joins the files of each shard. A shard and its list of
videos appear only when they are complete, so a stopped command continues when it is repeated.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, new_folder, write_json
from densevos.base.parallel import (
    BROKEN,
    Broken,
    OnStep,
    check_timeout,
    check_workers,
    in_processes,
    shard_of,
)
from densevos.base.progress import print_header, progress_bar
from densevos.data.packed_video import Format, PackedVideo, write_video
from densevos.data.sources.open import open_source
from densevos.data.sources.shard_index import (
    END,
    INDEX,
    RECORD,
    SETTINGS,
    VERSION,
    ShardIndex,
    joined_names,
    shard_name,
    write_index,
)
from densevos.data.sources.source import VideoSource

UNJOINED = "unjoined"
"""The folder of packed videos that are not yet in a shard."""
COPIED_AT_ONCE = 2**24
"""Size of the buffer that joins files, bytes."""


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How videos are packed."""

    format: Format
    """`jpeg`: one JPEG per frame; `clips`: one H.264 video with a key frame every 12 frames."""
    short_side: int
    """Frames are shrunk to this short side, pixels; smaller frames keep their size."""
    every: int
    """Every N-th frame is kept, starting with the first."""
    shard_size: int
    """Number of videos in a shard."""

    def __post_init__(self) -> None:
        for flag in ("short_side", "every", "shard_size"):
            value = getattr(self, flag)
            if value < 1:
                raise InputError(f"--{flag.replace('_', '-')} {value}: must be at least 1")


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """What `pack_videos` did."""

    packed: int
    """Number of videos in the shards that exist now."""
    broken: tuple[str, ...]
    """One line for each video that is in no shard because it cannot be read."""
    missing: int
    """Number of shards that other commands (--shard) still have to write.

    The command that completes the last shard also writes the index.
    """


def pack_videos(
    source: Path | str,
    out: Path,
    config: PackConfig,
    *,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    overwrite: bool = False,
) -> PackResult:
    """Write the videos of `source` to OUT/shard-00000.tar ..., OUT/index.npz and OUT/shards.json.

    Args:
        source: Any value of `--data` of `densevos train`.
        out: Folder to write, or to continue.
        config: How videos are packed.
        shard: "I/N" for the I-th of N commands that write the same folder; None for all of it.
        workers: Number of worker processes; all cores by default.
        timeout: Seconds without a new frame after which a video is left out.
        overwrite: Whether to empty the folder first.

    Returns:
        Numbers of packed videos and missing shards, and the videos that cannot be read.

    Raises:
        InputError: A value is out of range, `out` holds other files or was packed with other
            settings, two videos share a name, or no video can be read.
    """
    check_workers(workers)
    check_timeout(timeout)
    if overwrite and shard:
        raise InputError(
            "--overwrite: would delete the shards of other commands; pass --overwrite or --shard"
        )

    # Check the folder before any video is decoded, which may take hours.
    videos = open_source(source, "densevos data pack")
    names = videos.names
    _open_folder(out, config, videos, overwrite=overwrite, inputs=[Path(source), *videos.inputs])

    # Videos of each shard: successive ones, in the order of the source.
    groups = []
    for first in range(0, len(names), config.shard_size):
        groups.append(range(first, min(first + config.shard_size, len(names))))

    # A shard with a list is complete, by this command or by an earlier one.
    own = shard_of(list(range(len(groups))), shard, size=lambda number: len(groups[number]))
    unwritten = {number: groups[number] for number in own if not _list_of(out, number).exists()}
    _write_shards(videos, names, out, config, unwritten, workers, timeout)

    # Collect what all shards hold, also those that other commands have written.
    lists = []
    broken: list[str] = []
    packed = 0
    for number in range(len(groups)):
        file = _list_of(out, number)
        if file.exists():
            shard_list = json.loads(file.read_text())
            lists.append(shard_list)
            broken += shard_list["broken"]
            packed += len(shard_list["videos"])

    missing = len(groups) - len(lists)

    # Commands with --shard may run at the same time: the one that ends last writes the index.
    if missing == 0:
        if not packed:
            raise InputError(
                f"{source}: none of its {len(names)} videos can be read; the first: {broken[0]}"
            )

        _finish(out, config, lists, names, broken)

    return PackResult(packed=packed, broken=tuple(broken), missing=missing)


def _open_folder(
    out: Path, config: PackConfig, videos: VideoSource, *, overwrite: bool, inputs: Sequence[Path]
) -> None:
    """Make `out` and record the settings, or check that it was packed with the same settings."""
    settings = {
        "version": VERSION,
        **asdict(config),
        "videos": len(videos),
        "source": videos.identity(),
    }
    file = out / SETTINGS

    # A new folder: record the settings before the first video is packed.
    if overwrite or not file.is_file():
        try:
            new_folder(out, overwrite=overwrite, inputs=inputs)
            write_json(file, settings)
        except InputError:
            # If the record exists now, another --shard has started at the same moment.
            if overwrite or not file.is_file():
                raise

    # A folder of an earlier or a parallel command: shards must be packed alike.
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
        changed = []
        for key in sorted({*settings, *earlier}):
            if settings.get(key) != earlier.get(key):
                changed.append(key)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}: is no record of packing ({error}); choose another --out or --overwrite"
        ) from error

    if changed:
        raise InputError(
            f"{out}: was packed with another {', '.join(changed)} ({SETTINGS});"
            " choose another --out or pass --overwrite"
        )

    (out / UNJOINED).mkdir(exist_ok=True)


def _write_shards(
    videos: VideoSource,
    names: Sequence[str],
    out: Path,
    config: PackConfig,
    groups: dict[int, range],
    workers: int | None,
    timeout: float | None,
) -> None:
    """Pack the videos of some shards, and join each shard as soon as all its videos are done."""
    shard_of_video = {}
    for number, group in groups.items():
        for video in group:
            shard_of_video[video] = number

    outcomes: dict[int, dict[int, PackedVideo | Broken]] = {number: {} for number in groups}
    pack = partial(_pack_video, source=videos, folder=out / UNJOINED, config=config)
    items = [(video, names[video]) for video in shard_of_video]
    print_header(
        f"packing {len(items)} videos as {config.format} of short side {config.short_side}"
        f" into {out}"
    )

    # Decode in parallel; joining only copies bytes, so this process does it between two results.
    with progress_bar() as bar:
        task = bar.add_task("packing", total=len(items), status="")
        for (video, _), outcome in in_processes(pack, items, workers, timeout=timeout):
            # Videos are done in any order; a shard is joined with the last of its videos.
            number = shard_of_video[video]
            outcomes[number][video] = outcome
            if len(outcomes[number]) == len(groups[number]):
                _join(videos, out, number, outcomes.pop(number))

            bar.update(task, advance=1, status=shard_name(number))


def _pack_video(
    item: tuple[int, str], on_step: OnStep, *, source: VideoSource, folder: Path, config: PackConfig
) -> PackedVideo:
    """Write the members of one video to its own file; InputError if any frame is unreadable."""
    video, name = item
    reader = source.open(video)
    # The file appears under its name only when the video is complete.
    with atomic_write(_fragment(folder, video)) as file:
        return write_video(
            file,
            reader,
            key=video,
            name=name,
            format=config.format,
            short_side=config.short_side,
            every=config.every,
            on_frames=lambda: on_step(name),  # Restarts the time limit.
        )


def _join(
    videos: VideoSource, out: Path, number: int, outcomes: Mapping[int, PackedVideo | Broken]
) -> None:
    """Write one shard, then its list, and remove the files of its videos."""
    rows, broken = [], []
    with atomic_write(out / shard_name(number)) as shard:
        # In the order of the source, whatever the order of packing: equal shards in every run.
        for video in sorted(outcomes):
            outcome = outcomes[video]
            if isinstance(outcome, BROKEN):
                broken.append(_reason(videos.title(video), outcome))
                continue

            start = shard.tell()
            with open(_fragment(out / UNJOINED, video), "rb") as file:
                shutil.copyfileobj(file, shard, COPIED_AT_ONCE)

            # The columns of `ShardIndex` after the number of the shard, in its order.
            about, stop = start + outcome.about, start + outcome.size
            size = (outcome.frames, outcome.width, outcome.height)
            rows.append((video, start, about, stop, *size))

        # The end mark of a tar file, so that ordinary tar programs accept the shard.
        shard.write(END)

    # The list marks the shard as complete, so it is written after the shard and before the
    # videos' own files are removed: a command that is stopped in between loses nothing.
    write_json(_list_of(out, number), {"videos": rows, "broken": broken})
    for video in outcomes:
        _fragment(out / UNJOINED, video).unlink(missing_ok=True)


def _finish(
    out: Path,
    config: PackConfig,
    lists: Sequence[dict[str, Any]],
    names: Sequence[str],
    broken: Sequence[str],
) -> None:
    """Write the index of all shards, then the record, which marks the folder as complete."""
    # One row per video of every shard: the shard's number and then the columns of its list.
    rows = []
    for number, shard_list in enumerate(lists):
        for row in shard_list["videos"]:
            rows.append((number, *row))

    shard, key, start, about, stop, frames, width, height = np.array(rows, np.int64).T
    joined, ends = joined_names([names[video] for video in key])
    index = ShardIndex(
        shard=shard.astype(np.int32),
        key=key.astype(np.int32),
        start=start,
        about=about,
        stop=stop,
        frames=frames.astype(np.int32),
        width=width.astype(np.int32),
        height=height.astype(np.int32),
        names=joined,
        name_ends=ends,
    )
    write_index(out / INDEX, index)

    # Readers accept the folder once this record exists.
    record = {
        "version": VERSION,
        **asdict(config),
        "shards": len(lists),
        "videos": len(index),
        "broken": broken,
    }
    write_json(out / RECORD, record)

    # Every shard is joined, so files that remain here are left over from stopped commands.
    shutil.rmtree(out / UNJOINED, ignore_errors=True)


def _fragment(folder: Path, video: int) -> Path:
    """The file of a packed video until its shard is joined."""
    return folder / f"{video:08d}.tar"


def _list_of(out: Path, number: int) -> Path:
    """The file that lists the videos of a shard; it exists once the shard is complete."""
    return (out / shard_name(number)).with_suffix(".json")


def _reason(title: str, error: Exception) -> str:
    """Why a video is in no shard, in a line that names the video."""
    reason = str(error)
    # Most readers name the video themselves; it is not named twice.
    if title in reason:
        return reason
    return f"{title}: {reason}"
