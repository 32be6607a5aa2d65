"""What a step waits for: its time by part, on the device's own clock where there is one.

    data      waiting for the next batch
    transfer  copies of the batch to the device
    network   forward and backward passes of the learner's modules
    loss      what the learner computes between and after them, and its backward pass
    update    optimiser and schedule
    other     the rest: logs, checkpoints, the exchange between processes

On a GPU the parts are what its stream was busy with or waited for, so that they show what bounds a
step: a batch that is read while the GPU computes costs nothing.
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
"""Steps whose times are read late, so that reading them never waits for the device."""


class Clock(Protocol):
    """Marks moments, and tells the time between two of them."""

    def mark(self) -> Any:
        """This moment."""
        ...

    def seconds(self, start: Any, end: Any) -> float:
        """The time between two moments."""
        ...


class HostClock:
    """The time of the host."""

    def mark(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def seconds(self, start: float, end: float) -> float:
        """Their difference."""
        return end - start


class StreamClock:
    """The time of the GPU's current stream: a moment is when the stream comes to it."""

    def mark(self) -> torch.cuda.Event:
        """An event at the end of what was queued so far."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Their difference; waits until the stream has come to the second."""
        end.synchronize()
        return start.elapsed_time(end) / 1000


class StepTimer:
    """Adds up the time of each part of the steps of a run.

    Time belongs to the innermost part that is open, so parts may be nested.
    """

    def __init__(self, device: torch.device, *, skip: int = 3, clock: Clock | None = None):
        """skip: first steps that are not counted, as they fill caches and choose algorithms."""
        self.clock: Clock = clock or (StreamClock() if device.type == "cuda" else HostClock())
        self.skip = skip
        self.steps = 0
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._open = ["other"]
        self._marks: list[tuple[str, Any]] = []
        self._pending: deque[tuple[list[tuple[str, Any]], Any]] = deque()
        self._depth = 0
        self._switch()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A block whose time belongs to the part `name`, one of PARTS."""
        depth = len(self._open)
        self._enter(name)
        try:
            yield
        finally:
            del self._open[depth:]
            self._switch()

    def end_step(self) -> None:
        """Count what was measured since the last call as one step."""
        marks, end = self._marks, self.clock.mark()
        self._marks = [(self._open[-1], end)]
        if self.skip > 0:
            self.skip -= 1
            return

        self._pending.append((marks, end))
        while len(self._pending) > PENDING:
            self._add(*self._pending.popleft())

    @contextmanager
    def watch(self, learner: nn.Module) -> Iterator[None]:
        """A block in which the time of the learner's modules is the network's, and that of copies
        is the transfer's.

        Whatever calls the learner opens the part "loss". Watching itself costs some microseconds an
        operation.
        """
        handles = [
            handle
            for module in learner.modules()
            if module is not learner
            for handle in (
                module.register_forward_pre_hook(self._before_module),
                module.register_forward_hook(self._after_module, always_call=True),
            )
        ]

        try:
            with _Transfers(self.part):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def lines(self) -> list[str]:
        """A table of the parts, and what bounds a step; nothing where no step was counted."""
        while self._pending:
            self._add(*self._pending.popleft())

        if not self.steps:
            return []

        total = max(sum(self.seconds.values()), 1e-12)
        largest = max(PARTS, key=lambda name: self.seconds[name])
        table = [
            f"{name:<9}{1000 * self.seconds[name] / self.steps:10.1f} ms{100 * self.seconds[name] / total:6.1f} %"
            for name in PARTS
        ]
        each = 1000 * total / self.steps

        return [
            f"{self.steps} steps of {each:.1f} ms, of which",
            *table,
            f"A step is bounded by {_SAID[largest]}.",
        ]

    def _enter(self, name: str) -> None:
        self._open.append(name)
        self._switch()

    def _switch(self) -> None:
        """From now on time belongs to the innermost open part."""
        self._marks.append((self._open[-1], self.clock.mark()))

    def _add(self, marks: list[tuple[str, Any]], end: Any) -> None:
        self.steps += 1
        ends = [mark for _, mark in marks[1:]] + [end]
        for (name, start), stop in zip(marks, ends, strict=True):
            self.seconds[name] += self.clock.seconds(start, stop)

    def _before_module(self, module: nn.Module, inputs: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._enter("network")
            _when_gradients_arrive(inputs, lambda: self._back_in("loss"))

    def _after_module(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._open.pop()
            self._switch()
            _when_gradients_arrive(output, lambda: self._back_in("network"))

    def _back_in(self, name: str) -> None:
        """In the backward pass, which runs in one part, the innermost part is what is passed
        through.
        """
        self._open[-1] = name
        self._switch()


class Untimed:
    """What a run without --profile has in the place of a StepTimer: it costs nothing."""

    def part(self, name: str) -> AbstractContextManager[None]:
        """A block like any other."""
        return nullcontext()

    def watch(self, learner: nn.Module) -> AbstractContextManager[None]:
        """A block like any other."""
        return nullcontext()

    def end_step(self) -> None:
        """Nothing to count."""

    def lines(self) -> list[str]:
        """Nothing to tell."""
        return []


_SAID = {
    "data": "data: the device waits for batches; raise --loop.workers, or read smaller frames (densevos data pack)",
    "transfer": "transfer: copies of batches to the device",
    "network": "the network",
    "loss": "the loss",
    "update": "the update of weights",
    "other": "other things: logs, checkpoints, the exchange between processes",
}


class _Transfers(TorchFunctionMode):
    """Times tensors that move from the host to a device."""

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
        if (
            func is Tensor.to
            and args[0].device.type == "cpu"
            and _leaves_the_host(args[1:], kwargs or {})
        ):
            with self.part("transfer"):
                return func(*args, **(kwargs or {}))

        return func(*args, **(kwargs or {}))


def _leaves_the_host(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    target = kwargs.get("device", args[0] if args else None)
    if isinstance(target, Tensor):
        target = target.device
    return isinstance(target, str | torch.device) and torch.device(target).type != "cpu"


def _when_gradients_arrive(tensors: Any, then: Callable[[], None]) -> None:
    """Call `then` when the backward pass comes to a tensor among these."""
    for tensor in tree_leaves(tensors):
        if isinstance(tensor, Tensor) and tensor.requires_grad and tensor.grad_fn is not None:
            tensor.register_hook(lambda _: then())
