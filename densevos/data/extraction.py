"""Videos -> folders of small JPEG frames: random access to JPEGs is cheaper than decoding a video
for each clip.
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
    """What `extract_frames` did: videos written now, videos found from an earlier run, one line for
    each skipped.
    """

    written: int
    kept: int
    skipped: tuple[str, ...]


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
    """Write OUT/VIDEO/00000.jpg ... for every video of `source`, or every so many-th frame, which
    keeps its name.

    The folder of a video appears when all its frames are written. Those that an earlier run left
    are kept, so that a stopped run goes on when it is repeated.

    Args:
        source: What `--data` of `densevos train` takes.
        out: Folder to write, or to go on with.
        short_side: Frames are shrunk to this short side, pixels.
        every: The first of so many frames is kept.
        shard: "I/N": every N-th video alone.
        workers: Processes; all cores by default.
        timeout: Seconds after which a video that gave no frame is given up.
        overwrite: Empty `out` first.

    Raises:
        InputError: Two videos share a name, none can be read, or `out` holds anything else, or
            frames made in another way, unless `overwrite`.
    """
    for flag, value in {"short-side": short_side, "every": every, "workers": workers}.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: must be at least 1")

    check_timeout(timeout)
    check_shard_alone(shard, overwrite=overwrite)
    videos = open_source(source, "densevos data frames")
    names, share = videos.names, shard_range(len(videos), shard)
    settings = {"short_side": short_side, "every": every, "jpeg_quality": JPEG_QUALITY}
    inputs = [Path(source), *videos.inputs]
    open_resumable(out, RECORD, settings, kind="frames", overwrite=overwrite, inputs=inputs)

    reasons: dict[int, str] = {}
    written = 0
    missing = (index for index in share if not (out / names[index]).is_dir())
    print_header(
        f"decoding {len(share)} videos of {source} into {out}, frames of short side {short_side}"
    )

    with progress_bar("videos") as bar:
        task = bar.add_task("frames", total=len(share), status="")
        extract = partial(_extract, source=videos, short_side=short_side, every=every)
        items = ((index, out / names[index]) for index in missing)

        for (index, folder), outcome in in_processes(extract, items, workers, timeout=timeout):
            if isinstance(outcome, BROKEN):
                shutil.rmtree(unfinished(folder), ignore_errors=True)
                reasons[index] = named(videos.title(index), outcome)
            else:
                written += 1

            bar.update(task, advance=1, status=f"{len(reasons)} skipped" if reasons else "")

    skipped = tuple(reasons[index] for index in sorted(reasons))
    if skipped and len(skipped) == len(share):
        raise InputError(
            f"{source}: none of its {len(share)} videos can be read; the first: {skipped[0]}"
        )

    return Extracted(written, len(share) - written - len(skipped), skipped)


def unfinished(folder: Path) -> Path:
    """What the folder of a video is called until it is complete."""
    return folder.with_name(f".{folder.name}.part")


def _extract(
    item: tuple[int, Path], on_step: OnStep, *, source: VideoSource, short_side: int, every: int
) -> None:
    """Write the frames of a video to a folder; InputError when it cannot be read."""
    index, folder = item
    part = unfinished(folder)
    reader = source.open(index)
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    part.mkdir(parents=True)
    frames = zip(reader.names, iterate_frames(reader), strict=True)

    for name, frame in itertools.islice(frames, 0, None, every):
        shrink(Image.fromarray(frame), short_side).save(
            part / f"{name}.jpg", format="JPEG", quality=JPEG_QUALITY
        )
        on_step(name)

    os.rename(part, folder)
