"""Print facts with titles."""

from collections.abc import Iterator, Mapping


def as_lines(facts: Mapping[str, str]) -> Iterator[str]:
    """A line for each fact, with the titles in a column.

    Args:
        facts: Texts by title; at least one.
    """
    width = max(map(len, facts))
    for title, text in facts.items():
        yield f"{title:{width}}  {text}"
