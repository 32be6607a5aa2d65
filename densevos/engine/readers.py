"""Batches that other processes read ahead.

If such a process dies or hangs, the run loses the video that it read, and goes on.
"""

import errno
import itertools
import os
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from densevos.base.errors import RunError, Stopped
from densevos.config import LoopConfig
from densevos.data.clips import Share, VideoDataset
from densevos.engine.reader import Answer, Reader, readers_can_start

POLL = 1
"""Seconds between two checks of the processes while the run waits for a batch."""
PATIENCE = 5
"""Seconds that a batch may still take after the run was asked to stop."""
AHEAD = 2
"""Number of batches that each process reads ahead."""
TRIES = 2
"""Number of processes that may die at one video before it is left out."""
MOST_DEATHS = 5
"""Number of processes in a row whose loss ends the run."""

MORE_FILES = "allow more (ulimit -n), or pass fewer --loop.workers"
MORE_MEMORY = "if memory was short, pass fewer --loop.workers or a smaller --loop.batch"

ONE_PROCESS = (
    f"processes that read videos ahead need Linux, and this is {platform.system()}: "
    "training reads in its own process, as with --loop.workers 0"
)


class Readers(Iterator[Any]):
    """The batches of a data set, read ahead by --loop.workers processes; a context that ends them.

    A process that reads one video for longer than --loop.reader-timeout is killed, and the video is
    left out: it is recorded in `videos.left_out`. A process that dies is replaced. The video is
    left out only if the next process dies at it, too, so a process that was killed from outside
    does not change the run.

    Args:
        videos: The data set.
        shares: What each batch holds, in the order of the batches.
        config: --loop.workers and --loop.reader-timeout.
        stop_asked: Whether the run was asked to stop.
        on_loss: Called with one line for each process that dies or hangs.

    Raises:
        InputError: No video can be used.
        RunError: Processes die or hang whatever they read, or cannot be started; the message names
            the fix.
        Stopped: The run was asked to stop, and the next batch does not arrive.
    """

    def __init__(
        self,
        videos: VideoDataset,
        shares: Iterable[Share],
        config: LoopConfig,
        stop_asked: Callable[[], bool],
        on_loss: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._videos, self._timeout = videos, config.reader_timeout
        self._stop_asked, self._on_loss = stop_asked, on_loss
        self._waiting = enumerate(shares)  # batches that no process has been asked for
        self._ready: dict[int, Answer] = {}  # answers by the number of their batch
        self._next = 0  # number of the batch that is handed out next
        self._deaths: dict[str, int] = {}  # number of processes that died, by the video they read
        self._in_a_row = 0  # processes lost since the last answer
        self._closed = False
        self._readers: list[Reader] = []

        count = min(config.workers, os.cpu_count() or 1)
        if count > 0 and not readers_can_start():
            warnings.warn(ONE_PROCESS, stacklevel=2)
            count = 0

        try:
            for _ in range(count):
                self._readers.append(Reader(videos, self._readers))
        except OSError as error:
            self._end()
            raise _shortage(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def close(self) -> None:
        """Let a `next` that waits in another thread raise Stopped."""
        self._closed = True

    def __next__(self) -> Any:
        if not self._readers:  # with --loop.workers 0
            _, share = next(self._waiting)
            return self._videos.batch(share.keys, share.beside)

        self._hand_out()
        if not self._count_tasks() and self._next not in self._ready:
            raise StopIteration

        # Processes finish in any order; batches are handed out in that of their shares.
        stop_asked_at = None
        while self._next not in self._ready:
            if self._closed:
                raise Stopped
            if not self._take_answers():
                self._check_progress()
                if self._stop_asked():
                    stop_asked_at = stop_asked_at or time.monotonic()
                    if time.monotonic() - stop_asked_at > PATIENCE:
                        raise Stopped

        self._next += 1
        batch = self._ready.pop(self._next - 1).batch()
        self._hand_out()
        return batch

    def _count_tasks(self) -> int:
        """Number of batches that processes are reading or are about to read."""
        return sum(len(reader.tasks) for reader in self._readers)

    def _hand_out(self) -> None:
        """Give processes batches to read, at most AHEAD to each."""
        # Batches that are ready count, too: they hold memory until they are taken.
        room = AHEAD * len(self._readers) - len(self._ready) - self._count_tasks()
        for number, share in itertools.islice(self._waiting, max(room, 0)):
            reader = min(self._readers, key=lambda candidate: len(candidate.tasks))
            self._give(reader, number, share)

    def _give(self, reader: Reader, number: int, share: Share) -> None:
        """Ask a process for a batch."""
        try:
            reader.begin(number, share, self._videos.left_out)
        except OSError:
            # The process is dead. `_take_answers` will notice, and give its tasks to another one.
            reader.tasks.append((number, share))

    def _take_answers(self) -> bool:
        """Wait up to POLL seconds for answers; whether a process answered or died."""
        handles = {reader.handle: reader for reader in self._readers}
        answering = [handles[handle] for handle in wait(list(handles), timeout=POLL)]  # type: ignore[index]
        for reader in answering:
            try:
                answer = reader.answer()
            except (EOFError, ConnectionError):
                self._replace(reader, self._reason_of_death(reader))
                continue

            # Errors of single videos stay in the process, which takes another video: this is one
            # that ends the run.
            if answer.error is not None:
                raise answer.error

            self._in_a_row = 0
            self._ready[answer.number] = answer

        return bool(answering)

    def _check_progress(self) -> None:
        """Replace processes that have read one video, or done nothing, for too long."""
        # `_replace` changes the list.
        for reader in list(self._readers):
            if not reader.tasks or reader.waited_for(POLL) <= self._timeout:
                continue
            self._replace(reader, self._reason_of_delay(reader.title))

    def _reason_of_delay(self, title: str) -> str:
        """Why a process hangs; the video that it reads is left out from now on."""
        if not title:
            return f"a reading process has made no progress for {self._timeout} seconds"

        reason = (
            f"{title}: reading it takes more than {self._timeout} seconds; remove it, "
            "or allow more time with --loop.reader-timeout"
        )
        self._videos.left_out[title] = reason
        return reason

    def _reason_of_death(self, reader: Reader) -> str:
        """Why a process died; its death is counted for the video that it read."""
        title, reason = reader.title, reader.reason_of_death()
        if not title:
            return f"a reading process died ({reason}) between two videos; {MORE_MEMORY}"

        self._deaths[title] = self._deaths.get(title, 0) + 1
        line = (
            f"{title}: the process that read it died ({reason}); {MORE_MEMORY}, "
            "else re-encode or remove the video"
        )
        if self._deaths[title] >= TRIES:
            self._videos.left_out[title] = line

        return line

    def _replace(self, reader: Reader, reason: str) -> None:
        """Start a process that takes over the tasks of a lost one."""
        self._on_loss(reason)

        # If processes die whatever they read, replacing them would never end.
        self._in_a_row += 1
        if self._in_a_row >= MOST_DEATHS:
            raise RunError(
                f"{self._in_a_row} reading processes were lost one after the other; "
                f"the last: {reason}"
            )

        index = self._readers.index(reader)
        tasks = deque(reader.tasks)
        reader.end()

        try:
            others = [other for other in self._readers if other is not reader]
            self._readers[index] = Reader(self._videos, others)
        except OSError as error:
            raise _shortage(error) from error

        # The same batches as before: which process reads a batch does not change it.
        for number, share in tasks:
            self._give(self._readers[index], number, share)

    def _end(self) -> None:
        for reader in self._readers:
            reader.end()

        self._readers.clear()


def _shortage(error: OSError) -> RunError:
    """The error to raise if the system lacks open files or memory."""
    if error.errno == errno.EMFILE:
        return RunError(f"too many open files ({error}): {MORE_FILES}")

    return RunError(
        f"a reading process cannot be started ({error}): {MORE_MEMORY}, or --loop.workers 0"
    )
