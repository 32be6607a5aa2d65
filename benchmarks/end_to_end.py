"""Frames a second and peak memory of propagation from frames on disk to masks on disk.

    python benchmarks/end_to_end.py --frames 50 500 [--precision fp32 tf32 bf16] [--device cpu]

The published settings (ResNet-18, res4 features, context 20) run on JPEG frames of 480x854 pixels
with two objects, for short and long videos. Each row is a process of its own; its memory is the
largest resident one less what the imports take. The script prints a table and, as the last line,
one JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import page_tables
from densevos.base.masks import read_mask, write_mask
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.propagation.propagate import propagate
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.sequences.sequence import VideoSequence
from harness import Row, device_name, in_own_process, parser_of, peak_mb, report, resident_mb


def main() -> None:
    """Draw the frames, run every row in a process of its own, print; or be that process."""
    parser = parser_of(__doc__, own_processes=True)  # --one has the folder of frames
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[50, 500], help="lengths of the videos"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=["fp32"],
        choices=["fp32", "tf32", "bf16"],
        help="of the encoder",
    )
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=854)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(Path(options.one), options)))
        return

    with tempfile.TemporaryDirectory() as folder:
        # Drawn once, at the greatest length; shorter videos are the first frames of it.
        draw(Path(folder), max(options.frames), (options.height, options.width))

        rows = []
        for precision in options.precision:
            for frames in options.frames:
                rows.append(row_of(folder, frames, precision))

    figures = {"rows": rows, "threads": options.threads, "torch": torch.__version__}
    report(figures, page_tables.end_to_end(figures), out=options.out)


def draw(folder: Path, frames: int, size: tuple[int, int]) -> None:
    """Write JPEG frames, in which two textured discs and their ground drift, and the first mask."""
    height, width = size
    generator = np.random.default_rng(0)

    # One texture for the ground and one for each disc, larger than a frame so that they can drift.
    textures = []
    for noise in generator.integers(0, 256, (3, 48, 64, 3), np.uint8):
        texture = cv2.resize(noise, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        textures.append(texture)

    y, x = np.mgrid[:height, :width]
    (folder / "frames").mkdir()

    for t in range(frames):
        # Everything moves to and fro, so no object ever leaves the frame.
        sway = np.sin(t / 15)

        # Disc 1 on the left, disc 2 on the right.
        ids = np.zeros(size, np.uint8)
        for id, side in enumerate((0.3, 0.7), start=1):
            centre_y, centre_x = height * (0.5 + 0.1 * sway), width * (side + 0.05 * sway)
            ids[np.hypot(y - centre_y, x - centre_x) < height / 5] = id

        # Each pixel takes the texture of its id; all textures drift together.
        shift = round((1 + sway) * height / 4)
        place = (slice(shift, shift + height), slice(shift, shift + width))
        frame = np.choose(ids[..., None], [texture[place] for texture in textures])
        Image.fromarray(frame).save(folder / "frames" / f"{t:05d}.jpg")
        if t == 0:
            write_mask(folder / "first.png", ids)


def row_of(folder: str, frames: int, precision: str) -> Row:
    """One row of the table, measured by a process of its own."""
    # argparse takes the last value of an option, so these replace the lists of the user.
    chosen = ["--one", folder, "--frames", str(frames), "--precision", precision]
    return in_own_process([*sys.argv, *chosen])


def run(folder: Path, options: argparse.Namespace) -> Row:
    """Propagate through the first frames of the folder and write the masks.

    Frames before the context is full do not count in the rate.
    """
    imports = resident_mb()
    torch.set_num_threads(options.threads)
    (frames,), (precision,) = options.frames, options.precision
    encoder = load_encoder("random:resnet18", device=options.device, precision=precision)

    names = tuple(f"{t:05d}" for t in range(frames))
    sequence = VideoSequence(
        name="drift",
        source=some_frames(folder, names),
        frame_names=names,
        given={0: folder / "first.png"},
    )

    # When each frame was done; the differences are its seconds.
    config = PropagationConfig()
    moments = [time.perf_counter()]

    out = folder / f"masks-{frames}-{precision}"
    out.mkdir()
    for name, ids in propagate(sequence, encoder, config):
        write_mask(out / f"{name}.png", ids)
        moments.append(time.perf_counter())

    # Propagation that loses its objects would have less to do.
    assert len(np.unique(read_mask(out / f"{names[-1]}.png"))) > 1, "no object is left at the end"

    warm = min(config.context + 1, frames // 2)  # From here on the context is full.
    row: Row = {
        "frames": frames,
        "precision": precision,
        "device": device_name(encoder.device),
        "frames_per_second": round((frames - warm) / (moments[-1] - moments[warm]), 2),
        "imports_mb": round(imports),
        "peak_mb": round(peak_mb() - imports),
    }

    # `peak_mb` above is memory of the host, on a GPU too.
    if encoder.device.type == "cuda":
        row["peak_gpu_mb"] = round(peak_mb(encoder.device))

    return row


def some_frames(folder: Path, names: tuple[str, ...]) -> Path:
    """A folder with links to these frames only."""
    # Rows of several precisions have as many frames, so the process is part of the name.
    chosen = folder / f"chosen-{len(names)}-{os.getpid()}"
    chosen.mkdir()
    for name in names:
        (chosen / f"{name}.jpg").symlink_to(folder / "frames" / f"{name}.jpg")

    return chosen


if __name__ == "__main__":
    main()
