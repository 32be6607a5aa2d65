"""Small videos that the trainer's tests read."""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.config import (
    ClipConfig,
    EncoderConfig,
    LoopConfig,
    OptimiserConfig,
    SelfTrainingConfig,
    TrainConfig,
)


@pytest.fixture(autouse=True, scope="module")  # before runs that a whole module shares
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def write_frames(
    folder: Path, frames: int, *, width: int = 56, height: int = 40, seed: int = 0
) -> Path:
    """A frame folder of smooth random texture that moves one pixel a frame."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    texture = np.asarray(coarse.resize((width + frames, height), Image.Resampling.BICUBIC))
    folder.mkdir(parents=True)
    for t in range(frames):
        Image.fromarray(texture[:, t : t + width]).save(folder / f"{t:05d}.png")
    return folder


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A data folder of four frame folders of nine frames."""
    for k in range(4):
        write_frames(tmp_path / "data" / f"video{k}", 9, seed=k)
    return tmp_path / "data"


@pytest.fixture
def tiny(videos: Path) -> TrainConfig:
    """A training run of four steps that takes seconds."""
    return TrainConfig(
        data=videos,
        encoder=EncoderConfig(key_channels=16, last="res3"),  # a quarter of the weights
        clips=ClipConfig(frames=2, size=32, short_side=(32, 40), gap=2),
        objective=SelfTrainingConfig(anchor_grid=2, cross_view_grid=2),
        optimiser=OptimiserConfig(lr=1e-3),
        loop=LoopConfig(
            batch=2,
            epochs=2,
            workers=0,
            log_every=1,
            checkpoint_every=1,
            device="cpu",
            precision="fp32",
        ),
    )


@contextlib.contextmanager
def worker_killed_once(there: Path) -> Iterator[None]:
    """Kill the first worker process of this one as soon as there is something at `there`."""

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not there.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        for process in multiprocessing.active_children():
            process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()
