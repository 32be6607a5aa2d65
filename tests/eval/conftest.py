"""A tiny benchmark on disk in the layout of DAVIS."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.masks import write_mask

HEIGHT, WIDTH, FRAMES = 24, 40, 6


def moving_rectangles(ids: Mapping[int, int], *, shift: int = 0) -> np.ndarray:
    """Masks [6,24,40] uint8 of rectangles; `ids` gives each id the row it starts in."""
    masks = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for id, top in ids.items():
        for t, mask in enumerate(masks):
            mask[top : top + 8, 3 + 2 * t + shift : 15 + 2 * t + shift] = id
    return masks


def write_masks(folder: Path, masks: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for t, mask in enumerate(masks):
        write_mask(folder / f"{t:05d}.png", mask)


def write_frames(folder: Path, *, frames: int = FRAMES, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    folder.mkdir(parents=True)
    for t in range(frames):
        Image.new("RGB", size, (t, 2 * t, 90)).save(folder / f"{t:05d}.jpg")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    root: Path
    results: Path

    def annotation(self, sequence: str, frame: int) -> Path:
        return self.root / "Annotations" / "480p" / sequence / f"{frame:05d}.png"

    def result(self, sequence: str, frame: int) -> Path:
        return self.results / sequence / f"{frame:05d}.png"


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    """Sequence one with one object, two with two; results are a little beside the truth for `two`."""
    root, results = tmp_path / "DAVIS", tmp_path / "results"
    for name, ids in {"one": {1: 8}, "two": {1: 1, 2: 14}}.items():
        write_frames(root / "JPEGImages" / "480p" / name)
        write_masks(root / "Annotations" / "480p" / name, moving_rectangles(ids))
        write_masks(results / name, moving_rectangles(ids, shift=4 if name == "two" else 0))
    for year in ("2016", "2017"):
        file = root / "ImageSets" / year / "val.txt"
        file.parent.mkdir(parents=True)
        file.write_text("one\ntwo\n")
    return Benchmark(root=root, results=results)
