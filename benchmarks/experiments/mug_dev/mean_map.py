"""The mean of foreground maps as the mask of every frame: what is known of objects without a look at the frame.

    python benchmarks/experiments/mug_dev/mean_map.py MAPS SEQUENCES.txt OUT

writes OUT/SEQUENCE/FRAME.png for the frame folders that SEQUENCES.txt lists. The mean is over the videos of MAPS, each
the mean of its frames; the mask is where it is highest, as large as the maps are on average. `scripts/mug_dev.sh`
scores it beside the maps: a network that does no better has learned where objects are, not what they are.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.masks import read_mask, write_mask

SIDES = (72, 128)  # at which maps of all sizes are averaged


def main(maps: Path, sequences: Path, out: Path) -> None:
    """Write the mean of `maps` for every frame."""
    mean = mean_of(maps)
    mask = mean > np.quantile(mean, 1 - mean.mean())
    for sequence in map(Path, sequences.read_text(encoding="utf-8").split("\n")):
        frames = sorted(sequence.glob("*.jpg")) if sequence.name else []
        (out / sequence.name).mkdir(parents=True, exist_ok=True)
        for frame in frames:
            with Image.open(frame) as image:
                width, height = image.size
            fitting = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
            write_mask(out / sequence.name / f"{frame.stem}.png", np.asarray(fitting).astype(np.uint8))


def mean_of(maps: Path) -> np.ndarray:
    """The mean over videos of each one's mean map, of SIDES, float."""
    videos = [sorted(video.glob("*.png")) for video in sorted(maps.iterdir()) if video.is_dir()]
    mean: np.ndarray = np.mean([np.mean([small(path) for path in video], axis=0) for video in videos if video], axis=0)
    return mean


def small(path: Path) -> np.ndarray:
    """A map's foreground, averaged to SIDES."""
    foreground = (read_mask(path) == 1).astype(np.float32)
    return np.asarray(Image.fromarray(foreground).resize(SIDES[::-1], Image.Resampling.BOX))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
