"""Help pages: the list of a program's commands, and the options of one command."""

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MANUAL = "docs/ in the source of densevos (start with README.md)"
WIDTH = 100
"""Widest page, in columns; a narrower terminal gets a narrower page."""
HELP_COLUMN = 24
LONGEST_KIND = 40
"""Longer lists of choices follow the help text instead of the option's name."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the help of a program says before anybody names a command."""

    about: str
    """What the program is for, in one or two sentences."""
    groups: Mapping[str, Mapping[str, str]]
    """Title of a group -> name of a command -> what it does, in one line; in the order of use."""
    examples: Sequence[str]
    usage: Sequence[str] = ("COMMAND [options]",)
    """What may follow the program's name."""
    more: str = ""
    """Where all options of a command are; it is COMMAND --help if this is empty."""


def overview_page(overview: Overview, program: str) -> str:
    """The list of commands: one line each, in groups, with examples and the place of the manual."""
    names = [name for group in overview.groups.values() for name in group]
    # Summaries start in one column: the longest name has two spaces before it and two after.
    indent = max(map(len, names)) + 4
    start, *others = overview.usage
    lines = [f"usage: {program} {start}", *(f"       {program} {other}" for other in others)]
    lines += ["", *_wrapped(overview.about)]

    for title, commands in overview.groups.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name}".ljust(indent) + summary for name, summary in commands.items()]

    lines += ["", "examples:", *(f"  {example}" for example in overview.examples), ""]
    more = overview.more or f"options of a command: {program} COMMAND --help"
    return "\n".join([*lines, more, f"manual: {MANUAL}"])


@dataclass(frozen=True, kw_only=True)
class Option:
    """One row of a help page."""

    name: str
    """With leading dashes, or in capitals for a value without a name."""
    kind: str
    """What its value is, such as PATH; empty for a switch."""
    text: str
    required: bool

    @property
    def usage(self) -> str:
        return f"{self.name} {self.kind}".strip()


def options_page(parser: argparse.ArgumentParser, program: str) -> str:
    """The help of one command: what it does, required options first, then the others in groups."""
    # argparse has no public list of groups and their options.
    groups = [(_title(group), _options(group)) for group in parser._action_groups]
    every = [option for _, options in groups for option in options]
    required = [option for option in every if option.required]
    # Values without an option stand in the usage line even if they may be left out.
    words = [
        f"[{option.usage}]"
        for option in every
        if not option.required and not option.name.startswith("-")
    ]

    usage = " ".join(
        ["usage:", program, *words, *(option.usage for option in required), "[options]"]
    )
    lines = [*_wrapped(usage, indent=" " * 7), ""]
    # Blank lines of the docstring separate paragraphs, each of which is wrapped by itself.
    for paragraph in re.split(r"\n\s*\n", parser.description or ""):
        lines += [*_wrapped(paragraph), ""]

    # Required options head the page, so their own groups leave them out.
    optional = [
        (title, [option for option in options if not option.required]) for title, options in groups
    ]

    for title, options in [("required", required), *optional]:
        if options:
            lines += [
                *_wrapped(f"{title}:"),
                *(line for option in options for line in _row(option)),
                "",
            ]

    return "\n".join(lines).rstrip()


def value_name(action: argparse.Action) -> str:
    """The word in capitals for a value without an option's name."""
    return action.dest.rpartition(".")[2].upper().replace("_", "-")


def plain_kind(metavar: str) -> str:
    """What tyro calls the kind of a value, in fewer signs.

    >>> kinds = ("{None}|INT", "{None,soft,hard}", "[STR [STR ...]]", "{None}|{INT INT}")
    >>> [plain_kind(kind) for kind in kinds]
    ['INT', 'soft|hard', 'STR ...', 'INT INT']
    """
    # Three steps: drop None, which no user types; shorten repeated kinds; drop the brackets.
    kind = re.sub(r"\{None\}\|?", "", metavar).replace("{None,", "{")
    kind = re.sub(r"\[([^\[\]]+) \[[^\[\]]*\.\.\.\]\]", r"\1 ...", kind)
    return re.sub(r"[{}\[\]]", "", kind).replace(",", "|").strip("|")


def plain_text(text: str, names: Sequence[str] = ()) -> str:
    """A help text without uninformative parts: source line breaks, "(required)", and a default that
    is no value.

    Args:
        text: As tyro writes it.
        names: Both names of a switch, --NAME and --no-NAME.

    >>> plain_text("Number of\n  frames. (default: None)")
    'Number of frames.'
    """
    text = " ".join(text.split())
    # For a switch the default is more readable as the spelling that it stands for.
    if names:
        text = text.replace("(default: True)", f"(default: {names[0]})")

    return re.sub(r" ?\((required|default: (None|False|))\)$", "", text)


def _options(group: argparse._ArgumentGroup) -> list[Option]:
    """The options of a group; --help is left out, since whoever reads this has found it."""
    return [_option(action) for action in group._group_actions if action.dest != "help"]


def _option(action: argparse.Action) -> Option:
    """What a help page says of an option of argparse."""
    # argparse writes a percent sign twice, since its help texts are format strings.
    said = (action.help or "").replace("%%", "%")
    # A switch has two spellings, --NAME and --no-NAME.
    names = action.option_strings
    is_switch = len(names) == 2
    is_off = said.endswith("(default: False)")

    kind, text = plain_kind(str(action.metavar or "")), plain_text(said, names if is_switch else ())
    several = kind.endswith("...")
    # A long list of choices would push the help text out of its column.
    if len(kind) > LONGEST_KIND:
        choices = [choice for choice in kind.split()[0].split("|") if not choice.isupper()]
        text = f"{text} Choices: {', '.join(choices)}."
        kind = "NAME ..." if several else "NAME"

    # No spelling with dashes: a value that is given by its place.
    if not names:
        required = several or said.endswith("(required)")
        return Option(
            name=value_name(action), kind="..." if several else "", text=text, required=required
        )

    name = ", ".join(names[:1] if is_switch and is_off else names)  # One name turns on what is off.
    return Option(name=name, kind=kind, text=text, required=said.endswith("(required)"))


def _title(group: argparse._ArgumentGroup) -> str:
    """What heads a group: its description without the full stop, after the prefix of its options if
    they have one.
    """
    title, text = group.title or "", " ".join((group.description or "").split()).rstrip(".")
    if not text:
        return title

    has_prefix = any(
        "." in name for action in group._group_actions for name in action.option_strings
    )
    return f"{title.removesuffix(' options')}: {text}" if has_prefix else text


def _row(option: Option) -> Iterator[str]:
    """The lines of an option: its text beside its name, or below a name that is too long for
    that.
    """
    start, indent = f"  {option.usage}", " " * HELP_COLUMN
    # Two columns at least separate a name from its text.
    if len(start) > HELP_COLUMN - 2 or not option.text:
        yield start
        start = ""

    yield from _wrapped(option.text, start=start.ljust(HELP_COLUMN), indent=indent)


def _wrapped(text: str, *, start: str = "", indent: str = "") -> list[str]:
    """The lines of a paragraph; a default is never broken in two."""
    width = min(shutil.get_terminal_size().columns, WIDTH)
    # A space that does not break holds a default together while textwrap works.
    glued = " ".join(text.split()).replace("(default: ", "(default:\N{NO-BREAK SPACE}")
    lines = textwrap.wrap(
        glued,
        width,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )

    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
