"""`densevos data frames`: videos -> folders of small JPEG frames.

Reading a few JPEGs of a video is cheaper than decoding the video for each clip.
"""

import itertools
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from densevos.base.errors import InputError
from densevos.base.images import shrink
from densevos.base.parallel import BROKEN, OnStep, check_timeout, in_processes, named, shard_range
from densevos.base.progress import print_header, progress_bar
from densevos.base.resumable import check_shard_alone, open_resumable
from densevos.data.sources.open import open_source
from densevos.data.sources.source import VideoSource, iterate_frames

JPEG_QUALITY = 95
RECORD = "frames.json"


@dataclass(frozen=True)
class Extracted:
    """What `extract_frames` did."""

    written: int
    """Number of videos that this run wrote."""
    kept: int
    """Number of videos that an earlier run wrote."""
    skipped: tuple[str, ...]
    """One line for each video that could not be read."""


def extract_frames(
    source: Path | str,
    out: Path,
    *,
    short_side: int,
    every: int = 1,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    overwrite: bool = False,
) -> Extracted:
    """Write the frames of every video of `source` to OUT/VIDEO/00000.jpg and so on.

    The folder of a video appears when all its frames are written. Folders of an earlier run are
    kept, so a stopped run continues when it is repeated.

    Args:
        source: Any value of `--data` of `densevos train`.
        out: Folder to write, or to continue.
        short_side: Frames are shrunk to this short side, pixels.
        every: Every N-th frame is kept, starting with the first; it keeps its name.
        shard: "I/N" for every N-th video only.
        workers: Number of worker processes; all cores by default.
        timeout: Seconds without a new frame after which a video is skipped.
        overwrite: Whether to empty `out` first.

    Returns:
        Numbers of videos written and kept, and the videos that were skipped.

    Raises:
        InputError: Two videos share a name, no video can be read, or `out` holds other files or
            frames made with other settings and `overwrite` is not set.
    """
    # Check all options before the folder is touched; --overwrite would empty it.
    for flag, value in {"short-side": short_side, "every": every, "workers": workers}.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: must be at least 1")

    check_timeout(timeout)
    check_shard_alone(shard, overwrite=overwrite)

    # Frames of other settings or videos must not be mixed in one folder.
    videos = open_source(source, "densevos data frames")
    names, share = videos.names, shard_range(len(videos), shard)
    settings = {"short_side": short_side, "every": every, "jpeg_quality": JPEG_QUALITY}
    inputs = [Path(source), *videos.inputs]
    open_resumable(out, RECORD, settings, kind="frames", overwrite=overwrite, inputs=inputs)

    reasons: dict[int, str] = {}
    written = 0
    print_header(
        f"decoding {len(share)} videos of {source} into {out}, frames of short side {short_side}"
    )

    with progress_bar("videos") as bar:
        task = bar.add_task("frames", total=len(share), status="")
        extract = partial(_extract, source=videos, short_side=short_side, every=every)
        # Lazy: a video that appears in the meantime, by another command, is not written twice.
        folders = ((index, out / names[index]) for index in share)
        items = ((index, folder) for index, folder in folders if not folder.is_dir())

        for (index, folder), outcome in in_processes(extract, items, workers, timeout=timeout):
            if isinstance(outcome, BROKEN):
                # A process that was killed leaves the frames that it had written.
                shutil.rmtree(unfinished(folder), ignore_errors=True)
                reasons[index] = named(videos.title(index), outcome)
            else:
                written += 1

            status = f"{len(reasons)} skipped" if reasons else ""
            bar.update(task, advance=1, status=status)

    # Videos finish in any order; reasons are listed in the order of the source.
    skipped = tuple(reasons[index] for index in sorted(reasons))
    if skipped and len(skipped) == len(share):
        raise InputError(
            f"{source}: none of its {len(share)} videos can be read; the first: {skipped[0]}"
        )

    # Videos of this share that were neither written nor skipped had a folder already.
    return Extracted(written, len(share) - written - len(skipped), skipped)


def unfinished(folder: Path) -> Path:
    """The name that the folder of a video has until it is complete."""
    return folder.with_name(f".{folder.name}.part")


def _extract(
    item: tuple[int, Path], on_step: OnStep, *, source: VideoSource, short_side: int, every: int
) -> None:
    """Write the frames of a video to a folder; InputError if the video cannot be read."""
    index, folder = item
    part = unfinished(folder)
    reader = source.open(index)
    shutil.rmtree(part, ignore_errors=True)  # A killed run may have left it.
    part.mkdir(parents=True)
    frames = zip(reader.names, iterate_frames(reader), strict=True)

    # Kept frames keep their names, so files about single frames still match them.
    for name, frame in itertools.islice(frames, 0, None, every):
        shrink(Image.fromarray(frame), short_side).save(
            part / f"{name}.jpg", format="JPEG", quality=JPEG_QUALITY
        )
        on_step(name)  # Restarts the time limit.

    # The final name appears with all frames, so a stopped run leaves no incomplete folder.
    os.rename(part, folder)
