"""`densevos data foreground`: foreground maps of every frame of every video, MAPS/VIDEO/FRAME.png.

A map is an indexed PNG of its frame's size: 0 background, 1 foreground, 255 uncertain.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import new_folder, write_json
from densevos.base.masks import write_mask
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.base.progress import progress_bar
from densevos.data.foreground.crf import require
from densevos.data.foreground.features import pixel_features
from densevos.data.foreground.probability import ForegroundConfig, probabilities, to_map, windows_of
from densevos.data.sources.open import open_source
from densevos.data.sources.source import VideoSource

RECORD = "foreground.json"


@dataclass(frozen=True)
class Video:
    """A video by its index in the source, where its maps go, and the names of its frames."""

    index: int
    folder: Path
    frames: tuple[str, ...]

    def missing(self) -> list[int]:
        """The frames without a map."""
        present = {file.stem for file in self.folder.glob("*.png")} if self.folder.is_dir() else set()
        return [index for index, name in enumerate(self.frames) if name not in present]


@dataclass(frozen=True)
class Chunk:
    """A window of a video, and those of its frames that have no map yet: one task, so that long videos are shared."""

    video: Video
    window: range
    missing: tuple[int, ...]


@dataclass(frozen=True)
class MadeMaps:
    """What `make_maps` did: maps written now, maps found from an earlier run, one line for each broken video."""

    written: int
    kept: int
    broken: tuple[str, ...]


def make_maps(
    source: Path | str,
    out: Path,
    config: ForegroundConfig,
    *,
    workers: int | None = None,
    overwrite: bool = False,
) -> MadeMaps:
    """Write OUT/VIDEO/FRAME.png for every frame of every video of `source`, in parallel processes of one thread each.

    Maps that an earlier run left in `out` are kept, so a stopped run goes on when it is repeated. A frame that cannot
    be read has no map, and of motion and consensus its window has none; the others are finished.
    Raises InputError when `out` holds anything else, or maps made in another way, unless `overwrite` empties it; when
    the CRF, the classifier or the encoder cannot be had; when no video can be read; and when `out` lies in `source`,
    where maps would pass for videos.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1")
    if out.resolve().is_relative_to(Path(source).resolve()):
        raise InputError(f"--out {out}: lies in {source}, where maps would pass for videos; choose another --out")
    videos = open_source(source, "densevos data foreground")
    folders = [out / name for name in videos.names]
    _check_tools(config)
    _open_maps(out, config, overwrite=overwrite, inputs=[Path(source), *videos.inputs])

    opened = dict(in_processes(partial(_open, source=videos), list(enumerate(folders)), workers))
    broken = {
        index: _reason(videos.title(index), error) for (index, _), error in opened.items() if isinstance(error, BROKEN)
    }
    usable = [video for video in opened.values() if isinstance(video, Video)]
    if not usable:
        raise InputError(f"{source}: none of its {len(videos)} videos can be read; the first: {broken[0]}")

    usable.sort(key=lambda video: video.index)
    missing = {video: video.missing() for video in usable}
    kept = sum(len(video.frames) for video in usable) - sum(map(len, missing.values()))
    written = _map_all(videos, missing, config, kept, broken, workers)
    return MadeMaps(written, kept, tuple(broken[index] for index in sorted(broken)))


def _map_all(
    source: VideoSource,
    missing: Mapping[Video, Sequence[int]],
    config: ForegroundConfig,
    kept: int,
    broken: dict[int, str],
    workers: int | None,
) -> int:
    """Make the missing maps and say how many; notes in `broken` why frames cannot be read, once a video."""
    chunks = [
        Chunk(video, window, wanted)
        for video, frames in missing.items()
        for window in windows_of(len(video.frames), config)
        if (wanted := tuple(index for index in frames if index in window))
    ]
    make = partial(_map_frames, source=source, config=config)
    written = 0
    with progress_bar() as bar:
        total = kept + sum(map(len, missing.values()))
        task = bar.add_task("foreground", total=total, completed=kept, status="")
        for chunk, outcome in in_processes(make, chunks, workers):
            count, reason = (0, str(outcome)) if isinstance(outcome, BROKEN) else outcome
            written += count
            if reason:
                index = chunk.video.index
                broken.setdefault(index, _reason(source.title(index), reason))
            bar.update(task, completed=kept + written, status=chunk.video.folder.name)
    return written


def _reason(title: str, error: object) -> str:
    """Why a video has no maps, or not all of them; the line names the video."""
    return str(error) if title in str(error) else f"{title}: {error}"


def _check_tools(config: ForegroundConfig) -> None:
    if config.crf:
        require()
    if config.method == "cam":
        from densevos.data.foreground.cam import load_classifier

        load_classifier(config.network, config.weights)
    if config.encoder:
        pixel_features(config.encoder)


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
    if changed := sorted(key for key in {*record, *earlier} if record.get(key) != earlier.get(key)):
        raise InputError(
            f"{out}: its maps were made with another {', '.join(changed)} ({RECORD});"
            " choose another --out or pass --overwrite"
        )


def _open(item: tuple[int, Path], on_step: OnStep, *, source: VideoSource) -> Video:
    """A video of the source with the folder of its maps; InputError when it cannot be opened."""
    index, folder = item
    return Video(index, folder, tuple(source.open(index).names))


def _map_frames(
    chunk: Chunk, on_step: OnStep, *, source: VideoSource, config: ForegroundConfig
) -> tuple[int, str | None]:
    """Write the maps of some frames; how many, and the first reason why one cannot be read."""
    video = chunk.video
    reader = source.open(video.index)
    video.folder.mkdir(parents=True, exist_ok=True)
    written, reason = 0, None
    for index, found in probabilities(reader, chunk.window, config, chunk.missing):
        if isinstance(found, InputError):
            reason = reason or str(found)
            continue
        ids = to_map(found.probability, found.size, config.uncertain)
        write_mask(video.folder / f"{video.frames[index]}.png", ids)
        written += 1
    return written, reason
