"""Soft masks cut so that each frame has as much foreground as a folder of maps has on average.

    python benchmarks/experiments/mug_dev/equal_area.py RESULTS MAPS OUT

reads RESULTS/SEQUENCE/probabilities/1/FRAME.png (densevos-eval zeroshot --save-probabilities) and writes
OUT/SEQUENCE/FRAME.png. A network that is seldom sure finds little at a threshold of 0.5; what it knows of places shows
when it is given the area, as mean_map.py gives it to the mean of the maps. Area needs no label: it is that of MAPS.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.masks import write_mask
from mean_map import mean_of


def main(results: Path, maps: Path, out: Path) -> None:
    """Write the masks."""
    share = mean_of(maps).mean()
    for soft in sorted(results.glob("*/probabilities/1/*.png")):
        with Image.open(soft) as image:
            probability = np.asarray(image)
        mask = probability > np.quantile(probability, 1 - share)
        target = out / soft.parents[2].name / soft.name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_mask(target, mask.astype(np.uint8))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
