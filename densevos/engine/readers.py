"""Batches that other processes read ahead. A process that dies or hangs costs the video that it
read, not the run.
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
"""Seconds between two looks at the processes while a batch is awaited."""
PATIENCE = 5
"""Seconds that a batch may still take once the run was asked to stop."""
AHEAD = 2
"""Batches that each process is given before the first is asked for."""
TRIES = 2
"""So many processes may die over one video; then it is left out."""
MOST_DEATHS = 5
"""So many processes in a row may die before one hands a batch over."""

MORE_FILES = "allow more (ulimit -n), or pass fewer --loop.workers"
MORE_MEMORY = "if memory was short, pass fewer --loop.workers or a smaller --loop.batch"

ONE_PROCESS = (
    f"processes that read videos ahead need Linux, and this is {platform.system()}: training reads in its own process,"
    " as with --loop.workers 0"
)


class Readers(Iterator[Any]):
    """The batches of a data set in the order of their shares, read ahead by --loop.workers
    processes.

    A process that is at one video for longer than --loop.reader-timeout is killed, and the video is
    left out: noted in `videos.left_out`. One that dies is replaced; the video is left out when the
    next one dies of it too. So a run in which a process was killed from outside ends like any
    other.

    A context, at whose end no process is left, whatever it does.

    Args:
        videos: The data set.
        shares: What is read, batch by batch.
        config: --loop.workers and --loop.reader-timeout.
        stop_asked: Whether the run was asked to stop.
        on_loss: Called with one line for each process that was lost.

    Raises:
        InputError: No video can be used.
        RunError: Processes die or hang whatever they read, or cannot be started; the message names
            the fix.
        Stopped: The run was asked to stop and the next batch does not come.
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
        self._waiting = enumerate(shares)
        self._ready: dict[int, Answer] = {}
        self._next = 0
        self._deaths: dict[str, int] = {}  # Of processes, by the title of what they read.
        self._in_a_row = 0
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
        if not self._readers:
            _, share = next(self._waiting)
            return self._videos.batch(share.keys, share.beside)

        asked = None
        self._hand_out()
        if not any(reader.tasks for reader in self._readers) and self._next not in self._ready:
            raise StopIteration

        while self._next not in self._ready:
            if self._closed:
                raise Stopped
            if not self._take_answers():
                self._check_progress()
                if self._stop_asked():
                    asked = asked or time.monotonic()
                    if time.monotonic() - asked > PATIENCE:
                        raise Stopped

        self._next += 1
        batch = self._ready.pop(self._next - 1).batch()
        self._hand_out()
        return batch

    def _hand_out(self) -> None:
        """Give processes batches to read, at most AHEAD to each."""
        room = (
            AHEAD * len(self._readers)
            - len(self._ready)
            - sum(len(reader.tasks) for reader in self._readers)
        )
        for number, share in itertools.islice(self._waiting, max(room, 0)):
            reader = min(self._readers, key=lambda one: len(one.tasks))
            self._give(reader, number, share)

    def _give(self, reader: Reader, number: int, share: Share) -> None:
        try:
            reader.begin(number, share, self._videos.left_out)
        except OSError:  # It is dead, which the next look at it shows.
            reader.tasks.append((number, share))

    def _take_answers(self) -> bool:
        """Wait a moment for the processes; whether any of them said something."""
        handles = {reader.handle: reader for reader in self._readers}
        talking = [handles[handle] for handle in wait(list(handles), timeout=POLL)]  # type: ignore[index]
        for reader in talking:
            try:
                answer = reader.answer()
            except (EOFError, ConnectionError):
                self._replace(reader, self._reason_of_death(reader))
                continue

            if answer.error is not None:
                raise answer.error

            self._in_a_row = 0
            self._ready[answer.number] = answer

        return bool(talking)

    def _check_progress(self) -> None:
        """Replace processes that have been at one video for too long, or have done nothing."""
        for reader in list(self._readers):
            if not reader.tasks or reader.waited_for(POLL) <= self._timeout:
                continue
            self._replace(reader, self._reason_of_delay(reader.title))

    def _reason_of_delay(self, title: str) -> str:
        """What holds a process up; the video that it reads is left out."""
        if not title:
            return f"a reading process has not moved for {self._timeout} seconds"

        self._videos.left_out[title] = (
            f"{title}: reading it takes more than {self._timeout} seconds; remove it, or allow more time with"
            " --loop.reader-timeout"
        )

        return self._videos.left_out[title]

    def _reason_of_death(self, reader: Reader) -> str:
        """How a process died, after counting it against the video that it read."""
        title, reason = reader.title, reader.reason_of_death()
        if not title:
            return f"a reading process died ({reason}) between two videos; {MORE_MEMORY}"

        self._deaths[title] = self._deaths.get(title, 0) + 1
        line = f"{title}: the process that read it died ({reason}); {MORE_MEMORY}, else re-encode or remove the video"
        if self._deaths[title] >= TRIES:
            self._videos.left_out[title] = line

        return line

    def _replace(self, reader: Reader, reason: str) -> None:
        """Let a new process do what one that is lost was to do."""
        self._on_loss(reason)
        self._in_a_row += 1
        if self._in_a_row >= MOST_DEATHS:
            raise RunError(
                f"{self._in_a_row} reading processes were lost one after the other; the last: {reason}"
            )

        place = self._readers.index(reader)
        tasks = deque(reader.tasks)
        reader.end()

        try:
            others = [one for one in self._readers if one is not reader]
            self._readers[place] = Reader(self._videos, others)
        except OSError as error:
            raise _shortage(error) from error

        for number, share in tasks:
            self._give(self._readers[place], number, share)

    def _end(self) -> None:
        for reader in self._readers:
            reader.end()
        self._readers.clear()


def _shortage(error: OSError) -> RunError:
    """What to raise where the system has too little of something."""
    if error.errno == errno.EMFILE:
        return RunError(f"too many open files ({error}): {MORE_FILES}")

    return RunError(
        f"a reading process cannot be started ({error}): {MORE_MEMORY}, or --loop.workers 0"
    )
