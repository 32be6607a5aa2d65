"""Tiny benchmarks on disk in the layouts of DAVIS and of YouTube-VOS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.masks import write_mask

HEIGHT, WIDTH, FRAMES = 24, 40, 6


@pytest.fixture(autouse=True)
def _no_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine even a short run may take long enough for one, and tests look at all
    lines.
    """
    monkeypatch.setattr("densevos_eval.base.progress.QUIET_SECONDS", float("inf"))


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


def write_frames(
    folder: Path, *, frames: int = FRAMES, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> None:
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
    """Sequence one with one object, two with two; results are a little beside the truth for
    `two`.
    """
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


@pytest.fixture
def ytvos(tmp_path: Path) -> Path:
    """YouTube-VOS' valid: frames 0 to 10, every fifth asked for; in `late` a second object appears
    in frame 5.
    """
    root = tmp_path / "YouTubeVOS"
    masks = {0: moving_rectangles({1: 1})[0], 5: moving_rectangles({1: 1, 2: 14})[1]}
    wanted = ["00000", "00005", "00010"]
    objects = {"1": {"category": "dog", "frames": wanted}}
    videos = {
        "early": {"objects": objects},
        "late": {"objects": {**objects, "2": {"frames": wanted[1:]}}},
    }
    for name in videos:
        write_frames(root / "valid_all_frames" / "JPEGImages" / name, frames=11)
        write_frames(root / "valid" / "JPEGImages" / name, frames=11)
        for file in (root / "valid" / "JPEGImages" / name).iterdir():
            if file.stem not in wanted:
                file.unlink()
        (root / "valid" / "Annotations" / name).mkdir(parents=True)
        for t, mask in list(masks.items())[: 1 if name == "early" else 2]:
            write_mask(root / "valid" / "Annotations" / name / f"{t:05d}.png", mask)
    (root / "valid" / "meta.json").write_text(json.dumps({"videos": videos}))
    return root
