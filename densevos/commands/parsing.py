"""Command lines of both programs: which command is meant, and what its options say."""

import argparse
import contextlib
import functools
import io
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tyro

from densevos import __version__
from densevos.base.errors import InputError
from densevos.commands.help import Overview, options_page, overview_page, value_name
from densevos.commands.mistakes import mistake, no_command

Command = Callable[..., object]


def run_command(
    commands: Mapping[str, Command],
    of_words: Mapping[str, Callable[[list[str]], object]],
    arguments: Sequence[str],
    *,
    program: str,
    overview: Overview,
    elsewhere: Mapping[str, Iterable[str]] | None = None,
    config: tuple[Any, ...] = (),
) -> None:
    """Run the command that `arguments` names, or print the list of commands or the version.

    Args:
        commands: Name -> function whose parameters are the command's options.
        of_words: Name -> function that reads the words after the name itself.
        arguments: What the user typed after `program`.
        program: What the user typed before them.
        overview: The page that lists commands.
        elsewhere: Another program -> names of its commands, for users who took the one for the
            other.
        config: Switches of tyro.

    Raises:
        InputError: There is no such command, or its options cannot be used.
    """
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    # Words that are about the program come before commands.
    if name in ("-h", "--help"):
        print(overview_page(overview, program))
    elif name == "--version":
        print(program.split()[0], __version__)
    elif name in of_words:
        of_words[name](rest)
    elif name in commands:
        parse_call(commands[name], rest, program=f"{program} {name}", config=config)()
    else:
        raise InputError(no_command(name, [*commands, *of_words], program, elsewhere or {}))


def parse_call(
    command: Command, arguments: Sequence[str], *, program: str, config: tuple[Any, ...] = ()
) -> Callable[[], object]:
    """Read the options of a command; returns what runs it. InputError is raised for options that
    cannot be used.
    """

    # tyro calls the function that it reads options for: a mistake must end before the command
    # starts.
    @functools.wraps(command)
    def bound(*positional: Any, **named: Any) -> Callable[[], object]:
        return functools.partial(command, *positional, **named)

    call: Callable[[], object] = parse(bound, arguments, program=program, config=config)
    return call


def parse(kind: Any, arguments: Sequence[str], *, program: str, **more: Any) -> Any:
    """Read options as `tyro.cli` does; a mistake becomes an InputError of one line, and --help
    prints our page.

    Args:
        kind: The type to make, or the function to call.
        arguments: What the user typed after `program`.
        program: What the user typed before them.
        more: Further arguments of `tyro.cli`.
    """
    # Help is printed by us, since tyro's page would show its boxes.
    if {"-h", "--help"} & set(arguments):
        print(options_page(_parser(kind, program, more), program))
        raise SystemExit(0)

    read = functools.partial(tyro.cli, kind, prog=program, **more)
    # What tyro prints to standard error is kept: for a mistake it is replaced by one line.
    aside = io.StringIO()
    try:
        with contextlib.redirect_stderr(aside):
            parsed = read(args=list(arguments))
    except SystemExit as end:
        if end.code != 2:  # The user asked for shell completion.
            raise
    else:
        sys.stderr.write(aside.getvalue())  # warnings
        return parsed

    # tyro is run again for its box, from which the line is made, with the options that there are.
    actions = _parser(kind, program, more)._actions
    options = [name for action in actions for name in action.option_strings]
    words = [value_name(action) for action in actions if not action.option_strings]
    raise InputError(program + mistake(_printed(read, arguments), arguments, options, words))


def _parser(kind: Any, program: str, more: Mapping[str, Any]) -> argparse.ArgumentParser:
    """The parser of argparse that is nearest to what `tyro.cli` reads."""
    of_help = {name: value for name, value in more.items() if name in ("default", "config")}
    with warnings.catch_warnings():
        # tyro discourages parsing with this parser. It is the only public list of a command's
        # options.
        warnings.simplefilter("ignore", DeprecationWarning)
        parser: Any = tyro.extras.get_parser(kind, prog=program, **of_help)

    return parser  # type: ignore[no-any-return]  # a copy of argparse's class, with the same attributes


def _printed(read: Callable[..., object], arguments: Sequence[str]) -> list[str]:
    """The lines that tyro prints for `arguments`, without the box around them.

    A rule between two parts becomes an empty line.
    """
    page = io.TextIOWrapper(
        io.BytesIO(), encoding="utf-8"
    )  # In other encodings tyro draws no boxes.

    with (
        contextlib.redirect_stdout(page),
        contextlib.redirect_stderr(page),
        contextlib.suppress(SystemExit),
    ):
        read(args=list(arguments))

    page.seek(0)
    # The frame is one sign at each side of a line.
    inside = [line.rstrip("\n")[1:-1].rstrip() for line in page if line.startswith("│")]
    return ["" if set(line) <= set(" ─") else line for line in inside]
