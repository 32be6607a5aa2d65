"""docs/decisions.md: entries are numbered, and what the code says of them is there."""

import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
NUMBERS = [int(number) for number in re.findall(r"^\*\*D(\d+)\. [A-Z]", PAGE, re.MULTILINE)]
SOURCES = ("densevos", "eval", "tests", "benchmarks")


def test_entries_are_numbered_in_order_and_listed_by_group() -> None:
    assert list(range(1, len(NUMBERS) + 1)) == NUMBERS
    ranges = re.findall(r"^\| \[.*\]\(#.*\) \| D(\d+) to D(\d+) \|$", PAGE, re.MULTILINE)
    listed = [number for first, last in ranges for number in range(int(first), int(last) + 1)]
    assert listed == NUMBERS


def test_decisions_that_the_code_names_exist() -> None:
    named = set()
    for file in (file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"specification (section|headline|\d)", text), file
        for match in re.findall(r"[Dd]ecisions? (D\d+(?:(?:, | and | to )D\d+)*)", text):
            named |= {int(number) for number in re.findall(r"D(\d+)", match)}
    assert named
    assert named <= set(NUMBERS)


def test_the_glossary_is_short_and_in_the_order_of_the_alphabet() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| ([^|]+) \| [A-Z]", text, re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words)) <= 60


@pytest.mark.parametrize("page", ["decisions.md", "glossary.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    titles = {
        re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))
        for title in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link[1:] in titles if link.startswith("#") else (ROOT / "docs" / link).exists(), link
