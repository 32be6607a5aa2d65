"""torchrun that ends as densevos does: `python -m densevos.torchrun [options of torchrun] --module
densevos train ...`.

torchrun turns SIGTERM into a traceback and status 1, so that a scheduler cannot tell a run that was
stopped and saved from one that crashed. Here the statuses are those of every densevos command: 143
after SIGTERM, 2 if the processes found their input unusable, 1 for all other failures. Each comes
with one line.
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
"""How long processes have to save and end. Those of a rank that died hang in a collective, and end
after this time.
"""


def main() -> None:
    """Entry point of `python -m densevos.torchrun`."""
    sys.exit(console.run(lambda: launch(sys.argv[1:])))


def launch(arguments: list[str]) -> None:
    """Start processes as torchrun does, and wait for them.

    Args:
        arguments: What torchrun takes.

    Raises:
        InputError: A process ended with status 2.
        RunError: A process failed otherwise and no restart was left, or the processes did not find
            each other.
        Stopped: SIGTERM came, here or on another machine.
    """
    options = parse_args(arguments)
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))
    # Otherwise processes that start again meet in the store of those before them, find the
    # addresses that these left, and wait for the dead (seen with torch 2.14).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")

    if options.nproc_per_node != "1":
        os.environ.setdefault(
            "OMP_NUM_THREADS", "1"
        )  # torchrun does so, too, but with a warning of five lines

    try:
        run(options)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise Stopped(f"{error.sigval.name} ended the processes of this machine") from None
    except ChildFailedError as error:
        raise _failure(*error.get_first_failure()) from None
    except (DistError, RendezvousError) as error:
        raise RunError(
            f"processes did not find each other: {error}; check the address and port"
        ) from error


def _failure(rank: int, failure: ProcessFailure) -> BaseException:
    """What to raise for the process that failed first."""
    process = f"rank {rank} (process {failure.pid} on {socket.gethostname()})"
    if failure.exitcode < 0:
        return RunError(
            f"{process} was killed by {failure.signal_name()}; go on with --resume auto"
        )

    if failure.exitcode == 143:
        return Stopped(f"{process} was stopped; go on with --resume auto")
    if failure.exitcode == 2:
        return InputError(f"{process} cannot use its input; its message is above")

    return RunError(f"{process} failed with status {failure.exitcode}; its message is above")


if __name__ == "__main__":
    main()
