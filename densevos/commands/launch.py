"""densevos launch: a command as a job of a cluster."""

from typing import TypeVar

from densevos.base.errors import InputError
from densevos.commands.parsing import parse
from densevos.launch import ClusterOptions, JobCommand
from densevos.launch import launch as submit

Options = TypeVar("Options", bound=ClusterOptions)


def launch(arguments: list[str]) -> None:
    """Submit a command as a job of a cluster: options of the job, then -- and the command with its
    own.

    Training goes on by itself when its job is started again: it gets --resume auto.
    """
    options, command = split(arguments, "densevos launch", ClusterOptions)
    # Only training goes on from a checkpoint, and only its processes form one run with ranks.
    training = command[0] == "train"
    goes_on_with = ("--resume", "auto") if training else ()
    submit(
        [
            JobCommand(
                program="densevos", words=command, resume_options=goes_on_with, ranks=training
            )
        ],
        options,
    )


def split(
    arguments: list[str], program: str, kind: type[Options]
) -> tuple[Options, tuple[str, ...]]:
    """The options of a cluster before --, of type `kind`, and the command after it; InputError when
    there is none.
    """
    before, after = arguments, []
    # Only the first -- separates: the command may have another one of its own.
    if "--" in arguments:
        middle = arguments.index("--")
        before, after = arguments[:middle], arguments[middle + 1 :]

    options = parse(kind, before, program=program)
    if not after:
        raise InputError(
            f"{program}: no command; write {program} [options] -- COMMAND [options of the command]"
        )

    return options, tuple(after)
