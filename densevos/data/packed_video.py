"""One video as members of a tar shard: JPEG frames, or an H.264 video with a key frame every so
many frames.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import IO, Literal

import numpy as np
from PIL import Image

from densevos.base.errors import InputError, RunError
from densevos.base.images import shrink
from densevos.data.extraction import JPEG_QUALITY
from densevos.data.sources.shard_index import frame_suffix, member, member_name
from densevos.data.sources.source import FrameReader, frame_rate, iterate_frames

Format = Literal["jpeg", "clips"]

KEY_FRAME_EVERY = 12
"""Frames from one key frame of a clip to the next: decoding to any frame takes as many at most."""
X264 = {
    "crf": "20",
    "preset": "veryfast",
    "tune": "fastdecode",  # decodes a third faster and takes a tenth more bytes
    "g": str(KEY_FRAME_EVERY),
    "keyint_min": str(KEY_FRAME_EVERY),
    "sc_threshold": "0",
}
FRAMES_BETWEEN_STEPS = 64
USUAL_RATE = 25
"""Frames a second of a clip whose frames have no times; readers take times from KEY.json."""


@dataclass(frozen=True, kw_only=True)
class PackedVideo:
    """What `write_video` wrote."""

    size: int
    """Bytes of all members."""
    about: int
    """Where KEY.json begins."""
    frames: int
    width: int
    height: int


def write_video(
    file: IO[bytes],
    reader: FrameReader,
    *,
    key: int,
    name: str,
    format: Format,
    short_side: int,
    every: int,
    on_frames: Callable[[], object] = lambda: None,
) -> PackedVideo:
    """Write KEY.00000.jpg ... or KEY.mp4, and KEY.json, to a file that is empty.

    Args:
        file: Where to write.
        reader: The video.
        key: Its number in the source.
        name: Its name in the source.
        format: jpeg or clips.
        short_side: Frames are shrunk to this short side, pixels; smaller ones stay as they are.
        every: The first of so many frames is kept, under its name.
        on_frames: Called now and then, so that a long video is not taken for one that hangs.

    Raises:
        InputError: The video cannot be read whole.
    """
    images = _images(_frames(reader, on_frames), reader, short_side, every, even=format == "clips")
    first = next(images)
    images = chain([first], images)
    rate = frame_rate(reader)
    members = (
        _jpegs(images) if format == "jpeg" else _clip(images, rate / every if rate else USUAL_RATE)
    )

    sizes = []
    for suffix, content in members:
        file.write(member(member_name(key, suffix), content))
        sizes.append(len(content))

    times = reader.seconds()
    about = {
        "name": name,
        "names": reader.names[::every],
        "seconds": None if times is None else np.round(times[::every], 6).tolist(),
        "sizes": sizes,
    }
    start = file.tell()
    file.write(member(member_name(key, "json"), json.dumps(about).encode()))
    frames = len(reader.names[::every])

    return PackedVideo(
        size=file.tell(), about=start, frames=frames, width=first.width, height=first.height
    )


def _images(
    frames: Iterator[np.ndarray], reader: FrameReader, short_side: int, every: int, *, even: bool
) -> Iterator[Image.Image]:
    """The frames to keep, shrunk; InputError when one cannot be read or has another size than the
    first.
    """
    size = None
    for number, frame in enumerate(islice(frames, 0, None, every)):
        image = shrink(Image.fromarray(frame), short_side)
        if even:  # As subsampled colours need.
            image = image.resize((max(2, image.width // 2 * 2), max(2, image.height // 2 * 2)))

        size = size or image.size
        if image.size != size:
            raise InputError(
                f"{reader.path}: frame {reader.names[number * every]} is {image.width}x{image.height} but the first"
                f" is {size[0]}x{size[1]}; frames of one video must share one size"
            )

        yield image


def _frames(reader: FrameReader, on_frames: Callable[[], object]) -> Iterator[np.ndarray]:
    """All frames; InputError when one cannot be read."""
    try:
        for number, frame in enumerate(iterate_frames(reader)):
            yield frame
            if number % FRAMES_BETWEEN_STEPS == 0:
                on_frames()
    except (InputError, RunError):
        raise
    except Exception as error:  # A damaged file makes readers raise whatever they stumble over.
        raise InputError(
            f"{reader.path}: cannot be read ({type(error).__name__}: {error}); re-encode or remove it"
        ) from error


def _jpegs(images: Iterator[Image.Image]) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of each member."""
    for number, image in enumerate(images):
        content = io.BytesIO()
        image.save(content, format="JPEG", quality=JPEG_QUALITY)
        yield frame_suffix(number), content.getvalue()


def _clip(images: Iterator[Image.Image], rate: float) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of the one member."""
    import av

    content = io.BytesIO()
    with av.open(content, mode="w", format="mp4") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=Fraction(rate).limit_denominator(1001), options=X264
                )
                stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
                stream.codec_context.thread_count = 1  # One packing process uses one core.

            container.mux(stream.encode(av.VideoFrame.from_image(image)))

        if stream is not None:
            container.mux(stream.encode())

    yield "mp4", content.getvalue()
