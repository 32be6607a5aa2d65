"""Facts with titles, as lines for the screen."""

from collections.abc import Iterator, Mapping


def as_lines(facts: Mapping[str, str]) -> Iterator[str]:
    """A line for each fact, with the titles in a column."""
    width = max(map(len, facts))
    for title, text in facts.items():
        yield f"{title:{width}}  {text}"
