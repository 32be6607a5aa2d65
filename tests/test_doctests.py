"""The examples in docstrings of the public modules."""

import doctest
from importlib import import_module

import pytest

MODULES = ("densevos_eval.drawing.picture", "densevos_eval.scoring.memory")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    tried = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried.attempted
    assert not tried.failed
