"""`densevos data foreground`: foreground maps of every frame of every video, MAPS/VIDEO/FRAME.png.

A map is an indexed PNG of its frame's size: 0 background, 1 foreground, 255 uncertain.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import new_folder, write_json
from densevos.base.masks import write_mask
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.base.progress import progress_bar
from densevos.data.extraction import shrink, video_names
from densevos.data.foreground.crf import require
from densevos.data.foreground.probability import ForegroundConfig, foreground_probability, to_map
from densevos.data.sources.catalogue import find_videos
from densevos.data.sources.readers import open_frames

RECORD = "foreground.json"
CHUNK = 32
"""Frames of one task: long videos are shared out too."""


@dataclass(frozen=True)
class Video:
    """A video, where its maps go, and the names of its frames."""

    path: Path
    folder: Path
    frames: tuple[str, ...]

    def missing(self) -> list[int]:
        """The frames without a map."""
        present = {file.stem for file in self.folder.glob("*.png")} if self.folder.is_dir() else set()
        return [index for index, name in enumerate(self.frames) if name not in present]


@dataclass(frozen=True)
class Chunk:
    """Some frames of a video, by index."""

    video: Video
    frames: tuple[int, ...]


@dataclass(frozen=True)
class MadeMaps:
    """What `make_maps` did: maps written now, maps found from an earlier run, one line for each broken video."""

    written: int
    kept: int
    broken: tuple[str, ...]


def make_maps(
    source: Path, out: Path, config: ForegroundConfig, *, workers: int | None = None, overwrite: bool = False
) -> MadeMaps:
    """Write OUT/VIDEO/FRAME.png for every frame of every video of `source`, in parallel processes of one thread each.

    Maps that an earlier run left in `out` are kept, so a stopped run goes on when it is repeated. A frame that cannot
    be read has no map; the other frames and videos are finished.
    Raises InputError when `out` holds anything else, or maps made in another way, unless `overwrite` empties it; when
    the CRF or the classifier cannot be had; when no video can be read; and when `out` lies in `source`, where maps
    would pass for videos.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1")
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"--out {out}: lies in {source}, where maps would pass for videos; choose another --out")
    videos = find_videos(source)
    folders = [out / name for name in video_names(videos)]
    _check_tools(config)
    _open_maps(out, config, overwrite=overwrite, inputs=[source, *videos])

    opened = dict(in_processes(_open, list(zip(videos, folders, strict=True)), workers))
    broken = {path: _reason(path, error) for (path, _), error in opened.items() if isinstance(error, BROKEN)}
    usable = [video for video in opened.values() if isinstance(video, Video)]
    if not usable:
        raise InputError(f"{source}: none of its {len(videos)} videos can be read; the first: {broken[videos[0]]}")

    usable.sort(key=lambda video: folders.index(video.folder))
    missing = {video: video.missing() for video in usable}
    kept = sum(len(video.frames) for video in usable) - sum(map(len, missing.values()))
    written = _map_all(missing, config, kept, broken, workers)
    return MadeMaps(written, kept, tuple(broken[path] for path in videos if path in broken))


def _map_all(
    missing: Mapping[Video, Sequence[int]],
    config: ForegroundConfig,
    kept: int,
    broken: dict[Path, str],
    workers: int | None,
) -> int:
    """Make the missing maps and say how many; notes in `broken` why frames cannot be read, once a video."""
    chunks = [
        Chunk(video, tuple(frames[first : first + CHUNK]))
        for video, frames in missing.items()
        for first in range(0, len(frames), CHUNK)
    ]
    written = 0
    with progress_bar() as bar:
        total = kept + sum(map(len, missing.values()))
        task = bar.add_task("foreground", total=total, completed=kept, status="")
        for chunk, outcome in in_processes(partial(_map_frames, config=config), chunks, workers):
            count, reason = (0, str(outcome)) if isinstance(outcome, BROKEN) else outcome
            written += count
            if reason:
                broken.setdefault(chunk.video.path, _reason(chunk.video.path, reason))
            bar.update(task, completed=kept + written, status=chunk.video.folder.name)
    return written


def _reason(path: Path, error: object) -> str:
    """Why a video has no maps, or not all of them; the line names the video."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _check_tools(config: ForegroundConfig) -> None:
    if config.crf:
        require()
    if config.method == "cam":
        from densevos.data.foreground.cam import load_classifier

        load_classifier(config.network, config.weights)


def _open_maps(out: Path, config: ForegroundConfig, *, overwrite: bool, inputs: Sequence[Path]) -> None:
    """Make `out` and record how its maps are made; or check that those in it were made alike."""
    record = json.loads(json.dumps(asdict(config)))
    file = out / RECORD
    if overwrite or not file.is_file():
        new_folder(out, overwrite=overwrite, inputs=inputs)
        write_json(file, record)
        return
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: is no record of maps ({error}); choose another --out or pass --overwrite") from error
    if earlier != record:
        changed = sorted(key for key in {*record, *earlier} if record.get(key) != earlier.get(key))
        raise InputError(
            f"{out}: its maps were made with another {', '.join(changed)} ({RECORD});"
            " choose another --out or pass --overwrite"
        )


def _open(item: tuple[Path, Path], on_step: OnStep) -> Video:
    """The video at a path with the folder of its maps; InputError when it cannot be opened."""
    path, folder = item
    return Video(path, folder, tuple(open_frames(path).names))


def _map_frames(chunk: Chunk, on_step: OnStep, *, config: ForegroundConfig) -> tuple[int, str | None]:
    """Write the maps of some frames; how many, and the first reason why one cannot be read."""
    video = chunk.video
    reader = open_frames(video.path)
    video.folder.mkdir(parents=True, exist_ok=True)
    written, reason = 0, None
    for index in chunk.frames:
        try:
            frame = reader.read([index])[0]
        except InputError as error:
            reason = reason or str(error)
            continue
        probability = foreground_probability(np.asarray(shrink(Image.fromarray(frame), config.short_side)), config)
        write_mask(video.folder / f"{video.frames[index]}.png", to_map(probability, frame.shape[:2], config.uncertain))
        written += 1
    return written, reason
