"""The examples in docstrings: every public name has one, and all of them run."""

import doctest
import tempfile
from pathlib import Path

import pytest

import densevos
import densevos_eval

NAMES = [
    (package, name) for package in (densevos, densevos_eval) for name in sorted(package.__all__)
]


@pytest.mark.parametrize(
    ("package", "name"), NAMES, ids=[f"{package.__name__}.{name}" for package, name in NAMES]
)
def test_every_public_name_has_an_example_that_runs(
    package, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What examples write goes with the other files of the tests.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    # Examples start from nothing, so that users can paste them.
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(getattr(package, name), name, globs={})
    assert example.examples, f"{package.__name__}.{name} has no >>> example"

    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example, out=printed.append).failed == 0, "".join(printed)
