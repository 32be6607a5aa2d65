"""Measure the time of each part of a step, on the GPU's own clock if there is a GPU.

    data      waiting for the next batch
    transfer  copies of the batch to the device
    network   forward and backward passes of the learner's modules
    loss      other computations of the learner, and their backward pass
    update    optimiser and schedule
    other     logs, checkpoints, communication between processes

On a GPU a part is the time for which the GPU's stream computed it or waited for it. The times
therefore show what limits the speed: a batch that is read while the GPU computes costs nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

PARTS = ("data", "transfer", "network", "loss", "update", "other")
PENDING = 8
"""Number of steps after which times are read, so that reading them never waits for the GPU."""


class Clock(Protocol):
    """Marks moments, and measures the time between two of them."""

    def mark(self) -> Any:
        """Mark this moment."""
        ...

    def seconds(self, start: Any, end: Any) -> float:
        """The time between two marked moments."""
        ...


class HostClock:
    """The clock of the host."""

    def mark(self) -> float:
        """The time in seconds."""
        return time.perf_counter()

    def seconds(self, start: float, end: float) -> float:
        """The difference of two times."""
        return end - start


class StreamClock:
    """The clock of the GPU's current stream: a moment is when the stream reaches it."""

    def mark(self) -> torch.cuda.Event:
        """An event at the end of the operations queued so far."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """The time between two events; waits until the stream has reached the second."""
        end.synchronize()
        milliseconds: float = start.elapsed_time(end)
        return milliseconds / 1000


class StepTimer:
    """Adds up the time of each part of the steps of a run.

    Parts may be nested: time belongs to the innermost open part.

    Args:
        device: Where the run computes; it selects the clock.
        skip: Number of first steps that are not counted: they fill caches and choose algorithms.
        clock: The clock; None for that of the GPU's stream or of the host.
    """

    def __init__(self, device: torch.device, *, skip: int = 3, clock: Clock | None = None):
        if clock is None:
            clock = StreamClock() if device.type == "cuda" else HostClock()

        self.clock: Clock = clock
        self.skip = skip
        self.steps = 0
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._open = ["other"]  # the open parts, innermost last
        self._marks: list[tuple[str, Any]] = []  # of this step: a part and when it went on
        self._pending: deque[tuple[list[tuple[str, Any]], Any]] = deque()  # steps not yet read
        self._depth = 0  # of calls of modules inside each other
        self._switch()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A block whose time belongs to a part.

        Args:
            name: One of PARTS.
        """
        depth = len(self._open)
        self._enter(name)
        try:
            yield
        finally:
            # If an error was raised, parts inside this one may still be open.
            del self._open[depth:]
            self._switch()

    def end_step(self) -> None:
        """Count the time since the last call as one step."""
        marks, end = self._marks, self.clock.mark()
        self._marks = [(self._open[-1], end)]
        # The first steps are not counted; the mark above is where the next one starts.
        if self.skip > 0:
            self.skip -= 1
            return

        # Reading the newest marks would stop the host until the GPU is done, so they wait here.
        self._pending.append((marks, end))
        while len(self._pending) > PENDING:
            self._add(*self._pending.popleft())

    @contextmanager
    def watch(self, learner: nn.Module) -> Iterator[None]:
        """A block in which modules count as "network" and copies to the device as "transfer".

        The caller of the learner opens the part "loss" itself. Watching costs some microseconds
        per operation.

        Args:
            learner: The learner whose submodules are watched.
        """
        handles = []
        for module in learner.modules():
            # The learner's own forward pass computes the loss between calls of its modules.
            if module is not learner:
                handles.append(module.register_forward_pre_hook(self._before_module))
                handles.append(module.register_forward_hook(self._after_module, always_call=True))

        try:
            with _Transfers(self.part):
                yield
        finally:
            # Without hooks, the learner runs as fast as before.
            for handle in handles:
                handle.remove()

    def lines(self) -> list[str]:
        """The table of parts and what limits the speed, line by line.

        Returns:
            The lines; empty if no step was counted.
        """
        # The last steps were not read yet; the run is over, so waiting for the GPU does no harm.
        while self._pending:
            self._add(*self._pending.popleft())

        if not self.steps:
            return []

        # The bound keeps the percentages finite if the clock showed no time at all.
        total = max(sum(self.seconds.values()), 1e-12)
        table = [f"{self.steps} steps of {1000 * total / self.steps:.1f} ms, by part:"]
        for name in PARTS:
            milliseconds = 1000 * self.seconds[name] / self.steps
            percent = 100 * self.seconds[name] / total
            table.append(f"{name:<9}{milliseconds:10.1f} ms{percent:6.1f} %")

        largest = max(PARTS, key=lambda name: self.seconds[name])
        table.append(f"A step is bounded by {_DESCRIPTIONS[largest]}.")
        return table

    def _enter(self, name: str) -> None:
        self._open.append(name)
        self._switch()

    def _switch(self) -> None:
        """Count time for the innermost open part from now on."""
        self._marks.append((self._open[-1], self.clock.mark()))

    def _add(self, marks: list[tuple[str, Any]], end: Any) -> None:
        """Add up a step whose marks are old enough to be read."""
        self.steps += 1
        # A part ends where the next one starts.
        ends = [mark for _, mark in marks[1:]]
        ends.append(end)
        for (name, start), stop in zip(marks, ends, strict=True):
            self.seconds[name] += self.clock.seconds(start, stop)

    def _before_module(self, module: nn.Module, inputs: Any) -> None:
        self._depth += 1
        if self._depth == 1:  # called by the learner itself, not by another module
            self._enter("network")
            # The backward pass leaves the network where the forward pass entered it.
            _when_gradients_arrive(inputs, lambda: self._back_in("loss"))

    def _after_module(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._open.pop()
            self._switch()
            _when_gradients_arrive(output, lambda: self._back_in("network"))

    def _back_in(self, name: str) -> None:
        """Replace the innermost part: the backward pass goes through parts without opening any."""
        self._open[-1] = name
        self._switch()


class Untimed:
    """Replaces a StepTimer in a run without --profile; it measures nothing and costs nothing."""

    def part(self, name: str) -> AbstractContextManager[None]:
        """A block that is not measured."""
        return nullcontext()

    def watch(self, learner: nn.Module) -> AbstractContextManager[None]:
        """A block that is not measured."""
        return nullcontext()

    def end_step(self) -> None:
        """Do nothing."""

    def lines(self) -> list[str]:
        """No lines."""
        return []


_DESCRIPTIONS = {
    "data": "data: the device waits for batches; raise --loop.workers, "
    "or read smaller frames (densevos data pack)",
    "transfer": "transfer: copies of batches to the device",
    "network": "the network",
    "loss": "the loss",
    "update": "the update of weights",
    "other": "other work: logs, checkpoints, communication between processes",
}


class _Transfers(TorchFunctionMode):
    """Measures `Tensor.to` from the host to a device."""

    def __init__(self, part: Callable[[str], AbstractContextManager[None]]):
        super().__init__()
        self.part = part

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        # Only calls from the host count: copies within the device are part of the computation.
        is_on_host = func is Tensor.to and args[0].device.type == "cpu"
        if is_on_host and _leaves_the_host(args[1:], kwargs):
            with self.part("transfer"):
                return func(*args, **kwargs)

        return func(*args, **kwargs)


def _leaves_the_host(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether these arguments of `Tensor.to` name a device that is not the CPU."""
    target = kwargs.get("device", args[0] if args else None)
    if isinstance(target, Tensor):
        target = target.device

    # The first argument may also be a number format, as in x.to(torch.float16).
    return isinstance(target, str | torch.device) and torch.device(target).type != "cpu"


def _when_gradients_arrive(tensors: Any, then: Callable[[], None]) -> None:
    """Call `then` when the backward pass reaches one of these tensors."""
    for tensor in tree_leaves(tensors):
        # Leaves, such as parameters, have no grad_fn: no network computed them.
        if isinstance(tensor, Tensor) and tensor.requires_grad and tensor.grad_fn is not None:
            tensor.register_hook(lambda _: then())
