"""One process that reads batches, and how they come from it: whole, in memory that needs no
/dev/shm.

A batch is pickled, the bytes of its tensors apart from the rest, into anonymous memory, whose
descriptor is sent to the training process. Nothing has a name, so nothing is left behind by a
process that is killed.
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

LONGEST_TITLE = 8192  # Longer than any path: the video is known again by it.
ALIGNMENT = 64
HEADER = struct.Struct("qqq")
"""Number of the batch, bytes of its pickle, bytes in all; of an error ERROR, bytes of its text, its
kind.
"""
ERROR = -1
KINDS = (InputError, RunError, RuntimeError)
LONGEST_ERROR = 8192
PR_SET_PDEATHSIG = 1


class Desk:
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


@dataclass(frozen=True)
class Answer:
    """What a process says: a batch in shared memory, or an error."""

    number: int
    memory: mmap.mmap | None = None
    pickled: int = 0
    error: Exception | None = None

    def batch(self) -> Any:
        """The batch, whose tensors lie in the memory that was received."""
        assert self.memory is not None, "an error holds no batch"
        view = memoryview(self.memory)
        content, sizes = pickle.loads(view[: self.pickled])
        buffers, at = [], _aligned(self.pickled)
        for size in sizes:
            buffers.append(view[at : at + size])
            at = _aligned(at + size)

        return pickle.loads(content, buffers=buffers)


def readers_can_start() -> bool:
    """Whether this system has what readers need: processes that are forked, and files sent through
    a socket.

    Windows has neither. On a Mac a forked process may crash in the system's own libraries.
    """
    return sys.platform == "linux"


class Reader:
    """A process that reads batches of `videos`, one after the other; `tasks` are those that it has
    not handed over.
    """

    def __init__(self, videos: VideoDataset, others: Sequence["Reader"]) -> None:
        """others: Those that are running. Their ends of connections must not stay open in the new
        process.
        """
        context = multiprocessing.get_context("fork")
        self.tasks: deque[tuple[int, Share]] = deque()
        self._desk = Desk()
        tasks, self._tasks = context.Pipe(duplex=False)
        self._answers, answers = socket.socketpair()
        inherited = [
            self._tasks,
            self._answers,
            *(end for one in others for end in (one._tasks, one._answers)),
        ]
        self._process = context.Process(
            target=_serve,
            args=(videos, self._desk, tasks, answers, inherited, os.getpid()),
            daemon=True,
        )

        try:
            self._process.start()
        except OSError:
            self._tasks.close()
            self._answers.close()
            raise
        finally:
            tasks.close()
            answers.close()

    @property
    def handle(self) -> int:
        """What is ready to be read from when the process has said something, or is dead."""
        return self._answers.fileno()

    @property
    def title(self) -> str:
        """The video that is read at the moment, "" between two."""
        return self._desk.title

    def waited_for(self, seconds: int) -> int:
        """For how many seconds it has been at the same video, when `seconds` more have been
        waited.
        """
        return self._desk.waited_for(seconds)

    def begin(self, number: int, share: Share, left_out: Mapping[str, str]) -> None:
        """Ask for batch `number`; OSError when the process is dead."""
        self._tasks.send((number, share, left_out))
        self.tasks.append((number, share))

    def answer(self) -> Answer:
        """What it says next; EOFError when it is dead."""
        data, descriptors, _, _ = socket.recv_fds(self._answers, HEADER.size, 1)
        if not data:
            raise EOFError

        number, pickled, size = HEADER.unpack(data)
        if number == ERROR:
            text = self._answers.recv(pickled).decode("utf-8", "replace")
            return Answer(ERROR, error=KINDS[size](text))

        if not descriptors:
            return Answer(ERROR, error=RunError("too many open files: allow more (ulimit -n)"))

        self.tasks.popleft()
        try:
            memory = mmap.mmap(descriptors[0], size)
        finally:
            os.close(descriptors[0])

        if hasattr(mmap, "MADV_DONTFORK"):  # Else processes begun from now on would keep the batch.
            memory.madvise(mmap.MADV_DONTFORK)

        return Answer(number, memory, pickled)

    def reason_of_death(self) -> str:
        """Why it died, in a word or two."""
        self._process.join(timeout=1)
        status = self._process.exitcode or 0
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def end(self) -> None:
        """Kill it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._tasks.close()
        self._answers.close()


def _serve(
    videos: VideoDataset,
    desk: Desk,
    tasks: Connection,
    answers: socket.socket,
    inherited: Sequence[Connection | socket.socket],
    parent: int,
) -> None:
    """What the process does: tasks in, batches out, until the training process is gone."""
    # A signal to the whole process group must not kill the readers before the state is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    for end in inherited:
        end.close()

    torch.set_num_threads(1)
    videos.on_read = desk.begin
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            number, share, left_out = tasks.recv()
            videos.left_out.update(left_out)
            try:
                batch = videos.batch(share.keys, share.beside)
                desk.begin("")
                _send(answers, number, batch)
            except ConnectionError:
                raise
            except Exception as error:  # It ends the run, which says why.
                _send_error(answers, error)


def _die_with(parent: int) -> None:
    """Let the system kill this process when the training process is gone, even while it hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It went before that.
            os._exit(0)


def _send(answers: socket.socket, number: int, batch: Any) -> None:
    """Hand over a batch in memory of its own."""
    buffers: list[pickle.PickleBuffer] = []
    content = BytesIO()
    _Pickler(content, protocol=5, buffer_callback=buffers.append).dump(batch)
    parts = [buffer.raw() for buffer in buffers]
    head = pickle.dumps((content.getvalue(), [part.nbytes for part in parts]))
    places, size = [], _aligned(len(head))
    for part in parts:
        places.append(size)
        size = _aligned(size + part.nbytes)

    with _anonymous_file() as file:
        os.ftruncate(file.fileno(), size)
        with mmap.mmap(file.fileno(), size) as memory:
            memory[: len(head)] = head
            for place, part in zip(places, parts, strict=True):
                memory[place : place + part.nbytes] = part

        socket.send_fds(answers, [HEADER.pack(number, len(head), size)], [file.fileno()])


def _send_error(answers: socket.socket, error: Exception) -> None:
    ours = isinstance(error, InputError | RunError)
    kind = (
        next(i for i, one in enumerate(KINDS) if isinstance(error, one)) if ours else len(KINDS) - 1
    )
    text = str(error) if ours else f"in a reading process:\n{traceback.format_exc()}"
    data = text.encode("utf-8", "replace")[-LONGEST_ERROR:]
    answers.sendall(HEADER.pack(ERROR, len(data), kind) + data)


class _Pickler(pickle.Pickler):
    """Keeps the bytes of tensors apart, as numpy does; torch alone would send them through
    /dev/shm.
    """

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Tensor and value.device.type == "cpu" and value.dtype != torch.bfloat16:
            return torch.from_numpy, (value.contiguous().numpy(),)
        return NotImplemented


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _anonymous_file() -> Any:
    """A file without a name: in memory where the system has such, else on disk."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("batch"), "r+b")
    return tempfile.TemporaryFile()
