"""Batches that other processes read ahead: what goes wrong with these processes ends the run in one line."""

import ctypes
import errno
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from multiprocessing.sharedctypes import RawArray, RawValue
from types import TracebackType
from typing import Any, Self, cast

from torch.utils.data import DataLoader, get_worker_info

from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.files import name_bytes
from densevos.config import LoopConfig
from densevos.data.clips import ClipSampler, VideoDataset

POLL = 1
"""Seconds between two looks at the processes while a batch is awaited."""
PATIENCE = 5
"""Seconds that a batch may still take once the run was asked to stop."""
LONGEST_TITLE = 1024
SHORTAGE = 71
"""Exit status of a reading process that lacks something of the system, and says so in place of a title."""

MORE_SHARED_MEMORY = (
    "give the container more of it (docker run --shm-size 8g, or --ipc host), or pass --loop.workers 0 or a smaller"
    " --loop.batch"
)
MORE_FILES = "allow more (ulimit -n), or pass fewer --loop.workers"


class _Desk:
    """What a process reads and since when, in memory that the training process sees too."""

    def __init__(self) -> None:
        self._title = RawArray(ctypes.c_char, LONGEST_TITLE)
        self._since = RawValue(ctypes.c_double, time.monotonic())
        # Not by the clock: a run that Ctrl-Z stopped for an hour has not waited for an hour.
        self._seen, self._waited = self._since.value, 0

    def begin(self, title: str) -> None:
        """Note that a video is read from now on, or none for ""."""
        self._title.value = name_bytes(title)[: LONGEST_TITLE - 1]
        self._since.value = time.monotonic()

    @property
    def title(self) -> str:
        """The video that is read."""
        return os.fsdecode(self._title.value)

    def waited_for(self, seconds: int) -> int:
        """For how many seconds nothing has changed, when `seconds` more have been waited."""
        now = self._since.value
        self._waited = self._waited + seconds if now == self._seen else 0
        self._seen = now
        return self._waited


