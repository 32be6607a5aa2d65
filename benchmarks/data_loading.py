"""CPU time of training clips from video files, frame folders and shards, against decord by hand.

    nice python benchmarks/data_loading.py [--clips 30] [--videos 4] [--seconds 10]

A clip is five frames in random order, ten apart, at a random place, cropped to 256 x 256, as
training reads it; each clip opens its video anew.

* By hand: open the file with decord, get the frames in ascending order, put them back in the order
  as drawn, crop and scale them with Pillow.
* In the order as drawn: the same, but decord gets the frames in that order.
* All others read the same clips through the sources of densevos: video files, frame folders as
  `densevos data frames` writes them, shards as `densevos data pack` writes them.
* First time: of a file that the process has not yet looked at.

All ways take turns, clip by clip. Other jobs on the machine change CPU time less than time by the
clock, so the script measures the CPU time of one process with one thread: its median, and the
median of its ratios to the same clips by hand. Files are in memory. Clips of video files must be
those read by hand, bit for bit. Opening a video and decoding all of its frames in order are
compared with the same by hand as well.

Cores: how many of them feed one GPU that takes ten steps a second of 16 clips. The script prints
tables and, as the last line, one JSON object.
"""

import math
import operator
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import av
import decord
import numpy as np
import torch
from PIL import Image
from torch import Tensor

import page_tables
from densevos.config import ClipConfig
from densevos.data.clips import crop_box, frame_indices, read_clip
from densevos.data.extraction import extract_frames
from densevos.data.packing import PackConfig, pack_videos
from densevos.data.sources.open import open_source
from densevos.data.sources.paths import PathSource
from densevos.data.sources.source import VideoSource, iterate_frames
from densevos.data.sources.video import DECODERS, QUICK, READER, loading_problem, open_frames
from harness import Row, parser_of, report

# Frames a second, and x264's own default of quality.
RATE, CRF = 30, 23
SIZES = {"340x256": (340, 256), "1280x720": (1280, 720)}
CLIP = ClipConfig(frames=5, gap=10, size=256, short_side=(256, 320))
CLIPS_PER_SECOND = 10 * 16
"""What one GPU takes."""
BY_HAND = "decord by hand"

Way = Callable[[int, np.random.Generator], object]
"""Reads a clip of a video, with the draws of a generator."""


def main() -> None:
    """Make the videos of each size, read clips of them in every way, compare."""
    parser = parser_of(__doc__)
    parser.add_argument("--clips", type=int, default=30, help="clips of each way and size")
    parser.add_argument("--videos", type=int, default=4, help="files of each size")
    parser.add_argument("--seconds", type=int, default=10, help="length of each file")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    options = parser.parse_args()
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        videos = []

        # The name of a file starts with its size, by which `compare` chooses videos.
        for name in options.sizes:
            for number in range(options.videos):
                path = root / "videos" / f"{name}-{number}.mp4"
                videos.append(encode(path, SIZES[name], options.seconds * RATE, seed=number))

        sources = sources_of(root, videos)
        ways = ways_to_read(root, videos, sources)
        openings, passes = ways_to_open(videos, sources), ways_to_go_through(videos, sources)

        few = max(2, options.clips // 8)  # A pass decodes the whole video.
        measured: dict[str, list[Row]] = {"rows": [], "opening": [], "whole": []}
        for name in options.sizes:
            rows = compare(name, videos, ways, options.clips)
            measured["rows"] += [with_cores(row) for row in rows]
            measured["opening"] += compare(name, videos, openings, options.clips)
            measured["whole"] += compare(name, videos, passes, few)

    load = round(os.getloadavg()[0], 2)
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": load,
        "torchcodec": torchcodec(),
    }
    settings = {"clips": options.clips, "videos": options.videos, "seconds": options.seconds}
    tables = [
        page_tables.data_loading(measured),
        page_tables.opening(measured),
        page_tables.whole_video(measured),
    ]
    report(settings | measured | {"machine": machine}, *tables, out=options.out)


def torchcodec() -> str:
    """Whether torchcodec loads, or why not."""
    return loading_problem("torchcodec") or "loads"


