"""Long work in a thread, one job at a time: its progress, its outcome, and how to cancel it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from densevos.base.errors import InputError


class CancelledError(Exception):
    """The user has ended a job."""


@dataclass(kw_only=True)
class Job:
    """The state of a job. Only its thread changes it, except for `cancel`.

    kind: What the job does, for the page.
    total, done: Number of frames, and of those that are finished.
    state: "running", "done", "cancelled" or "failed".
    message: What came of it, for the user.
    """

    kind: str
    total: int
    done: int = 0
    state: str = "running"
    message: str = ""
    _started: float = field(default_factory=time.monotonic)
    _stopped: Event = field(default_factory=Event)

    def step(self) -> None:
        """Count a frame.

        Raises:
            CancelledError: The user has cancelled the job.
        """
        # Counted before the check: the frame is finished even if the job ends now.
        self.done += 1
        if self._stopped.is_set():
            raise CancelledError

    def cancel(self) -> None:
        """End the job after its present frame."""
        self._stopped.set()

    def facts(self) -> dict[str, Any]:
        """What the page shows; "left" is the estimate of the remaining seconds, if there is one."""
        left = None
        if self.done and self.state == "running":
            # Assumes that the remaining frames take as long as the finished ones on average.
            seconds = time.monotonic() - self._started
            left = seconds / self.done * (self.total - self.done)

        return {
            "kind": self.kind,
            "total": self.total,
            "done": self.done,
            "state": self.state,
            "message": self.message,
            "left": left,
        }


class Worker:
    """Runs one job after another."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Job, work: Callable[[Job], str]) -> None:
        """Start a job.

        Args:
            job: Its state.
            work: Does the work, and returns the message for the user.
        """
        self.job = job
        self._thread = Thread(target=_run, args=(job, work), name=job.kind)
        self._thread.start()

    def stop(self) -> None:
        """End the job, if there is one, after its present frame, and wait for its end."""
        if self.job and self._thread:
            self.job.cancel()
            self._thread.join()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end of the job, but at most this number of seconds."""
        if self._thread:
            self._thread.join(seconds)


def _run(job: Job, work: Callable[[Job], str]) -> None:
    """Do the work of a job in its thread, and record how it ended."""
    try:
        # The message before the state: whoever sees that a job has ended finds its message.
        job.message = work(job)
        job.state = "done"
    except CancelledError:
        job.message = f"Cancelled after {job.done} of {job.total} frames. What is done is kept."
        job.state = "cancelled"
    except InputError as error:
        job.message, job.state = str(error), "failed"
    except Exception as error:
        # Nobody catches the errors of a thread, so the page must show them.
        job.message, job.state = f"{type(error).__name__}: {error}", "failed"
