"""Videos -> indexed tar shards, see densevos.data.sources.shard_index: few large files, read at
random by their index.

Processes pack one video each into a file of its own, and this process joins the files of each
shard. A shard and its list of videos appear only when they are complete, so that a stopped command
goes on where it was.
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
"""Bytes."""


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How videos are packed."""

    format: Format
    """jpeg: one JPEG a frame. clips: one H.264 video with a key frame every 12 frames."""
    short_side: int
    """Frames are shrunk to this short side, pixels; smaller ones stay as they are."""
    every: int
    """The first of so many frames is kept."""
    shard_size: int
    """Videos in a shard."""

    def __post_init__(self) -> None:
        for flag in ("short_side", "every", "shard_size"):
            if getattr(self, flag) < 1:
                raise InputError(
                    f"--{flag.replace('_', '-')} {getattr(self, flag)}: must be at least 1"
                )


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """What `pack_videos` did."""

    packed: int
    """Videos in the shards that are there now."""
    broken: tuple[str, ...]
    """One line for each video that is in no shard because it cannot be read."""
    missing: int
    """Shards that other commands (--shard) have still to write; the index is written with the last
    one.
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
        source: What `--data` of `densevos train` takes.
        out: Folder to write, or to go on with.
        config: How.
        shard: I/N, for the I-th of N commands that write the same folder; None: all of it.
        workers: Processes; all cores by default.
        timeout: Seconds after which a video that gives no frame is left out.
        overwrite: Empty the folder first.

    Raises:
        InputError: A value is out of range, `out` holds anything else or was packed in another way,
            two videos share a name, or no video can be read.
    """
    check_workers(workers)
    check_timeout(timeout)
    if overwrite and shard:
        raise InputError("--overwrite: would delete what other --shard wrote; pass one of the two")

    videos = open_source(source, "densevos data pack")
    names = videos.names
    _open_folder(out, config, videos, overwrite=overwrite, inputs=[Path(source), *videos.inputs])
    size = config.shard_size
    groups = [range(first, min(first + size, len(names))) for first in range(0, len(names), size)]
    mine = shard_of(list(range(len(groups))), shard, size=lambda number: len(groups[number]))
    todo = {number: groups[number] for number in mine if not _list_of(out, number).exists()}
    _write_shards(videos, names, out, config, todo, workers, timeout)

    lists = [
        json.loads(file.read_text())
        for number in range(len(groups))
        if (file := _list_of(out, number)).exists()
    ]
    missing = len(groups) - len(lists)
    broken = tuple(line for each in lists for line in each["broken"])
    packed = sum(len(each["videos"]) for each in lists)

    if missing == 0:
        if not packed:
            raise InputError(
                f"{source}: none of its {len(names)} videos can be read; the first: {broken[0]}"
            )

        _finish(out, config, lists, names, broken)

    return PackResult(packed=packed, broken=broken, missing=missing)


def _open_folder(
    out: Path, config: PackConfig, videos: VideoSource, *, overwrite: bool, inputs: Sequence[Path]
) -> None:
    """Make `out` and record what is packed and how; or check that what is in it is packed alike."""
    settings = {
        "version": VERSION,
        **asdict(config),
        "videos": len(videos),
        "source": videos.identity(),
    }
    file = out / SETTINGS

    if overwrite or not file.is_file():
        try:
            new_folder(out, overwrite=overwrite, inputs=inputs)
            write_json(file, settings)
        except InputError:
            if (
                overwrite or not file.is_file()
            ):  # Otherwise another --shard began at the same moment.
                raise

    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
        changed = sorted(
            key for key in {*settings, *earlier} if settings.get(key) != earlier.get(key)
        )
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
    """Pack the videos of some shards; each shard is joined when all of its videos are done."""
    shard_of_video = {video: number for number, group in groups.items() for video in group}
    outcomes: dict[int, dict[int, PackedVideo | Broken]] = {number: {} for number in groups}
    pack = partial(_pack_video, source=videos, folder=out / UNJOINED, config=config)
    items = [(video, names[video]) for video in shard_of_video]
    print_header(
        f"packing {len(items)} videos as {config.format} of short side {config.short_side} into {out}"
    )

    with progress_bar() as bar:
        task = bar.add_task("packing", total=len(items), status="")
        for (video, _), outcome in in_processes(pack, items, workers, timeout=timeout):
            number = shard_of_video[video]
            outcomes[number][video] = outcome
            if len(outcomes[number]) == len(groups[number]):
                _join(videos, out, number, outcomes.pop(number))

            bar.update(task, advance=1, status=shard_name(number))


def _pack_video(
    item: tuple[int, str], on_step: OnStep, *, source: VideoSource, folder: Path, config: PackConfig
) -> PackedVideo:
    """Write the members of one video to a file of its own; InputError when it cannot be read
    whole.
    """
    video, name = item
    reader = source.open(video)
    with atomic_write(_fragment(folder, video)) as file:
        return write_video(
            file,
            reader,
            key=video,
            name=name,
            format=config.format,
            short_side=config.short_side,
            every=config.every,
            on_frames=lambda: on_step(name),
        )


def _join(
    videos: VideoSource, out: Path, number: int, outcomes: Mapping[int, PackedVideo | Broken]
) -> None:
    """Write one shard of the videos that could be packed, then its list, and remove what it was
    joined from.
    """
    rows, broken = [], []
    with atomic_write(out / shard_name(number)) as shard:
        for video in sorted(outcomes):
            outcome = outcomes[video]
            if isinstance(outcome, BROKEN):
                broken.append(_reason(videos.title(video), outcome))
                continue

            start = shard.tell()
            with open(_fragment(out / UNJOINED, video), "rb") as file:
                shutil.copyfileobj(file, shard, COPIED_AT_ONCE)

            place = (start, start + outcome.about, start + outcome.size)
            rows.append((video, *place, outcome.frames, outcome.width, outcome.height))

        shard.write(END)

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
    """Write the index of all shards, then the record that makes the folder one to read."""
    rows = [(number, *row) for number, each in enumerate(lists) for row in each["videos"]]
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
    record = {
        "version": VERSION,
        **asdict(config),
        "shards": len(lists),
        "videos": len(index),
        "broken": broken,
    }
    write_json(out / RECORD, record)
    shutil.rmtree(out / UNJOINED, ignore_errors=True)


def _fragment(folder: Path, video: int) -> Path:
    return folder / f"{video:08d}.tar"


def _list_of(out: Path, number: int) -> Path:
    """The list of the videos in a shard, which is there once the shard is complete."""
    return (out / shard_name(number)).with_suffix(".json")


def _reason(title: str, error: Exception) -> str:
    """Why a video is in no shard; the line names the video."""
    return str(error) if title in str(error) else f"{title}: {error}"
