"""One process that reads batches and hands them over in anonymous shared memory.

A batch is pickled into anonymous memory, with the bytes of its tensors apart from the rest, and the
memory's file descriptor is sent to the training process. The memory has no name and needs no
/dev/shm, so a process that is killed leaves nothing behind.
"""

import contextlib
import ctypes
import mmap
import multiprocessing
import os
import pickle
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Any

import torch
from torch import Tensor

from densevos.base.errors import InputError, RunError
from densevos.base.files import name_bytes
from densevos.data.clips import Share, VideoDataset

LONGEST_TITLE = 8192
"""Bytes of a title; longer than any path, so that titles are not cut."""
ALIGNMENT = 64
"""Every tensor starts at a multiple of so many bytes, a cache line."""
HEADER = struct.Struct("qqq")
"""Number of the batch, bytes of its pickle, bytes in total.

For an error: ERROR, bytes of its text, its index in ERROR_TYPES.
"""
ERROR = -1
ERROR_TYPES = (InputError, RunError, RuntimeError)
"""Types of errors that a reading process sends; the last stands for all other types."""
LONGEST_ERROR = 8192
PR_SET_PDEATHSIG = 1
"""Option of prctl, see <sys/prctl.h>."""


class ReadingState:
    """Which video a process reads and since when, in memory shared with the training process."""

    def __init__(self) -> None:
        self._title = RawArray(ctypes.c_char, LONGEST_TITLE)
        self._since = RawValue(ctypes.c_double, time.monotonic())
        # Waiting is counted, not read from a clock: a run that is suspended for an hour (Ctrl-Z)
        # has not waited for an hour.
        self._seen, self._waited = self._since.value, 0

    def begin(self, title: str) -> None:
        """Record that reading a video starts now.

        Args:
            title: The video; "" for none.
        """
        # An array of C characters ends at a zero byte, which takes one place.
        self._title.value = name_bytes(title)[: LONGEST_TITLE - 1]
        # Time is written last: a change of it shows that a new video was started.
        self._since.value = time.monotonic()

    @property
    def title(self) -> str:
        """The video that is read, "" for none."""
        return os.fsdecode(self._title.value)

    def waited_for(self, seconds: int) -> int:
        """Count seconds of waiting for the same video.

        Args:
            seconds: Seconds that the caller waited since its last call.

        Returns:
            Seconds waited since the process last started a video.
        """
        since = self._since.value
        self._waited = self._waited + seconds if since == self._seen else 0
        self._seen = since
        return self._waited


@dataclass(frozen=True)
class Answer:
    """What a process hands over: a batch in shared memory, or an error."""

    number: int
    """Number of the batch, or ERROR."""
    memory: mmap.mmap | None = None
    """The pickle, followed by the bytes of each tensor at a multiple of ALIGNMENT."""
    pickled: int = 0
    """Bytes of the pickle."""
    error: Exception | None = None

    def batch(self) -> Any:
        """Unpickle the batch; its tensors share the memory that was received."""
        assert self.memory is not None, "an error holds no batch"
        view = memoryview(self.memory)
        content, sizes = pickle.loads(view[: self.pickled])

        # `_send` laid the buffers out in the same way.
        buffers, start = [], _aligned(self.pickled)
        for size in sizes:
            buffers.append(view[start : start + size])
            start = _aligned(start + size)

        return pickle.loads(content, buffers=buffers)


def readers_can_start() -> bool:
    """Whether this system can fork processes and send file descriptors through a socket.

    Windows can do neither. On a Mac a forked process may crash in the system's own libraries.
    """
    return sys.platform == "linux"


