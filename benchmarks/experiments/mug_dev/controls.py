"""Two controls that are scored beside MuG's masks and its first maps.

    python benchmarks/experiments/mug_dev/controls.py mean-map MAPS SEQUENCES.txt OUT

The mean of foreground maps as the mask of every frame: what is known of objects without a look at
the frame. It writes OUT/SEQUENCE/FRAME.png for the frame folders that SEQUENCES.txt lists. The mean
is over the videos of MAPS, each the mean of its frames. The mask is where it is highest, as large
as the maps are on average. A network that does no better has learned where objects are, not what
they are.

    python benchmarks/experiments/mug_dev/controls.py equal-area RESULTS MAPS OUT

Soft masks cut so that each frame has as much foreground as a folder of maps has on average. It
reads RESULTS/SEQUENCE/probabilities/1/FRAME.png (densevos-eval zeroshot --save-probabilities) and
writes OUT/SEQUENCE/FRAME.png. A network that is seldom sure finds little at a threshold of 0.5.
With the area given, as the mean map has it, it shows what it knows of places. Area needs no label:
it is that of MAPS.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.masks import read_mask, write_mask

SIDES = (72, 128)
"""Height and width at which maps of all sizes are averaged."""


def mean_map(maps: Path, sequences: Path, out: Path) -> None:
    """Write the mean of `maps` for every frame."""
    mean = mean_of(maps)

    # The mean of a map is its share of foreground, so this quantile leaves as much of it.
    mask = mean > np.quantile(mean, 1 - mean.mean())

    for sequence in map(Path, sequences.read_text(encoding="utf-8").split("\n")):
        # The last line of the list may be empty.
        frames = sorted(sequence.glob("*.jpg")) if sequence.name else []
        (out / sequence.name).mkdir(parents=True, exist_ok=True)
        for frame in frames:
            with Image.open(frame) as image:
                width, height = image.size

            fitting = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
            ids = np.asarray(fitting).astype(np.uint8)
            write_mask(out / sequence.name / f"{frame.stem}.png", ids)


def equal_area(results: Path, maps: Path, out: Path) -> None:
    """Write the soft masks of `results`, cut at the area of `maps`."""
    share = mean_of(maps).mean()
    for soft in sorted(results.glob("*/probabilities/1/*.png")):
        with Image.open(soft) as image:
            probability = np.asarray(image)

        # A threshold of its own for each frame. Soft masks lie in
        # SEQUENCE/probabilities/1/FRAME.png, so the third folder above has the sequence's name.
        mask = probability > np.quantile(probability, 1 - share)
        target = out / soft.parents[2].name / soft.name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_mask(target, mask.astype(np.uint8))


def mean_of(maps: Path) -> np.ndarray:
    """The mean over videos of each one's mean map, [H,W] float of SIDES."""
    # A mean for each video first: a long video then counts no more than a short one.
    means = []
    for video in sorted(maps.iterdir()):
        frames = [small(path) for path in sorted(video.glob("*.png"))]
        if frames:
            means.append(np.mean(frames, axis=0))

    mean: np.ndarray = np.mean(means, axis=0)
    return mean


def small(path: Path) -> np.ndarray:
    """A map's foreground, averaged to SIDES."""
    # Pixels that a map does not know count as background.
    foreground = (read_mask(path) == 1).astype(np.float32)
    return np.asarray(Image.fromarray(foreground).resize(SIDES[::-1], Image.Resampling.BOX))


CONTROLS = {"mean-map": mean_map, "equal-area": equal_area}

if __name__ == "__main__":
    CONTROLS[sys.argv[1]](*map(Path, sys.argv[2:]))