def encode(path: Path, size: tuple[int, int], frames: int, seed: int) -> Path:
    """A video of a camera that glides over smooth texture, with the noise of a sensor.

    It is encoded by x264, as most files are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(seed)

    # The ground is twice as wide and high as the frame, so the camera never leaves it.
    coarse = rng.integers(0, 256, (height // 16, width // 8, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    texture = np.asarray(smooth, np.int16)
    noise = rng.normal(0, 4, (2 * height, 2 * width, 1)).astype(np.int16)

    x264 = {"crf": str(CRF), "preset": "veryfast"}
    with av.open(path, mode="w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=x264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            # The camera swings over the texture.
            x = int(width / 2 * (1 + math.sin(number / 40)))
            y = int(height / 2 * (1 + math.sin(number / 70)))
            seen = texture[y : y + height, x : x + width]

            # Each frame takes its noise from another place.
            left, top = int(rng.integers(width)), int(rng.integers(height))
            grain = noise[top : top + height, left : left + width]

            image = np.clip(seen + grain, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))

        # Encoding nothing writes the frames that x264 still holds back.
        container.mux(stream.encode())

    return path


def compare(name: str, videos: list[Path], ways: dict[str, Way], clips: int) -> list[Row]:
    """One row for each way to read clips of the videos of one size."""
    chosen = [video for video, path in enumerate(videos) if path.name.startswith(f"{name}-")]
    rng = random.Random(0)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    read = {}

    for number in range(clips):
        video = chosen[number % len(chosen)]

        # A random order, so that no way always finds what another one left in a cache.
        for way in rng.sample(list(ways), len(ways)):
            # Every way gets the same draws, so all read the same clip.
            draws = np.random.default_rng(number)
            begin = time.process_time()
            read[way] = ways[way](video, draws)
            seconds[way].append(time.process_time() - begin)

        # Only clips of the files themselves can be equal: folders and shards are scaled copies.
        for way in ways:
            if way.startswith("video files") and isinstance(read[way], Tensor):
                assert torch.equal(read[way], read[BY_HAND]), f"{way}: clip {number} is another"

    # The first call loads libraries and looks at files; it counts only where it is the only one.
    warm = {way: times[1:] or times for way, times in seconds.items()}

    rows: list[Row] = []
    for way, times in warm.items():
        # Ratios clip by clip: a clip that is slow by its place in the video is so in both.
        ratios = map(operator.truediv, warm[BY_HAND], times)
        row: Row = {
            "video": name,
            "way": way,
            "cpu_ms": round(1000 * statistics.median(times), 1),
            "per_second_and_core": round(1 / statistics.median(times), 1),
            "ratio": round(statistics.median(ratios), 2),
        }
        rows.append(row)

    return rows


def with_cores(row: Row) -> Row:
    """A row with the cores that feed a GPU at its rate."""
    return row | {"cores_a_gpu": math.ceil(CLIPS_PER_SECOND * float(row["cpu_ms"]) / 1000)}


def sources_of(root: Path, videos: list[Path]) -> dict[str, VideoSource]:
    """The same videos as files, frame folders and shards of both kinds, all in one order."""
    extract_frames(root / "videos", root / "frames", short_side=CLIP.size, workers=1)
    folders = [root / "frames" / video.stem for video in videos]
    sources: dict[str, VideoSource] = {
        "video files": PathSource(root, tuple(videos)),
        "frame folders": PathSource(root, tuple(folders)),
    }

    # Shards are packed from a list, which keeps the order of the videos.
    (root / "list.txt").write_text("".join(f"{video}\n" for video in videos))

    for format in ("clips", "jpeg"):
        config = PackConfig(format=format, short_side=CLIP.size, every=1, shard_size=256)
        pack_videos(root / "list.txt", root / format, config, workers=1)
        sources[f"shards of {format}"] = open_source(root / format)

    return sources


def ways_to_read(root: Path, videos: list[Path], sources: dict[str, VideoSource]) -> dict[str, Way]:
    """Every way to read a clip."""

    def by_hand(video: int, rng: np.random.Generator) -> Tensor:
        return cropped(frames_by_hand(videos[video], rng, ascending=True), rng)

    # How much of the time goes into decoding, and how much into Pillow.
    def not_cropped(video: int, rng: np.random.Generator) -> np.ndarray:
        return frames_by_hand(videos[video], rng, ascending=True)

    def as_drawn(video: int, rng: np.random.Generator) -> Tensor:
        return cropped(frames_by_hand(videos[video], rng, ascending=False), rng)

    def ours(source: str) -> Way:
        return lambda video, rng: read_clip(sources[source].open(video), CLIP, rng)

    ways: dict[str, Way] = {
        BY_HAND: by_hand,
        f"{BY_HAND}, not cropped": not_cropped,
        f"{BY_HAND}, in the order as drawn": as_drawn,
    }

    # Video files once by each decoder, and once as if each had never been opened.
    ways |= with_decoders(DECODERS, ours("video files"))
    ways["video files, first time"] = first_time(root / "links", videos)
    for source in sources:
        if source != "video files":
            ways[source] = ours(source)

    return ways


def ways_to_open(videos: list[Path], sources: dict[str, VideoSource]) -> dict[str, Way]:
    """Every way to open a video."""

    def by_hand(video: int, rng: np.random.Generator) -> int:
        return len(decord.VideoReader(str(videos[video]), num_threads=1))

    def ours(source: str) -> Way:
        return lambda video, rng: len(sources[source].open(video))

    ways = {BY_HAND: by_hand, **with_decoders(QUICK, ours("video files"))}
    for source in sources:
        if source != "video files":
            ways[source] = ours(source)

    return ways


def with_decoders(decoders: Iterable[str], way: Way) -> dict[str, Way]:
    """A way to read video files, with each decoder that loads on this machine."""
    ways = {}
    for decoder in decoders:
        if loading_problem(decoder) is None:
            ways[f"video files ({decoder})"] = asking_for(decoder, way)

    return ways


def ways_to_go_through(videos: list[Path], sources: dict[str, VideoSource]) -> dict[str, Way]:
    """Every way to decode a video from its first frame to its last."""

    def by_hand(video: int, rng: np.random.Generator) -> None:
        for frame in decord.VideoReader(str(videos[video]), num_threads=1):
            frame.asnumpy()

    def ours(video: int, rng: np.random.Generator) -> None:
        for _ in iterate_frames(sources["video files"].open(video)):
            pass

    return {BY_HAND: by_hand, "video files": ours}


def frames_by_hand(path: Path, rng: np.random.Generator, *, ascending: bool) -> np.ndarray:
    """The frames of a clip, by decord alone."""
    video = decord.VideoReader(str(path), num_threads=1)
    indices = frame_indices(len(video), CLIP, rng)
    if not ascending:
        return video.get_batch(indices).asnumpy()

    # decord is fastest in ascending order; the frames are then put back.
    order = sorted(indices)
    frames = video.get_batch(order).asnumpy()  # [T,H,W,3] uint8
    return frames[[order.index(index) for index in indices]]


def cropped(frames: np.ndarray, rng: np.random.Generator) -> Tensor:
    """A clip of frames, by Pillow alone."""
    # The draws come in the order of `read_clip`: the box first, then the mirror.
    left, top, side = crop_box(frames.shape[2], frames.shape[1], CLIP, rng)
    box = (left, top, left + side, top + side)
    size = (CLIP.size, CLIP.size)
    mirror = rng.random() < 0.5

    images = []
    for frame in frames:
        # Cropping and scaling in one call, so only pixels of the box are read.
        image = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, box=box))
        images.append(image[:, ::-1] if mirror else image)

    # [T,H,W,3] -> [T,3,H,W], as training has it.
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def first_time(folder: Path, videos: list[Path]) -> Way:
    """Read clips of files under ever new names, of which the process remembers nothing."""
    folder.mkdir()
    numbers = count()

    def read(video: int, rng: np.random.Generator) -> Tensor:
        # What the process remembers of a file is kept by its path; a link is no copy on disk.
        path = folder / f"{next(numbers)}.mp4"
        path.hardlink_to(videos[video])
        return read_clip(open_frames(path), CLIP, rng)

    return read


def asking_for(decoder: str, way: Way) -> Way:
    """A way with one decoder."""

    def read(video: int, rng: np.random.Generator) -> object:
        with environment(READER, decoder):
            return way(video, rng)

    return read


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the environment, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


if __name__ == "__main__":
    main()
