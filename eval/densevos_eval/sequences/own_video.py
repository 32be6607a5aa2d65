"""Makes a sequence of one's own video: finds the frames to use and the masks of them."""

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
    """Make a sequence of a video, with its given masks if there are any.

    Args:
        video: a video file or a folder of frames.
        mask: the mask of the first frame used, or a folder of masks that are named or numbered like
            their frames; None: no mask is given.
        start: first frame used, by its name or number (as in the name of its mask), or in seconds
            such as 3.5s; None: the first of the video.
        end: last frame used, in the same form; None: the last of the video.

    Returns:
        The sequence.

    Raises:
        InputError: if the video cannot be read or has no such frames, if a mask in the folder
            belongs to no frame, if two belong to one frame, if none belongs to a frame that is
            used, or if a single mask lies among the frames.
    """
    reader = open_frames(video)
    # Both ends are inclusive.
    first = 0 if start is None else frame_index("--start", start, reader)
    last = len(reader) - 1 if end is None else frame_index("--end", end, reader)

    if first > last:
        raise InputError(
            f"--start {start} --end {end}: the end lies before the start; exchange them"
        )

    # Every image in a folder of frames is a frame, so a mask there would be one too.
    given = {0: mask} if mask else {}
    if mask and mask.is_file() and mask.resolve().parent == video.resolve():
        raise InputError(
            f"{mask}: lies among the frames and would be one of them; move it out of {video}"
        )

    # A single mask is that of the first frame, whatever its name. The name of another frame may
    # mean that this one was meant.
    names_other_frame = mask and mask.stem in reader.names and mask.stem != reader.names[first]
    if mask and names_other_frame and not mask.is_dir():
        warnings.warn(
            f"{mask}: is taken as the mask of the first frame, {reader.names[first]}; if it is that"
            f" of frame {mask.stem}, name its folder as --mask",
            stacklevel=2,
        )

    # Indices count from the first frame used; masks outside of the excerpt are left out.
    if mask and mask.is_dir():
        masks = _masks_by_frame(mask, reader)
        given = {index - first: file for index, file in masks.items() if first <= index <= last}
        if not given:
            raise InputError(
                f"{mask}: holds no mask of the frames that are used;"
                f" name one {reader.names[first]}.png"
            )

    # Resolved, since a path such as `.` has no name.
    resolved = video.resolve()
    return VideoSequence(
        name=resolved.name if resolved.is_dir() else resolved.stem,
        source=video,
        frame_names=tuple(reader.names[first : last + 1]),
        start=first,
        given=given,
        painted=True,
        both_ways=min(given, default=0) > 0,
    )


def write_frame(video: Path, out: Path, at: str | None = None) -> str:
    """Write one frame of a video as an image of its own size, to paint masks over it.

    Args:
        video: a video file or a folder of frames.
        out: the image to write; its suffix fixes the format.
        at: the frame, by its number or in seconds such as 3.5s; None: the first.

    Returns:
        A line for the user about what was written.

    Raises:
        InputError: if the video or the frame cannot be read, or if `out` is a folder.
    """
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the image, such as {out / 'frame.png'}")

    reader = open_frames(video)
    index = 0 if at is None else frame_index("--at", at, reader)
    image = Image.fromarray(reader.read([index])[0])

    made_folder(out.parent)
    with atomic_write(out) as file:
        # Unknown suffixes, and names without one, get the format PNG.
        image.save(file, format=Image.registered_extensions().get(out.suffix.lower(), "PNG"))

    return f"{out}: frame {reader.names[index]} of {video}, {image.width}x{image.height}"


def frame_index(flag: str, place: str, reader: FrameReader) -> int:
    """Find the index of a frame that the user named.

    Args:
        flag: the option that named it, for messages.
        place: name or number of the frame, or a time in seconds such as 3.5s, counted from the
            first frame. A time means the first frame at that time or later; for --end it means the
            last frame at that time or earlier.
        reader: the frames of the video.

    Returns:
        The index.

    Raises:
        InputError: if there is no such frame.
    """
    # A number with s is a time; all else is the name or number of a frame.
    if re.fullmatch(r"\d+(\.\d*)?s", place):
        times = reader.seconds()
        if times is None:
            raise InputError(
                f"{flag} {place}: the frames of {reader.path} have no times;"
                " give the number of a frame"
            )

        # Some videos start at a time other than 0.
        elapsed, wanted = times - times[0], float(place[:-1])
        if flag == "--end":
            return int(np.searchsorted(elapsed, wanted, "right")) - 1
        if wanted > elapsed[-1]:
            raise InputError(
                f"{flag} {place}: the last frame of {reader.path} is at {elapsed[-1]:.2f}s;"
                " give less"
            )

        return int(np.searchsorted(elapsed, wanted, "left"))

    index = _index(place, reader.names)
    if index is None:
        raise InputError(
            f"{flag} {place}: {reader.path} has frames {_range(reader)}; give one of them, or 3.5s"
        )

    return index


def _masks_by_frame(folder: Path, reader: FrameReader) -> dict[int, Path]:
    """The masks in a folder by the index of their frame."""
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
    """Index of the frame with this name, or else with the same number: 7 is 00007."""
    if name in names:
        return names.index(name)

    # Numbers are compared without leading zeros, which users leave out.
    if not name.isdecimal():
        return None

    for index, other in enumerate(names):
        if other.isdecimal() and int(other) == int(name):
            return index

    return None


def _range(reader: FrameReader) -> str:
    return f"{reader.names[0]} to {reader.names[-1]}"
