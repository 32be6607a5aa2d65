"""Run commands of the evaluator as jobs of a cluster: one job, or several that share the work."""

from collections.abc import Sequence
from dataclasses import dataclass

from densevos.base.errors import InputError
from densevos.launch import ClusterOptions, JobCommand

RESUMED = ("propagate", "zeroshot", "segment")
"""Commands that continue an interrupted run with --resume; matrix does so without an option."""
SHARED = (*RESUMED, "matrix")
"""Commands that have the option --shard I/N."""


@dataclass(frozen=True, kw_only=True)
class SharedOptions(ClusterOptions):
    """Run a command as one or several jobs of a cluster. The command and its options follow after
    --.

    An example: densevos-eval launch --shards 8 -- propagate --dataset davis17 --root DAVIS --out
    masks
    """

    shards: int = 1
    """Number of jobs that share the sequences of propagate, zeroshot or segment, or the cells of
    matrix."""


def jobs(command: Sequence[str], shards: int) -> list[JobCommand]:
    """Split a command into jobs.

    Args:
        command: A command of densevos-eval and its options.
        shards: Number of jobs that share it.

    Returns:
        The command line of each job.

    Raises:
        InputError: The command cannot be shared, or has an option --shard or --overwrite already.
    """
    # Mistakes are found here, because a job may wait for hours before it starts.
    if shards < 1:
        raise InputError(f"--shards: must be 1 or more, is {shards}")
    if shards > 1 and command[0] not in SHARED:
        raise InputError(
            f"--shards {shards}: {command[0]} cannot be shared; only {', '.join(SHARED)} can"
        )

    # An option may be written as --name value or --name=value.
    options = {word.partition("=")[0] for word in command}
    if shards > 1 and options & {"--shard", "--overwrite"}:
        raise InputError(
            "--shards: jobs share one output folder; leave out --shard and --overwrite"
        )

    # A job that the cluster restarts goes on where it was stopped.
    resume_options = ("--resume",) if command[0] in RESUMED else ()
    commands = []
    # Shards count from 1, as in 1/4 to 4/4.
    for number in range(1, shards + 1):
        words = tuple(command)
        if shards > 1:
            words += ("--shard", f"{number}/{shards}")

        commands.append(
            JobCommand(program="densevos_eval", words=words, resume_options=resume_options)
        )

    return commands
