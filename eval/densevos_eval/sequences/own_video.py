"""One's own video as a sequence: which of its frames are used, and which masks belong to them."""

import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, made_folder
from densevos.base.names import image_files
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames
from densevos_eval.sequences.sequence import VideoSequence


def own_video(
    video: Path, mask: Path | None, *, start: str | None = None, end: str | None = None
) -> VideoSequence:
    """A video file or frame folder, from its frame `start` to its frame `end`, and the masks given
    for it, if any.

    start, end: names or numbers of frames (as in the names of their masks), or seconds such as
    3.5s. mask: that of the first frame used, or a folder of masks named or numbered as their
    frames.

    Raises InputError when nothing is at `video`, when it has no such frames, when a mask in the
    folder belongs to no frame, two belong to one, or all of them lie outside of those used, and
    when a single mask lies among the frames.
    """
    reader = open_frames(video)
    first = 0 if start is None else frame_index("--start", start, reader)
    last = len(reader) - 1 if end is None else frame_index("--end", end, reader)

    if first > last:
        raise InputError(
            f"--start {start} --end {end}: the end lies before the start; exchange them"
        )

    given = {0: mask} if mask else {}
    if mask and mask.is_file() and mask.resolve().parent == video.resolve():
        raise InputError(
            f"{mask}: lies among the frames and would be one of them; move it out of {video}"
        )

    if (
        mask
        and mask.stem in reader.names
        and mask.stem != reader.names[first]
        and not mask.is_dir()
    ):
        warnings.warn(
            f"{mask}: is taken as the mask of the first frame, {reader.names[first]}; if it is that of frame"
            f" {mask.stem}, name its folder as --mask",
            stacklevel=2,
        )

    if mask and mask.is_dir():
        masks = _masks_by_frame(mask, reader)
        given = {index - first: file for index, file in masks.items() if first <= index <= last}
        if not given:
            raise InputError(
                f"{mask}: holds no mask of the frames that are used; name one {reader.names[first]}.png"
            )

    whole = video.resolve()
    return VideoSequence(
        name=whole.name if whole.is_dir() else whole.stem,
        source=video,
        frame_names=tuple(reader.names[first : last + 1]),
        start=first,
        given=given,
        painted=True,
        both_ways=min(given, default=0) > 0,
    )


def write_frame(video: Path, out: Path, at: str | None = None) -> str:
    """Write one frame of a video as a picture at its own size, to paint the objects over.

    Args:
        video: A video file or a folder of frames.
        out: The picture; its suffix says the format.
        at: Which frame, by its number or in seconds such as 3.5s; None: the first.

    Returns:
        A line that says what was written.

    Raises:
        InputError: The video or the frame cannot be read, or `out` is a folder.
    """
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the picture, such as {out / 'frame.png'}")

    reader = open_frames(video)
    index = 0 if at is None else frame_index("--at", at, reader)
    picture = Image.fromarray(reader.read([index])[0])

    made_folder(out.parent)
    with atomic_write(out) as file:
        picture.save(file, format=Image.registered_extensions().get(out.suffix.lower(), "PNG"))

    return f"{out}: frame {reader.names[index]} of {video}, {picture.width}x{picture.height}"


def frame_index(flag: str, place: str, reader: FrameReader) -> int:
    """Index of the frame of this name or number, or at so many seconds (3.5s): the first from there
    on.

    For the flag --end that is the last till there. Raises InputError, naming the flag, where there
    is no such frame.
    """
    if re.fullmatch(r"\d+(\.\d*)?s", place):
        times = reader.seconds()
        if times is None:
            raise InputError(
                f"{flag} {place}: the frames of {reader.path} have no times; give the number of a frame"
            )

        elapsed, wanted = times - times[0], float(place[:-1])
        if flag == "--end":
            return int(np.searchsorted(elapsed, wanted, "right")) - 1
        if wanted > elapsed[-1]:
            raise InputError(
                f"{flag} {place}: the last frame of {reader.path} is at {elapsed[-1]:.2f}s; give less"
            )

        return int(np.searchsorted(elapsed, wanted, "left"))

    found = _index(place, reader.names)
    if found is None:
        raise InputError(
            f"{flag} {place}: {reader.path} has frames {_range(reader)}; give one of them, or 3.5s"
        )

    return found


def _masks_by_frame(folder: Path, reader: FrameReader) -> dict[int, Path]:
    """The masks in a folder by the index of their frame; InputError when two belong to one frame,
    or one to none.
    """
    masks: dict[int, Path] = {}
    for file in image_files(folder):
        other = masks.setdefault(_frame_of(file, reader), file)
        if other is not file:
            raise InputError(f"{file}: is a mask of the same frame as {other.name}; remove one")

    return masks


def _frame_of(mask: Path, reader: FrameReader) -> int:
    index = _index(mask.stem, reader.names)
    if index is None:
        raise InputError(
            f"{mask}: {reader.path} has no frame of this name; its frames are {_range(reader)}"
        )

    return index


def _index(name: str, names: list[str]) -> int | None:
    """Where the frame `name` is, or else the one of the same number: 7 is 00007."""
    if name in names:
        return names.index(name)

    numbers = [int(other) if other.isdecimal() else None for other in names]
    return numbers.index(int(name)) if name.isdecimal() and int(name) in numbers else None


def _range(reader: FrameReader) -> str:
    return f"{reader.names[0]} to {reader.names[-1]}"
