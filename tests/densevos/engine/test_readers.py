"""Processes that read ahead: one that dies, hangs or lacks memory ends the run in one line."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from densevos.base.errors import InputError, RunError, Stopped
from densevos.config import LoopConfig
from densevos.data.clips import ClipSampler, VideoDataset
from densevos.engine import readers
from densevos.engine.readers import Readers


class Numbers(VideoDataset):
    """Video i is the number i; reading number 5 does what a test wants, and so does making a batch of it."""

    def __init__(self, at_five: Callable[[], object], in_batch: Callable[[], object] = lambda: None):
        super().__init__(8, seed=0)
        self.at_five, self.in_batch = at_five, in_batch

    def title(self, index: int) -> str:
        return f"clips/{index}.mp4"

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> int:
        if index == 5:
            self.at_five()
        return index

    def collate(self, samples: Sequence[int]) -> torch.Tensor:
        if 5 in samples:
            self.in_batch()
        return torch.tensor(samples)


def read(videos: VideoDataset, *, workers: int = 1, stop_asked: Callable[[], bool] = lambda: False) -> list[Any]:
    config = LoopConfig(workers=workers, reader_timeout=2)
    with Readers(videos, ClipSampler(8, batch=2, epochs=1, seed=0), config, stop_asked) as batches:
        return [batch.tolist() for batch in batches]


def fail(error: Exception) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_the_order_of_the_sampler(workers: int) -> None:
    order = np.random.default_rng((0, 0)).permutation(8).reshape(4, 2).tolist()
    assert read(Numbers(lambda: None), workers=workers) == order
    assert not multiprocessing.active_children()


NO_MEMORY = "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)"


@pytest.mark.parametrize(
    ("videos", "reason"),
    [
        (Numbers(lambda: os.kill(os.getpid(), signal.SIGKILL)), r"^clips/5\.mp4: the process .* died \(SIGKILL\); if"),
        (Numbers(lambda: os._exit(3)), r"^clips/5\.mp4: the process that read it died \(exit status 3\)"),
        (Numbers(lambda: os.kill(os.getpid(), signal.SIGBUS)), r"^a reading process died: .*--shm-size"),
        (Numbers(lambda: time.sleep(60)), r"^clips/5\.mp4: reading it takes more than 2 sec.*--loop\.reader-timeout"),
        (Numbers(lambda: os.kill(os.getpid(), signal.SIGSTOP)), r"^clips/5\.mp4: reading it takes more than 2 seconds"),
        (Numbers(lambda: None, fail(RuntimeError(NO_MEMORY))), r"^shared memory .*--shm-size.*--loop\.workers 0"),
        (Numbers(lambda: None, fail(OSError(24, "Too many open files"))), r"^too many open files.*ulimit -n"),
        (Numbers(fail(RunError("labels are wrong"))), "^labels are wrong$"),
    ],
)
def test_what_goes_wrong_in_a_reading_process_ends_the_run_in_one_line(videos: VideoDataset, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match=reason) as raised:
        read(videos)
    assert len(str(raised.value).splitlines()) == 1
    assert time.monotonic() - started < 30
    assert not multiprocessing.active_children()


def test_no_usable_video_is_an_error_of_the_input() -> None:
    class Broken(Numbers):
        def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> int:
            raise ValueError(f"bad {index}")

    with pytest.raises(InputError, match=r"^none of the 8 videos can be used; the first: clips/\d\.mp4: .*ValueError"):
        read(Broken(lambda: None))


def test_a_run_that_waits_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PATIENCE", 0)
    with pytest.raises(Stopped):
        read(Numbers(lambda: time.sleep(60)), stop_asked=lambda: True)
    assert not multiprocessing.active_children()
    assert read(Numbers(lambda: None), stop_asked=lambda: True)  # what comes in time is still trained on
