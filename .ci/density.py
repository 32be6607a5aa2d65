"""How densely the code is packed: a row of figures for each folder of sources.

    python .ci/density.py [FOLDER ...]     (default: densevos eval)

Guide values: at least 50 comments and at most 20 comprehensions, 10 conditional expressions and 10
lines over 100 columns per 1,000 lines; 6 to 13 % blank lines inside functions.
"""

import ast
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

COLUMNS = 100
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (*FUNCTIONS, ast.ClassDef, ast.Module)


@dataclass
class Counts:
    """What is counted in one file, or in the files of a folder together."""

    lines: int = 0
    comments: int = 0
    long_lines: int = 0
    comprehensions: int = 0
    conditionals: int = 0
    starred: int = 0
    function_lines: int = 0
    blank_in_functions: int = 0
    docstrings: int = 0
    docstring_words: int = 0

    def add(self, other: "Counts") -> None:
        """Add the counts of another file."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def count(path: Path) -> Counts:
    """The counts of one Python file."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    docstrings = [
        text for node in nodes if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node))
    ]
    in_functions = set(function_lines(tree))

    return Counts(
        lines=len(lines),
        comments=comment_lines(path),
        long_lines=sum(len(line) > COLUMNS for line in lines),
        comprehensions=sum(isinstance(node, COMPREHENSIONS) for node in nodes),
        conditionals=sum(isinstance(node, ast.IfExp) for node in nodes),
        starred=sum(isinstance(node, ast.Starred) for node in nodes),
        function_lines=len(in_functions),
        blank_in_functions=sum(not lines[number - 1].strip() for number in in_functions),
        docstrings=len(docstrings),
        docstring_words=sum(len(text.split()) for text in docstrings),
    )


def comment_lines(path: Path) -> int:
    """Lines that hold a comment."""
    with path.open("rb") as file:
        tokens = tokenize.tokenize(file.readline)
        return len({token.start[0] for token in tokens if token.type == tokenize.COMMENT})


def function_lines(tree: ast.Module) -> Iterator[int]:
    """The numbers of all lines inside functions, docstrings left out."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield from range(body[0].lineno, (node.end_lineno or node.lineno) + 1)


def row(name: str, counts: Counts) -> list[str]:
    """The figures of one folder, per 1,000 lines where nothing else is said."""
    thousand = max(counts.lines, 1) / 1000
    per_thousand = (
        counts.comments,
        counts.comprehensions,
        counts.conditionals,
        counts.starred,
        counts.long_lines,
    )
    blank = 100 * counts.blank_in_functions / max(counts.function_lines, 1)
    words = counts.docstring_words / max(counts.docstrings, 1)

    return [
        name,
        str(counts.lines),
        *(f"{value / thousand:.1f}" for value in per_thousand),
        f"{blank:.1f}",
        f"{words:.1f}",
    ]


def main(folders: list[str]) -> None:
    """Print a row for each folder, and one for all."""
    head = [
        "folder",
        "lines",
        "comments",
        "comprehensions",
        "conditionals",
        "starred",
        "long",
        "blank %",
        "doc words",
    ]
    rows, total = [], Counts()

    for folder in folders:
        counts = Counts()
        for path in sorted(Path(folder).rglob("*.py")):
            counts.add(count(path))

        rows.append(row(folder, counts))
        total.add(counts)

    for line in (head, *rows, row("all", total)):
        print(
            "".join(
                cell.ljust(16) if number == 0 else cell.rjust(16)
                for number, cell in enumerate(line)
            )
        )


if __name__ == "__main__":
    main(sys.argv[1:] or ["densevos", "eval"])
