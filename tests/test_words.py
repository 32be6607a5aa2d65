"""One word per thing: private words do not occur in help, messages, pages of the manual and the
README.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.help_pages import help_pages

PRIVATE = {
    r"\bcures?\b": "hint or fix",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(written|read|is|are|when) whole\b(?! number)|\bwhole \w+s? stays?\b": "complete",
    r"\b(is|are|was|were|be|been) told\b": "reported, listed or recognised",
    r"\btold (of|by)\b": "reported, or recognised by",
    r"\bnotes told\b": "reported",
    r"\bsays? nothing\b": "is uninformative",
    r"\b[Bb]eg[aiu]ns? (at random|with (these|weights|the weights)|from)\b": "starts from",
    r"\bbegun (at|with|from)\b": "started from",
    r"\b[Tt]runks?\b": "backbone",
    r"\b[Jj]udg(e|es|ed|ing)\b": "evaluate or score",
    r"\bthe others (are )?(all )?(done|made again)\b": "all others are still processed",
    r"\ball the same\b": "still",
    r"\bmade again\b": "redone",
    r"\bhave names cannot be fetched\b": "If a named checkpoint cannot be downloaded",
    r"\bwhere it is away\b": "once it leaves the context",
    r"\bas bad video would\b": "degraded",
    r"\bhands? on to later\b": "passed on to later frames",
    r"\bcard tells\b": "records in the model card",
    r"\bany_rank\b|\bsays_nothing\b|\bis_whole\b|\bwritten_whole\b": "no private names",
}
"""Pattern -> what to write instead."""

ANY = re.compile("|".join(PRIVATE))

FRAGMENTS = r"(The same|Its|Of the|Of a|Of an) |(tau|beta_\d|lambda)\b"
"""How no help text starts: it must make sense alone."""

SPEAKING = {
    "print",
    "warn",
    "print_notes",
    "InputError",
    "RunError",
    "ValueError",
    "Stopped",
    "LeftOut",
    "fail",
    "note",
}
"""Functions and classes whose arguments a user reads."""


def private_words(text: str) -> list[str]:
    """Private words of a text, each with what to write instead."""
    plain = " ".join(text.split())
    if not ANY.search(plain):
        return []
    matches = ((re.search(pattern, plain), instead) for pattern, instead in PRIVATE.items())
    return [f"{match[0]!r}: write {instead}" for match, instead in matches if match]


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is printed, warned of, or raised."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if name in SPEAKING:
                yield from _strings(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.JoinedStr | ast.Constant):
            yield from _strings(
                node.value
            )  # Texts that become parts of messages, such as what a benchmark needs.


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            pieces = (
                piece.value if isinstance(piece, ast.Constant) else "X" for piece in part.values
            )
            yield part.lineno, "".join(map(str, pieces))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


def test_messages_have_no_private_words() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for folder in ("densevos", "eval/densevos_eval")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for line, text in messages(file.read_text(encoding="utf-8"))
        for word in private_words(text)
    ]
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md"))]
)
def test_pages_have_no_private_words(page: str) -> None:
    paragraphs = (ROOT / page).read_text(encoding="utf-8").split("\n\n")
    wrong = [f"{word} in: {text[:100]}" for text in paragraphs for word in private_words(text)]
    assert not wrong, "\n".join(wrong)


def test_help_has_no_private_words() -> None:
    wrong = [
        f"{command}: {word} in: {' '.join(text.split())[:150]}"
        for command, page in help_pages().items()
        for text in re.split(r"\n(?=\s{0,2}\S)", page)
        for word in private_words(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_help_of_every_option_makes_sense_alone() -> None:
    wrong = set()
    for command, page in help_pages().items():
        for usage, text in help_of_options(page):
            if not text.endswith((".", "...")) or re.match(FRAGMENTS, text):
                wrong.add(f"{command} {usage}: {text}")
    assert not wrong, "\n".join(sorted(wrong))


def help_of_options(page: str) -> Iterator[tuple[str, str]]:
    """Each option of a page with its help, without the default."""
    for row in re.findall(r"^  (?:--|[A-Z]+(?: |$)).*(?:\n {24}.*)*", page, re.MULTILINE):
        first, *below = row.split("\n")
        usage, _, beside = first.strip().partition("  ")
        text = " ".join([beside, *below]).split()
        yield usage, re.sub(r" ?\(default: [^()]*(\([^()]*\))?[^()]*\)", "", " ".join(text)).strip()


def test_examples_of_private_words_are_found() -> None:
    assert private_words("Sequences that cannot be used are told of at the end.")
    assert private_words("The run warns and begins at random.")
    assert private_words("Training starts from random weights.") == []
