"""Batches that are made ready while the one before is computed."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from densevos.base.errors import Stopped
from densevos.engine.ahead import Ahead, pinned


class Counting:
    """The numbers 0, 1, 2; then it waits until it is closed."""

    def __init__(self, *, waits: bool) -> None:
        self.taken, self.waits, self.closed = 0, waits, threading.Event()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> int:
        if self.taken == 3:
            if not self.waits:
                raise StopIteration
            assert self.closed.wait(10)
            raise Stopped("closed")
        self.taken += 1
        return self.taken - 1

    def close(self) -> None:
        self.closed.set()


def test_batches_come_prepared_in_order_and_end() -> None:
    with Ahead(Counting(waits=False), lambda number: 10 * number) as batches:
        assert list(batches) == [0, 10, 20]
        assert list(batches) == []


def test_what_a_batch_raises_is_raised_in_its_turn() -> None:
    def refuse(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    with Ahead(Counting(waits=False), refuse) as batches:
        assert next(batches) == 0
        with pytest.raises(ValueError, match="one"):
            next(batches)


def test_a_run_that_ends_early_does_not_wait_for_the_next_batch() -> None:
    source = Counting(waits=True)
    with Ahead(source, lambda number: number) as batches:
        assert [next(batches) for _ in range(3)] == [0, 1, 2]
    assert source.closed.is_set()


def test_tensors_of_a_batch_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Batch:
        frames: torch.Tensor
        names: tuple[str, ...]

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)  # It takes a GPU.
    batch = pinned(Batch(torch.zeros(2), ("a", "b")))
    assert batch.frames.tolist() == [1, 1]
    assert batch.names == ("a", "b")
    assert pinned([1, 2]) == [1, 2]