class Readers(Iterator[Any]):
    """The batches of a data set in the order of a sampler, read ahead by --loop.workers processes.

    A context, at whose end no process is left, whatever it does.

    Args:
        videos: The data set.
        sampler: Its order.
        config: --loop.workers and --loop.reader-timeout.
        stop_asked: Whether the run was asked to stop.

    Raises:
        InputError: No video can be used.
        RunError: A process died or hangs, or shared memory is too small; the message names the video or the cure.
        Stopped: The run was asked to stop and the next batch does not come.
    """

    def __init__(
        self, videos: VideoDataset, sampler: ClipSampler, config: LoopConfig, stop_asked: Callable[[], bool]
    ) -> None:
        workers = min(config.workers, os.cpu_count() or 1)
        self._timeout, self._stop_asked = config.reader_timeout, stop_asked
        self._desks = [_Desk() for _ in range(workers)]
        self._hangs = False
        loader = DataLoader(
            videos,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=partial(_packed, videos.collate) if workers else videos.collate,
            worker_init_fn=partial(_take_desk, self._desks),
            timeout=POLL if workers else 0,
        )
        try:
            self._batches: Any = iter(loader)
        except OSError as error:
            raise RunError(f"reading processes cannot be started ({error}): {MORE_SHARED_MEMORY}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The death of a process interrupts whatever this one does.
        failure = self._failure(error) if isinstance(error, RuntimeError) and _tells_of_death(error) else None
        self._end(at_once=error is not None)
        if failure is not None:
            raise failure from None

    def __next__(self) -> Any:
        asked = None
        while True:
            try:
                batch = next(self._batches)
                return self._unpacked(batch) if self._desks else batch
            except (InputError, RunError) as error:  # It comes with the traceback of the reading process before it.
                raise type(error)(str(error).rpartition(f"{type(error).__name__}: ")[2]) from None
            except RuntimeError as error:
                if not str(error).startswith("DataLoader timed out"):
                    raise self._failure(error) from None
            except (OSError, EOFError) as error:
                raise self._failure(error) from None

            self._check_progress()
            if self._stop_asked():
                asked = asked or time.monotonic()
                if time.monotonic() - asked > PATIENCE:
                    raise Stopped

    def _unpacked(self, batch: bytes) -> Any:
        """The batch, whose memory the process that read it hands over; a process that hangs is killed for it."""
        done = threading.Event()
        guard = threading.Thread(target=self._kill_if_hanging, args=(done,), daemon=True)
        guard.start()
        try:
            return pickle.loads(batch)
        finally:
            done.set()

    def _kill_if_hanging(self, done: threading.Event) -> None:
        waited = 0
        while not done.wait(POLL):
            waited += POLL
            if waited > (PATIENCE if self._stop_asked() else self._timeout):
                self._hangs = True
                for worker in self._batches._workers:
                    worker.kill()
                return

    def _check_progress(self) -> None:
        """Raise RunError when a process has been at one video for too long, or all have done nothing."""
        waited = [desk.waited_for(POLL) for desk in self._desks]
        late = [desk.title for desk, seconds in zip(self._desks, waited, strict=True) if seconds > self._timeout]
        if any(late) or len(late) == len(self._desks):
            raise self._delay(max(late))

    def _delay(self, title: str) -> RunError:
        """What to raise when a process does not come to an end with a video, or hangs between two for ""."""
        if not title:
            return RunError(f"a reading process has not moved for {self._timeout} seconds; pass --loop.workers 0")
        return RunError(
            f"{title}: reading it takes more than {self._timeout} seconds; remove it, or allow more time with"
            " --loop.reader-timeout"
        )

    def _failure(self, error: Exception) -> Exception:
        """What to raise for an error of the way between the processes."""
        if self._hangs:
            titles = [desk.title for desk in self._desks]
            return Stopped() if self._stop_asked() else self._delay(max(titles))
        if isinstance(error, ConnectionError | EOFError):
            # The other end of a connection closes a moment before its process is dead.
            ending = wait([worker.sentinel for worker in self._batches._workers], timeout=POLL)
            for worker in self._batches._workers:
                if worker.sentinel in ending:
                    worker.join(POLL)
        if any(not worker.is_alive() for worker in self._batches._workers):
            return self._death()
        if isinstance(error, ConnectionError | EOFError):
            return RunError(f"the connection to a reading process broke ({error}); pass --loop.workers 0")
        return _shortage(error) or error

    def _death(self) -> RunError:
        """What to raise when a process died: the video that it read, and why it died."""
        number, worker = next(
            (one for one in enumerate(self._batches._workers) if not one[1].is_alive()), (0, self._batches._workers[0])
        )
        status = worker.exitcode or 0
        if status == SHORTAGE:
            return RunError(self._desks[number].title)
        reason = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        if status == -signal.SIGBUS:
            return RunError(f"a reading process died: shared memory is too small; {MORE_SHARED_MEMORY}")
        memory = "if memory was short, pass fewer --loop.workers or a smaller --loop.batch"
        title = self._desks[number].title
        if not title:
            return RunError(f"a reading process died ({reason}) between two videos; {memory}")
        return RunError(
            f"{title}: the process that read it died ({reason}); {memory}, else re-encode or remove the video"
        )

    def _end(self, *, at_once: bool) -> None:
        """End the processes. They ignore SIGTERM, and one that hangs would be waited for for ever."""
        if not self._desks:
            return
        workers = self._batches._workers
        if at_once:
            # Else DataLoader would take these deaths for accidents.
            before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for worker in workers:
                worker.kill()
            self._batches._shutdown_workers()
            signal.signal(signal.SIGCHLD, before)
        else:
            self._batches._shutdown_workers()
        for worker in workers:
            worker.kill()
            worker.join()


def _tells_of_death(error: RuntimeError) -> bool:
    return str(error).startswith("DataLoader worker")


def _shortage(error: Exception) -> RunError | None:
    """What to raise where the system has too little of something; None for other errors."""
    line = next(iter(str(error).splitlines()), "")
    if "shared memory" in line or "No space left" in line or "unable to mmap" in line:
        return RunError(f"shared memory is too small ({line}): {MORE_SHARED_MEMORY}")
    if getattr(error, "errno", None) == errno.EMFILE or "Too many open files" in line or "ancdata" in line:
        return RunError(f"too many open files ({line}): {MORE_FILES}")
    return None


def _packed(collate: Callable[[Sequence[Any]], Any], samples: Sequence[Any]) -> bytes:
    """A batch as bytes, with its tensors in shared memory; runs in a reading process.

    DataLoader itself would do this in a thread, whose errors nobody hears of.
    """
    try:
        packed = bytes(ForkingPickler.dumps(collate(samples)))
    except (RuntimeError, OSError) as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        # An error would wait for its turn among the batches; a death interrupts the training at once.
        _dataset().on_read(str(shortage))
        os._exit(SHORTAGE)
    _dataset().on_read("")
    return packed


def _take_desk(desks: Sequence[_Desk], number: int) -> None:
    """How a reading process begins."""
    # A signal to the whole process group must not kill the readers before the state is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _dataset().on_read = desks[number].begin


def _dataset() -> VideoDataset:
    info = get_worker_info()
    assert info is not None, "called in a reading process"
    return cast(VideoDataset, info.dataset)
