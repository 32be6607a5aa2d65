"""Clips a second from video files, against decord by hand, in one run.

    python benchmarks/video_reading.py [--clips 60] [--seconds 20]

By hand: open the file with decord and read the frames, as if every file could be read in any order.
Ours: open the file as training does, and read the same frames. A clip is five frames, two apart, in
random order, at a random place; each clip opens the file anew. The first clip of a file, which
takes the look at its packets or the pass over its frames, has columns of its own. Both sides take
turns. Frames carry their number, so clips with a wrong frame are counted. The script prints a table
and, as the last line, one JSON object.
"""

import contextlib
import os
import platform
import random
import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import decord
import imageio_ffmpeg
import numpy as np

import page_tables
from densevos.data.sources.video import open_frames
from harness import Row, parser_of, report, timed

# The size of a frame, frames a second, and bits of a frame's number: up to 1,024 frames.
HEIGHT, WIDTH, RATE, BITS = 360, 640, 30, 10
SPAN = 10  # frames that a clip spans, one more than needed
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
# Containers and codecs in which a frame is found in different ways, those with open GOPs, B-frames
# and no index among them.
FILES = {
    "H.264, MP4": ("clip.mp4", X264),
    "VP9, WebM": (
        "clip.webm",
        ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-g", "120"),
    ),
    "H.264 with open GOPs, MP4": (
        "open.mp4",
        (*X264, "-x264-params", "open-gop=1:keyint=60:bframes=3"),
    ),
    "H.264, transport stream": ("clip.ts", (*X264, "-g", "60")),
    "Xvid, AVI": (
        "clip.avi",
        ("-c:v", "mpeg4", "-vtag", "xvid", "-q:v", "4", "-g", "60", "-bf", "2"),
    ),
    "MPEG-2": ("clip.mpg", ("-c:v", "mpeg2video", "-q:v", "4", "-g", "15", "-bf", "2")),
}


def main() -> None:
    """Encode the files, read clips of each both ways, compare."""
    parser = parser_of(__doc__)
    parser.add_argument("--clips", type=int, default=60, help="clips of each file")
    parser.add_argument("--seconds", type=int, default=20, help="length of each file")
    options = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, arguments) in FILES.items():
            path = Path(folder) / file
            encode(path, arguments, options.seconds * RATE)
            rows.append(compare(name, path, options.seconds * RATE, options.clips))

    result = {"clips": options.clips, "frames": options.seconds * RATE, "rows": rows}
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }
    report(result | {"machine": machine}, page_tables.video_reading(result), out=options.out)


def encode(path: Path, arguments: tuple[str, ...], frames: int) -> None:
    """Write a video of smooth, moving texture; bars at the top are the bits of a frame's number."""
    # Raw frames from standard input, so no file of them lies on disk.
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    source += ["-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *source, *arguments, str(path)]
    coarse = np.random.default_rng(0).integers(0, 256, (24, 44, 3), dtype=np.uint8)
    texture = np.kron(coarse, np.ones((16, 16, 1), np.uint8))

    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(frames):
            frame = np.roll(texture, number, axis=1)[:HEIGHT, :WIDTH].copy()

            # Bright is 1 and dark is 0, the lowest bit on the left.
            bars = np.where(number >> np.arange(BITS) & 1, 220, 30)
            frame[: HEIGHT // 6] = np.repeat(bars, WIDTH // BITS)[:, None]
            process.stdin.write(frame.tobytes())

        process.stdin.close()


def number_of(frame: np.ndarray) -> int:
    """The number that the bars of a frame say."""
    # The inner part of each bar alone: compression blurs its edges.
    columns = frame[: HEIGHT // 8].mean(axis=(0, 2))
    bars = columns.reshape(BITS, -1)[:, 16:-16].mean(axis=1)

    # Each bit that is set counts 2^bit. 125 is half way between dark and bright.
    return int(((bars > 125) << np.arange(BITS)).sum())


def compare(name: str, path: Path, frames: int, clips: int) -> Row:
    """Clips a second of the same clips read both ways, and how many clips have a wrong frame."""
    sides = {"by_hand": by_hand, "ours": ours}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    wrong = dict.fromkeys(sides, 0)
    rng = random.Random(0)

    # Both sides read the same clips in turn, so other work on the machine touches both.
    for _ in range(clips):
        start = rng.randrange(frames - SPAN)
        indices = [start + 2 * place for place in rng.sample(range(5), 5)]
        for side, read in sides.items():
            clip: list[np.ndarray] = []
            seconds[side].append(timed(partial(read, path, indices, clip)))

            # A clip that decord could not read has no frames, so it counts as wrong too.
            right = list(map(number_of, clip)) == indices
            wrong[side] += not right

    # The first clip of a file also takes a look at its packets, or a pass over its frames.
    later = {side: statistics.fmean(times[1:]) for side, times in seconds.items()}
    return {
        "file": name,
        "reader": type(open_frames(path)).__name__,
        "clips_per_second_by_hand": round(1 / later["by_hand"], 1),
        "clips_per_second": round(1 / later["ours"], 1),
        "ratio": round(later["by_hand"] / later["ours"], 2),
        "first_seconds_by_hand": round(seconds["by_hand"][0], 3),
        "first_seconds": round(seconds["ours"][0], 3),
        "wrong_clips_by_hand": wrong["by_hand"],
        "wrong_clips": wrong["ours"],
    }


def by_hand(path: Path, indices: list[int], clip: list[np.ndarray]) -> None:
    """Append a clip read by decord alone; nothing where it raises an error."""
    with contextlib.suppress(Exception):  # decord raises its own and plain RuntimeErrors
        clip.extend(decord.VideoReader(str(path), num_threads=1).get_batch(indices).asnumpy())


def ours(path: Path, indices: list[int], clip: list[np.ndarray]) -> None:
    """Append a clip read as training reads it."""
    clip.extend(open_frames(path).read(indices))


if __name__ == "__main__":
    main()