class Reader:
    """A process that reads batches, one after the other.

    `tasks` holds the batches that it was asked for and has not handed over.

    Args:
        videos: The data set.
        others: The other running processes.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self, videos: VideoDataset, others: Sequence["Reader"]) -> None:
        context = multiprocessing.get_context("fork")
        self.tasks: deque[tuple[int, Share]] = deque()
        self._state = ReadingState()
        tasks, self._tasks = context.Pipe(duplex=False)
        # One socket pair per process: messages of several processes cannot mix.
        self._answers, answers = socket.socketpair()

        # A fork inherits the training process's ends of all connections. The new process must close
        # them, or no process would notice that the training process is gone.
        inherited: list[Connection | socket.socket] = []
        for reader in (self, *others):
            inherited.extend((reader._tasks, reader._answers))

        self._process = context.Process(
            target=_serve,
            args=(videos, self._state, tasks, answers, inherited, os.getpid()),
            daemon=True,
        )

        try:
            self._process.start()
        except OSError:
            # Without a process nothing else would close the ends of this side.
            self._tasks.close()
            self._answers.close()
            raise
        finally:
            # The new process has copies. If these stayed open, its death would not be noticed.
            tasks.close()
            answers.close()

    @property
    def handle(self) -> int:
        """File descriptor that becomes readable when the process has answered or is dead."""
        return self._answers.fileno()

    @property
    def title(self) -> str:
        """The video that is read at the moment, "" between two videos."""
        return self._state.title

    def waited_for(self, seconds: int) -> int:
        """Count seconds of waiting for the same video; see `ReadingState.waited_for`."""
        return self._state.waited_for(seconds)

    def begin(self, number: int, share: Share, left_out: Mapping[str, str]) -> None:
        """Ask for a batch.

        Args:
            number: Number of the batch.
            share: What it holds.
            left_out: Videos that must not be read, see `VideoDataset`.

        Raises:
            OSError: The process is dead.
        """
        self._tasks.send((number, share, left_out))
        # Tasks are counted only after they were sent, so a dead process leaves none behind.
        self.tasks.append((number, share))

    def answer(self) -> Answer:
        """Receive the next batch or error.

        Raises:
            EOFError: The process is dead.
        """
        # The header and the descriptor of the memory arrive in one message.
        data, descriptors, _, _ = socket.recv_fds(self._answers, HEADER.size, 1)
        if not data:
            raise EOFError

        number, pickled, size = HEADER.unpack(data)
        # In the header of an error, the third number is the index of its type.
        if number == ERROR:
            text = self._answers.recv(pickled).decode("utf-8", "replace")
            return Answer(ERROR, error=ERROR_TYPES[size](text))

        # The system drops a descriptor that this process has no room for.
        if not descriptors:
            return Answer(ERROR, error=RunError("too many open files: allow more (ulimit -n)"))

        self.tasks.popleft()
        try:
            # mmap keeps a descriptor of its own, so the received one is closed in any case.
            memory = mmap.mmap(descriptors[0], size)
        finally:
            os.close(descriptors[0])

        # Without this, reading processes that are started later would keep the memory alive.
        if hasattr(mmap, "MADV_DONTFORK"):
            memory.madvise(mmap.MADV_DONTFORK)

        return Answer(number, memory, pickled)

    def reason_of_death(self) -> str:
        """Why the process died: the name of a signal, or its exit status."""
        self._process.join(timeout=1)
        # A negative exit code is the number of the signal that killed the process.
        status = self._process.exitcode or 0
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def end(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._tasks.close()
        self._answers.close()


def _serve(
    videos: VideoDataset,
    state: ReadingState,
    tasks: Connection,
    answers: socket.socket,
    inherited: Sequence[Connection | socket.socket],
    parent: int,
) -> None:
    """Main loop of the process: receive tasks and send batches until the training process ends."""
    # A signal to the whole process group must not kill the readers before the state is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    for end in inherited:
        end.close()

    # Reading processes share the cores, so each computes in one thread.
    torch.set_num_threads(1)
    videos.on_read = state.begin

    # The connection breaks when the training process ends.
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            number, share, left_out = tasks.recv()
            # Videos that another process found to be broken are not tried again here.
            videos.left_out.update(left_out)
            try:
                batch = videos.batch(share.keys, share.beside)
                state.begin("")
                _send(answers, number, batch)
            except ConnectionError:
                raise
            except Exception as error:  # It ends the run, which prints the reason.
                _send_error(answers, error)


def _die_with(parent: int) -> None:
    """Let the system kill this process when the training process is gone, even while it hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # The training process ended before prctl took effect.
            os._exit(0)


def _send(answers: socket.socket, number: int, batch: Any) -> None:
    """Hand over a batch in memory of its own."""
    # Protocol 5 passes the bytes of arrays to the callback instead of pickling them.
    buffers: list[pickle.PickleBuffer] = []
    content = BytesIO()
    _Pickler(content, protocol=5, buffer_callback=buffers.append).dump(batch)

    parts = [buffer.raw() for buffer in buffers]
    # The first bytes hold the pickle and the sizes, from which `Answer.batch` finds the rest.
    head = pickle.dumps((content.getvalue(), [part.nbytes for part in parts]))

    # Every part starts at the next multiple of ALIGNMENT after the one before.
    starts, size = [], _aligned(len(head))
    for part in parts:
        starts.append(size)
        size = _aligned(size + part.nbytes)

    with _anonymous_file() as file:
        os.ftruncate(file.fileno(), size)
        with mmap.mmap(file.fileno(), size) as memory:
            memory[: len(head)] = head
            for start, part in zip(starts, parts, strict=True):
                memory[start : start + part.nbytes] = part

        # The descriptor that was sent keeps the memory alive after this file is closed.
        socket.send_fds(answers, [HEADER.pack(number, len(head), size)], [file.fileno()])


def _send_error(answers: socket.socket, error: Exception) -> None:
    """Send an error as text: not every exception can be pickled."""
    text = str(error)
    if isinstance(error, InputError):
        kind = ERROR_TYPES.index(InputError)
    elif isinstance(error, RunError):
        kind = ERROR_TYPES.index(RunError)
    else:
        # An error that nobody expected: the traceback shows where it comes from.
        kind = ERROR_TYPES.index(RuntimeError)
        text = f"in a reading process:\n{traceback.format_exc()}"

    # The end of a long text is kept: a traceback names the error in its last line.
    data = text.encode("utf-8", "replace")[-LONGEST_ERROR:]
    answers.sendall(HEADER.pack(ERROR, len(data), kind) + data)


class _Pickler(pickle.Pickler):
    """Pickles tensors as numpy arrays; torch's own way would send them through /dev/shm."""

    def reducer_override(self, value: Any) -> Any:
        # numpy has no bfloat16.
        if type(value) is Tensor and value.device.type == "cpu" and value.dtype != torch.bfloat16:
            return torch.from_numpy, (value.contiguous().numpy(),)

        return NotImplemented


def _aligned(size: int) -> int:
    """The next multiple of ALIGNMENT."""
    # Division rounds down, and of a negative number thus up.
    return -(-size // ALIGNMENT) * ALIGNMENT


def _anonymous_file() -> Any:
    """A file without a name: in memory if the system supports that, else on disk."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("batch"), "r+b")

    return tempfile.TemporaryFile()
