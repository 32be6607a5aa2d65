"""Prove from the packets of a video file that its frames may be read in any order.

Without such a proof the file is decoded once instead, see `video_index`.
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
"""Types of NAL units that let no later frame refer to earlier ones (IDR), for each codec."""
PROOFS_REMEMBERED = 2**17
"""Number of files whose proof is kept in memory."""


@once_per_file(PROOFS_REMEMBERED)
def proved_times(path: Path) -> tuple[float, ...] | None:
    """Prove that decoding may start at any key frame of a file.

    The proof needs no decoding. It holds if

    * every packet is shown and has a time of its own,
    * frames stored before a key frame are shown before it, and frames stored after it after it,
    * no frame after a key frame refers to a frame before it.

    Args:
        path: The video file.

    Returns:
        The `summary` of the times of all frames; None without a proof.
    """
    import av

    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            if container.format.name not in SIMPLE_CONTAINERS:
                return None

            # The last packet of a stream is empty: it flushes the decoder.
            packets = [packet for packet in container.demux(stream) if packet.size]
            if not all(map(_is_plain, packets)) or not _keys_separate(packets):
                return None
            # With B frames, times in the order of storing can only be those of decoding.
            if stream.codec_context.has_b_frames and not _are_reordered(packets):
                return None
            if not all(_is_fresh_start(packet, stream) for packet in packets if packet.is_keyframe):
                return None

            stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
            return summary(np.array(stamps) * float(stream.time_base or 0))
    except (av.FFmpegError, OSError, InputError):
        return None


def summary(seconds: np.ndarray) -> tuple[float, ...]:
    """Number, first, last and mean of ascending seconds: short enough to keep for many files."""
    return len(seconds), float(seconds[0]), float(seconds[-1]), float(seconds.mean(dtype=float))


def packet_seconds(file: Path | bytes) -> np.ndarray:
    """When each frame of a file is shown, if all its packets have times (see `proved_times`).

    Args:
        file: A video file, or the bytes of one.

    Returns:
        [frames] in ascending seconds.
    """
    with open_container(file) as container:
        stream = container.streams.best("video")
        if stream is None:
            return np.zeros(0)

        stamps = []
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                stamps.append(packet.pts)

        stamps.sort()
        return np.array(stamps) * float(stream.time_base or 0)


def _is_plain(packet: "Packet[VideoStream]") -> bool:
    """Whether a packet is complete, is shown, and has a time."""
    return (
        not packet.is_corrupt
        and not packet.is_discard
        and packet.pts is not None
        and packet.pts >= 0
    )


def _keys_separate(packets: list["Packet[VideoStream]"]) -> bool:
    """Whether frames stored before and after each key frame are also shown before and after it."""
    stamps = np.array([packet.pts for packet in packets])
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    if not keys or keys[0] != 0 or len(np.unique(stamps)) < len(stamps):
        return False

    latest_before = np.maximum.accumulate(stamps)
    earliest_after = np.minimum.accumulate(stamps[::-1])[::-1]
    separate = all(k == 0 or latest_before[k - 1] < stamps[k] for k in keys)
    first_of_its_part = all(earliest_after[k] == stamps[k] for k in keys)

    # A seek compares times of decoding, which are earlier than those of showing. It must not lead
    # to the key frame after the wanted one.
    decoding = [packets[k].dts for k in keys]
    no_overshoot = all(
        after is None or after > stamps[k] for k, after in zip(keys[:-1], decoding[1:], strict=True)
    )

    return bool(separate and first_of_its_part and no_overshoot)


def _are_reordered(packets: list["Packet[VideoStream]"]) -> bool:
    """Whether frames are shown in another order than stored.

    If a stream with B frames is not reordered, its times may be those of decoding.
    """
    # All packets have times, see `_is_plain`.
    return any(after.pts < before.pts for before, after in pairwise(packets))  # type: ignore[operator]


def _is_fresh_start(packet: "Packet[VideoStream]", stream: "VideoStream") -> bool:
    """Whether nothing after this key frame refers to anything before it."""
    codec = stream.codec_context.name
    if codec not in IDR_TYPES:
        return codec.removeprefix("libvpx-") in ANY_KEY_FRAME

    types = _unit_types(bytes(packet), codec, stream.codec_context.extradata)
    return bool(IDR_TYPES[codec].intersection(types))


def _unit_types(data: bytes, codec: str, header: bytes | None) -> Iterator[int]:
    """Types of the NAL units of an H.264 or HEVC packet; each unit follows its length."""
    # Place of lengthSizeMinusOne in the decoder configuration record (ISO/IEC 14496-15).
    place = 4 if codec == "h264" else 21
    if header is None or len(header) <= place or header[0] != 1:
        return  # Start codes separate the units, and there are no lengths.

    width = (header[place] & 3) + 1  # bytes of a length
    start = 0
    while start + width < len(data):
        first = data[start + width]
        if codec == "h264":
            yield first & 31
        else:
            yield first >> 1 & 63

        start += width + int.from_bytes(data[start : start + width], "big")
