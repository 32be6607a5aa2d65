"""Whether the packets of a video file prove that its frames may be read in any order, see
`video_index`.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.video_index import once_per_file, open_container, video_stream

if TYPE_CHECKING:
    from av import Packet, VideoStream

SIMPLE_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers in which a seek to the time of a key frame leads to that frame."""
ANY_KEY_FRAME = frozenset({"vp9", "mjpeg"})
"""Codecs in which nothing after a key frame needs anything before it."""
IDR_TYPES = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
"""Types of the units of a key frame after which nothing refers to earlier frames; other key frames
do not say so.
"""
PROOFS_REMEMBERED = 2**17


@once_per_file(PROOFS_REMEMBERED)
def proved_times(path: Path) -> tuple[float, ...] | None:
    """The `summary` of times, if the packets prove that decoding may start at any key frame;
    otherwise None.

    The proof takes no decoding: every packet is shown and has its own time, no frame is shown on
    the other side of a key frame than it is stored, and a key frame refers to nothing before it.
    """
    import av

    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            if container.format.name not in SIMPLE_CONTAINERS:
                return None

            packets = [packet for packet in container.demux(stream) if packet.size]
            if not all(map(_is_plain, packets)) or not _keys_separate(packets):
                return None
            if stream.codec_context.has_b_frames and not _are_reordered(packets):
                return None
            if not all(_is_fresh_start(packet, stream) for packet in packets if packet.is_keyframe):
                return None

            stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
            return summary(np.array(stamps) * float(stream.time_base or 0))
    except (av.FFmpegError, OSError, InputError):
        return None


def summary(seconds: np.ndarray) -> tuple[float, ...]:
    """Number, first, last and mean of ascending seconds: short enough to be remembered of many
    files.
    """
    return len(seconds), float(seconds[0]), float(seconds[-1]), float(seconds.mean(dtype=float))


def packet_seconds(file: Path | bytes) -> np.ndarray:
    """When each frame of a file is shown whose packets all say so, as `proved_times` makes sure;
    ascending.
    """
    with open_container(file) as container:
        stream = container.streams.best("video")
        if stream is None:
            return np.zeros(0)

        stamps = sorted(
            packet.pts
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        )

        return np.array(stamps) * float(stream.time_base or 0)


def _is_plain(packet: "Packet") -> bool:
    """Whether a packet is complete, shown, and has its times."""
    return (
        not packet.is_corrupt
        and not packet.is_discard
        and packet.pts is not None
        and packet.pts >= 0
    )


def _keys_separate(packets: list["Packet"]) -> bool:
    """Whether each key frame parts what is shown before it from what is shown after it, as
    stored.
    """
    stamps = np.array([packet.pts for packet in packets])
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    if not keys or keys[0] != 0 or len(np.unique(stamps)) < len(stamps):
        return False

    latest_before = np.maximum.accumulate(stamps)
    earliest_after = np.minimum.accumulate(stamps[::-1])[::-1]
    separate = all(k == 0 or latest_before[k - 1] < stamps[k] for k in keys)
    first_of_its_part = all(earliest_after[k] == stamps[k] for k in keys)

    # A seek goes by times of decoding, which run ahead: it must not lead to the key frame after the
    # one meant.
    decoding = [packets[k].dts for k in keys]
    no_overshoot = all(
        after is None or after > stamps[k] for k, after in zip(keys[:-1], decoding[1:], strict=True)
    )

    return bool(separate and first_of_its_part and no_overshoot)


def _are_reordered(packets: list["Packet"]) -> bool:
    """Whether frames are shown in another order than stored; if not, their times may be those of
    decoding.
    """
    return any(after.pts < before.pts for before, after in pairwise(packets))  # type: ignore[operator]  # See _is_plain.


def _is_fresh_start(packet: "Packet", stream: "VideoStream") -> bool:
    """Whether nothing after this key frame refers to anything before it."""
    codec = stream.codec_context.name
    if codec not in IDR_TYPES:
        return codec.removeprefix("libvpx-") in ANY_KEY_FRAME

    return bool(
        IDR_TYPES[codec].intersection(
            _unit_types(bytes(packet), codec, stream.codec_context.extradata)
        )
    )


def _unit_types(data: bytes, codec: str, header: bytes | None) -> Iterator[int]:
    """Types of the NAL units of an H.264 or HEVC packet, each of which follows its own length."""
    place = 4 if codec == "h264" else 21
    if header is None or len(header) <= place or header[0] != 1:
        return  # Units are parted by start codes.

    width = (header[place] & 3) + 1
    start = 0
    while start + width < len(data):
        first = data[start + width]
        yield first & 31 if codec == "h264" else first >> 1 & 63
        start += width + int.from_bytes(data[start : start + width], "big")
