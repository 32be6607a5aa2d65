"""torchrun with the exit statuses and messages of densevos.

    python -m densevos.torchrun [options of torchrun] --module densevos train ...

torchrun turns SIGTERM into a traceback and status 1, so a scheduler cannot distinguish a run that
was stopped and saved from one that crashed. This module ends as every densevos command does: with
status 143 after SIGTERM, 2 if the input is unusable, 1 for all other failures, and with one line.
"""

import os
import signal
import socket
import sys

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.run import parse_args, run

from densevos.base import console
from densevos.base.errors import InputError, RunError, Stopped

SHUTDOWN_SECONDS = 45
"""Seconds that processes have to save and end. If a rank died, the others hang in a collective and
are killed after this time.
"""


def main() -> None:
    """Entry point of `python -m densevos.torchrun`."""
    sys.exit(console.run(lambda: launch(sys.argv[1:])))


def launch(arguments: list[str]) -> None:
    """Start processes as torchrun does, and wait for them.

    Args:
        arguments: The arguments of torchrun.

    Raises:
        InputError: A process ended with status 2.
        RunError: A process failed otherwise and no restart was left, or the processes did not find
            each other.
        Stopped: SIGTERM came, on this machine or on another one.
    """
    options = parse_args(arguments)
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))
    # Without this, processes that are restarted use the store of the processes before them. They
    # find the addresses of dead processes there and wait for them (seen with torch 2.14).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")

    # torchrun sets this as well, but with a warning of five lines.
    if options.nproc_per_node != "1":
        os.environ.setdefault("OMP_NUM_THREADS", "1")

    try:
        run(options)
    # Ctrl-C is the user's wish; any other signal stops the run.
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise Stopped(f"{error.sigval.name} ended the processes of this machine") from None
    # The first failure is the cause; later ones may follow from it.
    except ChildFailedError as error:
        raise _failure(*error.get_first_failure()) from None
    except (DistError, RendezvousError) as error:
        raise RunError(
            f"processes did not find each other: {error}; check the address and port"
        ) from error


def _failure(rank: int, failure: ProcessFailure) -> BaseException:
    """The error to raise for the process that failed first."""
    process = f"rank {rank} (process {failure.pid} on {socket.gethostname()})"
    if failure.exitcode < 0:  # a signal ended it
        return RunError(
            f"{process} was killed by {failure.signal_name()}; go on with --resume auto"
        )

    # The statuses are those of `densevos.base.console`: 143 stopped, 2 unusable input.
    if failure.exitcode == 143:
        return Stopped(f"{process} was stopped; go on with --resume auto")
    if failure.exitcode == 2:
        return InputError(f"{process} cannot use its input; its message is above")

    return RunError(f"{process} failed with status {failure.exitcode}; its message is above")


if __name__ == "__main__":
    main()
