"""Commands of the evaluator as jobs of a cluster: one job, or an array whose jobs share the
sequences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from densevos.base.errors import InputError
from densevos.launch import ClusterOptions, JobCommand

RESUMED = ("propagate", "zeroshot", "segment")
"""Commands that go on with --resume; matrix goes on by itself."""
SHARED = (*RESUMED, "matrix")
"""Commands that take --shard I/N."""


@dataclass(frozen=True, kw_only=True)
class SharedOptions(ClusterOptions):
    """Run a command as one or several jobs of a cluster. The command and its options follow after
    --.

    An example: densevos-eval launch --shards 8 -- propagate --dataset davis17 --root DAVIS --out
    masks
    """

    shards: int = 1
    """Number of jobs that share the sequences of propagate, zeroshot or segment, or the cells of
    matrix.
    """


def jobs(command: Sequence[str], shards: int) -> list[JobCommand]:
    """The work of each job.

    Args:
        command: A command of densevos-eval and its options.
        shards: Number of jobs that share it.

    Raises:
        InputError: The command cannot be shared, or is told its share already.
    """
    if shards < 1:
        raise InputError(f"--shards: must be 1 or more, is {shards}")
    if shards > 1 and command[0] not in SHARED:
        raise InputError(
            f"--shards {shards}: {command[0]} cannot be shared; only {', '.join(SHARED)} can"
        )

    if shards > 1 and any(word.partition("=")[0] in ("--shard", "--overwrite") for word in command):
        raise InputError(
            "--shards: jobs share one output folder; leave out --shard and --overwrite"
        )

    goes_on_with = ("--resume",) if command[0] in RESUMED else ()
    shares = (
        [("--shard", f"{share}/{shards}") for share in range(1, shards + 1)] if shards > 1 else [()]
    )

    return [
        JobCommand(program="densevos_eval", words=(*command, *share), resume_options=goes_on_with)
        for share in shares
    ]
