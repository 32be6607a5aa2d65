"""Videos -> folders of small JPEG frames: random access to JPEGs is cheaper than decoding a video for each clip."""

import itertools
import shutil
from functools import partial
from pathlib import Path

from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import new_folder, written_whole
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.data.sources.open import open_source
from densevos.data.sources.source import VideoSource, iterate_frames

JPEG_QUALITY = 95


def extract_frames(
    source: Path | str,
    out: Path,
    *,
    short_side: int,
    every: int = 1,
    workers: int | None = None,
    overwrite: bool = False,
) -> tuple[int, list[str]]:
    """Write OUT/VIDEO/00000.jpg ... for every video of `source`, or every so many-th frame, which keeps its name.

    Returns how many videos were written, and one line for each that cannot be read. Raises InputError when
    two videos share a name or none can be read, and when `out` holds files, unless `overwrite`.
    """
    for flag, value in {"short-side": short_side, "every": every, "workers": workers}.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: must be at least 1")
    videos = open_source(source, "densevos data frames")
    folders = [out / name for name in videos.names]
    new_folder(out, overwrite=overwrite, inputs=[Path(source), *videos.inputs])

    # A process that dies leaves half a video, which must not be taken for a whole one.
    extract = partial(_extract, source=videos, short_side=short_side, every=every)
    reasons: dict[int, str] = {}
    for (index, folder), outcome in in_processes(extract, list(enumerate(folders)), workers):
        if isinstance(outcome, BROKEN):
            shutil.rmtree(folder, ignore_errors=True)
            title = videos.title(index)
            reasons[index] = str(outcome) if title in str(outcome) else f"{title}: {outcome}"

    skipped = [reasons[index] for index in sorted(reasons)]
    if len(skipped) == len(videos):
        raise InputError(f"{source}: none of its {len(videos)} videos can be read; the first: {skipped[0]}")
    return len(videos) - len(skipped), skipped


def _extract(item: tuple[int, Path], on_step: OnStep, *, source: VideoSource, short_side: int, every: int) -> None:
    """Write the frames of a video to a folder; InputError when it cannot be read."""
    index, folder = item
    reader = source.open(index)
    folder.mkdir(parents=True)
    frames = zip(reader.names, iterate_frames(reader), strict=True)
    for name, frame in itertools.islice(frames, 0, None, every):
        with written_whole(folder / f"{name}.jpg") as file:
            shrink(Image.fromarray(frame), short_side).save(file, format="JPEG", quality=JPEG_QUALITY)


def shrink(image: Image.Image, short_side: int) -> Image.Image:
    """The image with its short side brought down to `short_side` pixels; a smaller one as it is."""
    scale = short_side / min(image.size)
    if scale >= 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
