"""Time by parts of a step."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from densevos.engine.profile import PARTS, PENDING, StepTimer, Untimed
from tests.device.simulated_gpu import simulated_gpu

CPU = torch.device("cpu")


class Ticks:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def mark(self) -> float:
        return self.now

    def seconds(self, start: float, end: float) -> float:
        return end - start


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    return Ticks()


def test_time_belongs_to_the_innermost_part(ticks: Ticks) -> None:
    timer = StepTimer(CPU, skip=1, clock=ticks)
    for _ in range(PENDING + 3):
        with timer.part("data"):
            ticks.now += 5
        with timer.part("loss"):
            ticks.now += 1
            with timer.part("network"):
                ticks.now += 2
            ticks.now += 1
        ticks.now += 1
        timer.end_step()
    lines = timer.lines()
    assert timer.steps == PENDING + 2
    each = {name: seconds / timer.steps for name, seconds in timer.seconds.items()}
    assert each == {"data": 5, "transfer": 0, "network": 2, "loss": 2, "update": 0, "other": 1}
    assert lines[0].startswith("10 steps of 10000.0 ms")
    assert [line.split()[0] for line in lines[1:-1]] == list(PARTS)
    assert "data" in lines[-1]
    assert "--loop.workers" in lines[-1]


class Slow(nn.Module):
    """A layer whose forward pass takes 3, and its backward pass 4."""

    def __init__(self, ticks: Ticks):
        super().__init__()
        self.weight, self.ticks = nn.Parameter(torch.ones(())), ticks

    def forward(self, x: Tensor) -> Tensor:
        return takes(x * self.weight, self.ticks, forwards=3, backwards=4)


class Learner(nn.Module):
    """Two layers, one called by another, and a loss that takes 1 forwards and 2 backwards."""

    def __init__(self, ticks: Ticks):
        super().__init__()
        self.network, self.ticks = nn.Sequential(Slow(ticks), nn.Sequential(Slow(ticks))), ticks

    def forward(self, x: Tensor) -> Tensor:
        return takes(self.network(x).sum(), self.ticks, forwards=1, backwards=2)


class _Takes(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor, ticks: Ticks, forwards: float, backwards: float) -> Tensor:
        context.ticks, context.backwards = ticks, backwards
        ticks.now += forwards
        return x.clone()

    @staticmethod
    def backward(context, gradient: Tensor):
        context.ticks.now += context.backwards
        return gradient, None, None, None


def takes(x: Tensor, ticks: Ticks, *, forwards: float, backwards: float) -> Tensor:
    return _Takes.apply(x, ticks, forwards, backwards)


def test_modules_are_the_network_both_ways_and_the_rest_is_the_loss(ticks: Ticks) -> None:
    timer, learner = StepTimer(CPU, skip=0, clock=ticks), Learner(ticks)
    with timer.watch(learner):
        with timer.part("loss"):
            loss = learner(torch.ones(2))
        with timer.part("loss"):
            loss.backward()
        timer.end_step()
    timer.lines()
    assert timer.seconds == {
        "data": 0,
        "transfer": 0,
        "network": 14,
        "loss": 3,
        "update": 0,
        "other": 0,
    }
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in learner.modules()
    )


def test_copies_to_a_device_are_the_transfer(ticks: Ticks) -> None:
    class Copied(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to("cuda", non_blocking=True).float()

    class Counting(StepTimer):
        def part(self, name: str):  # each block of the transfer takes 1
            ticks.now += name == "transfer"
            return super().part(name)

    timer = Counting(CPU, skip=0, clock=ticks)
    with simulated_gpu(), timer.watch(nn.Sequential(Copied())), timer.part("transfer"):
        nn.Sequential(Copied())(torch.ones(2))
    assert ticks.now == 2


def test_without_profile_nothing_is_measured() -> None:
    timer, learner = Untimed(), nn.Linear(1, 1)
    with timer.watch(learner), timer.part("data"):
        timer.end_step()
    assert timer.lines() == []
    assert StepTimer(CPU).lines() == []
