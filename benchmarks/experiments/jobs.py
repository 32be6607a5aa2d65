"""Run the commands of an experiment, several jobs at a time, and end them cleanly.

A job is a name and its *steps*: an iterator of commands. A generator is the natural way to write
one. It looks at the disk only when its turn comes, and the code after a `yield` runs only if that
command has succeeded:

    def made(folder: Path) -> Steps:
        if not folder.is_dir():                       # what is finished stays
            part = folder.with_name(f"{folder.name}.part")
            yield ("densevos", "data", "frames", "videos", "--out", str(part))
            part.rename(folder)                       # the folder appears only when it is complete
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

Command = tuple[str, ...]
"""What a user would type: densevos, densevos-eval or python, and the arguments."""
Steps = Iterator[Command]

STOPPED = 128 + signal.SIGTERM
"""Exit status of a command that was asked to stop and has saved its state."""

# Short beside any command, and long enough to cost no processor time.
_POLL_SECONDS = 0.05

# A closed terminal, Ctrl-C, and `kill` or `timeout`.
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_PROGRAMS = {
    "densevos": ("-m", "densevos"),
    "densevos-eval": ("-m", "densevos_eval"),
    "python": (),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """Commands that follow one another.

    Args:
        name: what a failure is reported under.
        steps: the commands, in order.
    """

    name: str
    steps: Steps


def run_jobs(jobs: Iterable[Job], *, at_once: int = 1) -> None:
    """Run `jobs`, at most `at_once` at a time.

    Whatever ends this function, no command is left behind: those that still run get SIGTERM and the
    time that they need, because a training then saves its state.

    Raises:
        SystemExit: with the status of the first command that fails, after its job was named on
            stderr; with 128 + N after signal N (SIGHUP, SIGINT or SIGTERM).
    """
    waiting = deque(jobs)
    running: list[_RunningJob] = []

    with _collected_signals() as received:
        try:
            while (waiting or running) and not received:
                while waiting and len(running) < at_once:
                    running.append(_RunningJob(waiting.popleft()))

                # This starts the next command of each job, the first one included.
                running = [job for job in running if job.goes_on()]
                time.sleep(_POLL_SECONDS)
        finally:
            _end(running)

    # The status that shells give to a process that a signal has ended.
    if received:
        raise SystemExit(128 + received[0])


def argv(command: Command) -> list[str]:
    """The arguments that start `command` with the interpreter that runs this code."""
    program, *arguments = command
    return [sys.executable, *_PROGRAMS[program], *arguments]


class _RunningJob:
    """A job, and the process of its present command."""

    def __init__(self, job: Job):
        self.job = job
        self.process: subprocess.Popen[bytes] | None = None

    def goes_on(self) -> bool:
        """Start the next command if the present one is done; return whether there is one.

        Raises:
            SystemExit: with the status of a command that failed, after the job was named on stderr.
        """
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return True
            if status != 0:
                raise SystemExit(self._failed(status))

        # Only now does the generator look at the disk, after the last command has succeeded.
        command = next(self.job.steps, None)
        if command is None:
            return False

        # A session of its own: Ctrl-C in a terminal then reaches this process alone, which passes
        # it on as the SIGTERM on which trainings save their state.
        self.process = subprocess.Popen(
            argv(command),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

        return True

    def _failed(self, returncode: int) -> int:
        """Name the job and return its status; one that was stopped is not to blame."""
        # Popen gives -N for a process that signal N has ended.
        status = returncode if returncode > 0 else 128 - returncode
        if status != STOPPED:
            print(
                f"error: {self.job.name} failed with exit status {status}",
                file=sys.stderr,
                flush=True,
            )

        return status


def _end(running: Iterable[_RunningJob]) -> None:
    """Ask every command that still runs to end, and wait until all have."""
    processes = [job.process for job in running if job.process is not None]
    still_running = [process for process in processes if process.poll() is None]

    # To the whole group: a training has reading processes of its own.
    for process in still_running:
        with suppress(ProcessLookupError):  # It may have ended since.
            os.killpg(process.pid, signal.SIGTERM)

    # All were asked before the first one is waited for, so they end at the same time.
    for process in still_running:
        process.wait()


@contextmanager
def _collected_signals() -> Iterator[list[int]]:
    """Collect the signals that end an experiment, instead of ending at once.

    A second one, as people and `timeout` send it, then does not keep the commands from ending in
    their own time. A signal that this process was started to ignore, as nohup does, stays ignored.
    """
    received: list[int] = []
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def collect(number: int, _: object) -> None:
        received.append(number)

    # What handled the signals before does so again afterwards.
    before = {number: signal.signal(number, collect) for number in heeded}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
