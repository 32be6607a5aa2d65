"""Processes that read ahead: one that dies or hangs costs at most the video that it read."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
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
    """Video i is the number i; reading number 5 does what a test wants, and so does making a batch
    of it.
    """

    def __init__(
        self, at_five: Callable[[], object], in_batch: Callable[[], object] = lambda: None
    ):
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


@dataclass(frozen=True)
class Frames:
    frames: torch.Tensor
    names: tuple[str, ...]


class Many(VideoDataset):
    """Batches of two megabytes."""

    def __init__(self) -> None:
        super().__init__(8, seed=0)

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Frames:
        return Frames(torch.full((1000, 1000), index, dtype=torch.uint8), (self.title(index),))

    def collate(self, samples: Sequence[Frames]) -> Frames:
        return Frames(
            torch.stack([one.frames for one in samples]), tuple(one.names[0] for one in samples)
        )


def read(
    videos: VideoDataset,
    *,
    workers: int = 1,
    stop_asked: Callable[[], bool] = lambda: False,
    on_loss: Callable[[str], object] = lambda line: None,
) -> list[Any]:
    config = LoopConfig(workers=workers, reader_timeout=2)
    sampler = ClipSampler(8, batch=2, epochs=1, seed=0)
    with Readers(videos, sampler, config, stop_asked, on_loss) as batches:
        return [batch.tolist() for batch in batches]


def fail(error: Exception) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


ORDER = np.random.default_rng((0, 0)).permutation(8).reshape(4, 2).tolist()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_the_order_of_the_sampler(workers: int) -> None:
    assert read(Numbers(lambda: None), workers=workers) == ORDER
    assert not multiprocessing.active_children()


def once(folder: Path, fault: Callable[[], object]) -> Callable[[], object]:
    """What goes wrong the first time only, in whatever process."""

    def do() -> None:
        if not (folder / "done").exists():
            (folder / "done").touch()
            fault()

    return do


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reading_process_that_is_killed_costs_nothing(workers: int, tmp_path: Path) -> None:
    lines: list[str] = []
    videos = Numbers(once(tmp_path, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    assert read(videos, workers=workers, on_loss=lines.append) == ORDER
    (line,) = lines
    assert line.startswith(
        "clips/5.mp4: the process that read it died (SIGKILL); if memory was short"
    )
    assert not videos.left_out
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            r"^clips/5\.mp4: the process that read it died \(SIGKILL\); if",
        ),
        (lambda: os._exit(3), r"^clips/5\.mp4: the process that read it died \(exit status 3\)"),
        (
            lambda: time.sleep(60),
            r"^clips/5\.mp4: reading it takes more than 2 seconds; .*--loop\.reader-timeout",
        ),
        (
            lambda: os.kill(os.getpid(), signal.SIGSTOP),
            r"^clips/5\.mp4: reading it takes more than 2 seconds",
        ),
    ],
)
def test_a_video_that_ends_or_holds_up_its_reader_is_left_out(
    fault: Callable[[], object], reason: str
) -> None:
    videos = Numbers(fault)
    batches = read(videos)
    # Every video but one keeps its place; a random other one stands in for it.
    assert [5 in batch for batch in ORDER] == [
        batch != other for batch, other in zip(batches, ORDER, strict=True)
    ]
    assert not any(5 in batch or len(set(batch)) == 1 for batch in batches)
    assert re.match(reason, videos.left_out["clips/5.mp4"])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("videos", "reason"),
    [
        (
            Numbers(lambda: None, lambda: os._exit(3)),
            r"^5 reading processes were lost one after the other; the last: ",
        ),
        (Numbers(fail(RunError("labels are wrong"))), "^labels are wrong$"),
    ],
)
def test_what_cannot_be_helped_ends_the_run_in_one_line(videos: VideoDataset, reason: str) -> None:
    with pytest.raises(RunError, match=reason) as raised:
        read(videos)
    assert len(str(raised.value).splitlines()) == 1
    assert not multiprocessing.active_children()


def test_a_fault_of_the_program_comes_with_its_place() -> None:
    with pytest.raises(
        RuntimeError, match=r"(?s)in a reading process:.*in_batch.*KeyError: 'wrong'"
    ):
        read(Numbers(lambda: None, fail(KeyError("wrong"))))


def test_no_process_is_left_when_the_training_process_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
sys.path[:0] = {sys.path!r}
from tests.densevos.engine.test_readers import Numbers
from densevos.config import LoopConfig
from densevos.data.clips import ClipSampler
from densevos.engine.readers import Readers
videos = Numbers(lambda: time.sleep(600))
readers = Readers(videos, ClipSampler(8, 2, 1, 0), LoopConfig(workers=1), lambda: False)
readers._hand_out()
print(readers._readers[0]._process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        reader = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while (
        Path(f"/proc/{reader}").exists()
        and "State:\tZ" not in Path(f"/proc/{reader}/status").read_text()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_batch_comes_in_memory_of_its_own() -> None:
    """Not in /dev/shm, which is small in containers, as torch would send it."""
    with Readers(Many(), ClipSampler(8, 2, 1, 0), LoopConfig(workers=1), lambda: False) as batches:
        frames = next(batches).frames
    assert not frames.is_shared()
    frames.add_(1)
    assert frames.shape == (2, 1000, 1000)
    assert frames[:, 0, 0].tolist() == [index + 1 for index in ORDER[0]]


def test_no_usable_video_is_an_error_of_the_input() -> None:
    class Broken(Numbers):
        def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> int:
            raise ValueError(f"bad {index}")

    with pytest.raises(
        InputError,
        match=r"^none of the 8 videos can be used; the first: clips/\d\.mp4: .*ValueError",
    ):
        read(Broken(lambda: None))


def test_a_run_that_waits_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PATIENCE", 0)
    with pytest.raises(Stopped):
        read(Numbers(lambda: time.sleep(60)), stop_asked=lambda: True)
    assert not multiprocessing.active_children()
    assert read(
        Numbers(lambda: None), stop_asked=lambda: True
    )  # what comes in time is still trained on


def test_without_reading_processes_training_reads_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "readers_can_start", lambda: False)
    sampler, config = ClipSampler(8, 2, 1, 0), LoopConfig(workers=2)
    with pytest.warns(
        UserWarning, match=r"need Linux, and this is .*: training reads in its own process"
    ):
        batches = Readers(Many(), sampler, config, lambda: False)
    with batches:
        assert next(batches).frames.shape == (2, 1000, 1000)
        assert not multiprocessing.active_children()
