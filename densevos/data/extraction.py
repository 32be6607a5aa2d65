"""Videos -> folders of small JPEG frames: random access to JPEGs is cheaper than decoding a video for each clip."""

import itertools
import shutil
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import new_folder, written_whole
from densevos.base.parallel import BROKEN, OnStep, in_processes
from densevos.data.sources.catalogue import find_videos
from densevos.data.sources.readers import iterate_frames, open_frames

JPEG_QUALITY = 95


def extract_frames(
    source: Path, out: Path, *, short_side: int, every: int = 1, workers: int | None = None, overwrite: bool = False
) -> tuple[int, list[str]]:
    """Write OUT/VIDEO/00000.jpg ... for every video of `source`, or every so many-th frame, which keeps its name.

    Returns how many videos were written, and one line for each that cannot be read. Raises InputError when
    two videos share a name or none can be read, and when `out` holds files, unless `overwrite`.
    """
    for flag, value in {"short-side": short_side, "every": every, "workers": workers}.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: must be at least 1")
    videos = find_videos(source)
    names = video_names(videos)
    new_folder(out, overwrite=overwrite, inputs=[source, *videos])

    # A process that dies leaves half a video, which must not be taken for a whole one.
    extract = partial(_extract, short_side=short_side, every=every)
    reasons: dict[Path, str] = {}
    for (video, folder), outcome in in_processes(
        extract, [(v, out / n) for v, n in zip(videos, names, strict=True)], workers
    ):
        if isinstance(outcome, BROKEN):
            shutil.rmtree(folder, ignore_errors=True)
            reasons[video] = str(outcome) if str(video) in str(outcome) else f"{video}: {outcome}"

    skipped = [reasons[video] for video in videos if video in reasons]
    if len(skipped) == len(videos):
        raise InputError(f"{source}: none of its {len(videos)} videos can be read; the first: {skipped[0]}")
    return len(videos) - len(skipped), skipped


def video_names(videos: Sequence[Path]) -> list[str]:
    """A folder name for each video, wherever something is written about it: its own, or with its parent's if two
    share it. Raises InputError when that does not tell them apart."""
    stems = [video.name if video.is_dir() else video.stem for video in videos]  # a folder's name may hold dots
    times = Counter(stems)
    names = [
        f"{video.parent.name}-{stem}" if times[stem] > 1 else stem for video, stem in zip(videos, stems, strict=True)
    ]
    name, most = Counter(names).most_common(1)[0]
    if most > 1:
        raise InputError(f"{name}: two videos have this name; rename one")
    return names


def _extract(item: tuple[Path, Path], on_step: OnStep, *, short_side: int, every: int) -> None:
    """Write the frames of a video to a folder; InputError when it cannot be read."""
    video, folder = item
    reader = open_frames(video)
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
