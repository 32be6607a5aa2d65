"""One video as members of a tar shard: JPEG frames, or an H.264 video with frequent key frames."""

# Shapes: H x W pixels of a frame; frames are [H,W,3] uint8 RGB.

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
"""Frames from one key frame of a clip to the next: reading any frame decodes at most this many."""
# A fixed distance of key frames bounds the cost of random access, so cuts get none of their own.
X264 = {
    "crf": "20",
    "preset": "veryfast",
    "tune": "fastdecode",  # Decodes a third faster and takes a tenth more bytes.
    "g": str(KEY_FRAME_EVERY),
    "keyint_min": str(KEY_FRAME_EVERY),
    "sc_threshold": "0",
}
FRAMES_BETWEEN_STEPS = 64
"""Number of frames between two calls of `on_frames`."""
USUAL_RATE = 25
"""Frames per second of a clip whose frames have no times; readers take times from KEY.json."""


@dataclass(frozen=True, kw_only=True)
class PackedVideo:
    """What `write_video` wrote."""

    size: int
    """Size of all members, bytes."""
    about: int
    """Where KEY.json starts, bytes from the start of the file."""
    frames: int
    """Number of frames that were kept."""
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
    """Write KEY.00000.jpg ... or KEY.mp4, and KEY.json, to an empty file.

    Args:
        file: Where to write.
        reader: The video.
        key: Number of the video in the source.
        name: Name of the video in the source.
        format: "jpeg" or "clips".
        short_side: Frames are shrunk to this short side, pixels; smaller frames keep their size.
        every: Every N-th frame is kept, starting with the first; it keeps its name.
        on_frames: Called every few frames, so that a long video does not look like one that hangs.

    Returns:
        Size and number of the frames, and where KEY.json lies in the file.

    Raises:
        InputError: A frame cannot be read, or has another size than the first one.
    """
    images = _images(_frames(reader, on_frames), reader, short_side, every, even=format == "clips")
    # The first frame is read before anything is written: it has the size of all.
    first = next(images)
    images = chain([first], images)

    # Both give suffix and bytes of each member; frames are decoded only while they are written.
    if format == "jpeg":
        members = _jpegs(images)
    else:
        rate = frame_rate(reader)
        members = _clip(images, rate / every if rate else USUAL_RATE)

    # The sizes let a reader find a frame's bytes without a walk through the tar headers.
    sizes = []
    for suffix, content in members:
        file.write(member(member_name(key, suffix), content))
        sizes.append(len(content))

    # Names and times are those of the kept frames in the source, not new numbers.
    names = reader.names[::every]
    times = reader.seconds()
    seconds = None
    if times is not None:
        seconds = np.round(times[::every], 6).tolist()  # microseconds

    # KEY.json comes last, because the sizes are known only now.
    about = {"name": name, "names": names, "seconds": seconds, "sizes": sizes}
    start = file.tell()
    file.write(member(member_name(key, "json"), json.dumps(about).encode()))

    return PackedVideo(
        size=file.tell(), about=start, frames=len(names), width=first.width, height=first.height
    )


def _images(
    frames: Iterator[np.ndarray], reader: FrameReader, short_side: int, every: int, *, even: bool
) -> Iterator[Image.Image]:
    """The frames to keep, shrunk; InputError if one has another size than the first."""
    size = None
    for number, frame in enumerate(islice(frames, 0, None, every)):
        image = shrink(Image.fromarray(frame), short_side)
        if even:
            # yuv420p has one colour value per 2 x 2 pixels.
            image = image.resize((max(2, image.width // 2 * 2), max(2, image.height // 2 * 2)))

        # Readers stack frames and the index has one size per video, so the first frame fixes it.
        size = size or image.size
        if image.size != size:
            frame_name = reader.names[number * every]
            raise InputError(
                f"{reader.path}: frame {frame_name} is {image.width}x{image.height} but the first"
                f" is {size[0]}x{size[1]}; frames of one video must share one size"
            )

        yield image


def _frames(reader: FrameReader, on_frames: Callable[[], object]) -> Iterator[np.ndarray]:
    """All frames of a video; InputError if one cannot be read."""
    try:
        for number, frame in enumerate(iterate_frames(reader)):
            yield frame
            if number % FRAMES_BETWEEN_STEPS == 0:
                on_frames()
    except (InputError, RunError):
        raise
    except Exception as error:  # Decoders raise exceptions of any type on a damaged file.
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{reader.path}: cannot be read ({reason}); re-encode or remove it"
        ) from error


def _jpegs(images: Iterator[Image.Image]) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of each JPEG member."""
    for number, image in enumerate(images):
        content = io.BytesIO()
        image.save(content, format="JPEG", quality=JPEG_QUALITY)
        yield frame_suffix(number), content.getvalue()


def _clip(images: Iterator[Image.Image], rate: float) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of the single MP4 member."""
    import av

    content = io.BytesIO()
    with av.open(content, mode="w", format="mp4") as container:
        stream = None
        for image in images:
            if stream is None:
                # Rates like 30000/1001 have denominators up to 1001.
                exact_rate = Fraction(rate).limit_denominator(1001)
                stream = container.add_stream("libx264", rate=exact_rate, options=X264)
                stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
                stream.codec_context.thread_count = 1  # One packing process uses one core.

            container.mux(stream.encode(av.VideoFrame.from_image(image)))

        # Frames that the encoder still holds.
        if stream is not None:
            container.mux(stream.encode())

    yield "mp4", content.getvalue()
