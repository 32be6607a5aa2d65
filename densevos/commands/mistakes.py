"""One line for a command line that cannot be used: it names the option and the fix.

tyro answers a mistake with a box of 6 to 30 lines. What is read here is that box without its frame:
text that tyro shows to users, and no private part of it.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

SYNONYMS = {
    "--input": ("--video", "--data", "--results", "--root"),
    "--images": ("--video", "--data", "--root"),
    "--dataset": ("--data", "--set"),
    "--data": ("--video", "--root"),
    "--output": ("--out",),
    "--output-dir": ("--out",),
    "--model": ("--encoder", "--network"),
    "--checkpoint": ("--encoder", "--resume"),
    "--weights": ("--encoder",),
    "--masks": ("--mask", "--results"),
    "--force": ("--overwrite",),
    "--gpu": ("--device",),
    "--batch-size": ("--loop.batch",),
    "--learning-rate": ("--optimiser.lr",),
}
"""Names that other programs have for an option -> ours, of which a command has some."""

KINDS = {"INT": "a whole number", "FLOAT": "a number", "STR": "a text", "PATH": "a path"}
"""What a help page calls a kind of value -> what it is."""

OPTION = r"--?[a-zA-Z][\w.-]*"


def no_command(
    name: str, commands: Sequence[str], program: str, elsewhere: Mapping[str, Iterable[str]]
) -> str:
    """The message for an unknown command.

    Args:
        name: What the user typed; empty for nothing.
        commands: Names of all commands.
        program: What the user typed before it.
        elsewhere: Another program -> names of its commands.
    """
    if not name:
        return f"{program}: no command; write one of {', '.join(commands)}"
    if name.startswith("-"):
        return f"{program} {name}: a command must come first; write one of {', '.join(commands)}"

    owners = {command: other for other, names in elsewhere.items() for command in names}
    if name in owners:
        return f"{program} {name}: is a command of {owners[name]}; write {owners[name]} {name}"

    near = nearest(name, [*commands, *owners])
    if not near:
        return f"{program} {name}: unknown command; known are {', '.join(commands)}"

    return (
        f"{program} {name}: unknown command; did you mean {owners.get(near[0], program)} {near[0]}?"
    )


def mistake(
    said: Sequence[str], arguments: Sequence[str], options: Sequence[str], words: Sequence[str]
) -> str:
    """What is wrong with `arguments`, in words that follow the name of the command.

    Args:
        said: The lines that tyro prints of them; an empty line between two parts.
        arguments: What the user typed after the command.
        options: All options of the command.
        words: Names of the values that the command takes without an option, in order.
    """
    # An unknown option is looked for in the words themselves, which needs no text of tyro.
    unknown = next((word for word in arguments if _is_unknown(word, options)), None)
    if unknown is not None:
        name = unknown.partition("=")[0]
        return f" {name}: unknown option; {_advice(name, options)}"

    # The box is wrapped to the terminal's width, so its lines are joined before they are searched.
    text = " ".join(" ".join(said).split())
    if "Missing from" in text:
        return _missing(said, words)
    if match := re.search(r"Unrecognized options: (\S+)", text):
        return (
            f" {match[1]}: unexpected argument; --help lists the options, and quotes keep "
            f"words together"
        )
    if match := re.search(rf"Missing value for argument [^-]*({OPTION})", text):
        return f" {match[1]}: has no value; write one after it"
    if match := re.search(
        r"invalid choice '(.*?)' for argument \W*([\w.-]+)\W*\. Expected one of \((.*?)\)", text
    ):
        # The pattern drops the dashes of an option, so they are put back.
        name = match[2] if f"--{match[2]}" not in options else f"--{match[2]}"
        choices = sorted(set(re.findall(r"'([^']*)'", match[3])) - {"None"})
        meant = "".join(f"; did you mean {near}?" for near in nearest(match[1], choices))
        return f" {name} {match[1]}: must be {_either(choices)}{meant}"

    if match := re.search(r"Error parsing (\S+):", text):
        return _wrong_value(match[1].partition("/")[0], said, arguments)

    # Nothing known: the text of the box itself is better than a guess.
    return f": {text}"


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> list[str]:
    """Those of `known` that look most like `word`; empty if none does.

    >>> nearest("propogate", ["propagate", "score"])
    ['propagate']
    """
    # The cutoff lets one or two wrong letters pass and keeps unrelated words out.
    return difflib.get_close_matches(word, list(known), n=count, cutoff=0.7)


def _is_unknown(word: str, options: Sequence[str]) -> bool:
    """Whether a word looks like an option and is none; tyro takes _ for - in names."""
    name = word.partition("=")[0].replace("_", "-")
    return bool(re.fullmatch(OPTION, name)) and name not in {
        option.replace("_", "-") for option in options
    }


def _advice(name: str, options: Sequence[str]) -> str:
    """The options that a user may have meant by `name`; without any, where all are listed."""
    # Options of groups, such as --loop.epochs, are also found by what follows their last point.
    ends = {option: f"--{option.rpartition('.')[2].lstrip('-')}" for option in options}
    near_ends = nearest(name, ends.values(), count=2)

    synonyms = [option for option in SYNONYMS.get(name, ()) if option in options]
    same_end = [option for option in options if ends[option] == name]
    similar_end = [option for option in options if ends[option] in near_ends]

    # The surest guess comes first: a known synonym, the same ending, then similar spellings.
    near = synonyms or same_end or nearest(name, options, count=2) or similar_end
    return f"did you mean {' or '.join(near[:2])}?" if near else "--help lists all options"


def _missing(said: Sequence[str], words: Sequence[str]) -> str:
    """The options that the box says are required; for a value without an option, also what it
    is.
    """
    # Only the first part of the box lists what is missing.
    end = said.index("") if "" in said else len(said)
    unnamed = iter(words)
    names, explained = [], []

    for line in said[:end]:
        # Names are indented by 5 spaces, and their help texts by at least 9. Only the help of the
        # first name is kept, since several names are listed without theirs.
        if re.match(r" {5}\S", line):
            name = line.split()[0]
            names.append(name if name.startswith("-") else next(unnamed, name))
        elif line.startswith(" " * 9) and names == names[:1]:
            explained.append(line.strip())

    if len(names) > 1:
        return f": {', '.join(names[:-1])} and {names[-1]} are missing; --help tells what they take"

    help_text = " ".join(explained).removesuffix("(required)").strip().rstrip(".")
    # A value without an option has no name that the user knows, so its help text stands for it.
    is_word = not names[0].startswith("-") and bool(help_text)
    return (
        f": {names[0]} is missing; "
        f"{f'write {help_text}' if is_word else '--help tells what it takes'}"
    )


def _wrong_value(name: str, said: Sequence[str], arguments: Sequence[str]) -> str:
    """What to say of a value of the wrong kind; tyro tells the kind where it repeats the help of
    the option.
    """
    # The row of the option in the box: its name, then the kinds of its values.
    row = next(
        (line.split() for line in said if re.match(rf" {{5}}{re.escape(name)}(\W|$)", line)), [name]
    )
    kinds = [
        KINDS.get(kind, kind) for word in row[1:] for kind in _alternatives(word) if kind != "None"
    ]
    wanted = _either(kinds) if kinds else "of another kind"

    return f" {name}{_value_of(name, arguments)}: must be {wanted}; --help tells more"


def _alternatives(metavar: str) -> list[str]:
    """Kinds that one word of a help page allows.

    >>> _alternatives("{None,all}|INT")
    ['None', 'all', 'INT']
    """
    return [kind for part in metavar.strip("[]").split("|") for kind in part.strip("{}").split(",")]


def _value_of(name: str, arguments: Sequence[str]) -> str:
    """The value of an option, after a space; empty if it has none."""
    for position, word in enumerate(arguments):
        # The value may follow in the next word or after an equals sign.
        given, equals, value = word.partition("=")
        if given.replace("_", "-") == name:
            values = [value] if equals else arguments[position + 1 : position + 2]
            return "".join(f" {value}" for value in values)

    return ""


def _either(words: Sequence[str]) -> str:
    """Words as a choice.

    >>> _either(["a", "b", "c"])
    'a, b or c'
    """
    # Equal kinds are named once, in the order in which they came.
    words = list(dict.fromkeys(words))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
