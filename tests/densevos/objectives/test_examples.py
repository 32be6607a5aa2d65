"""The examples in docstrings of objectives, learners and networks."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "densevos.inference.segmenter",
    "densevos.learners.probe",
    "densevos.models.foreign",
    "densevos.objectives.anchors",
    "densevos.objectives.clustered",
    "densevos.objectives.domain",
    "densevos.objectives.reversal",
    "densevos.objectives.segmentation",
    "densevos.objectives.self_training",
    "densevos.objectives.tracking",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    outcome = doctest.testmod(import_module(name))
    assert outcome.attempted
    assert not outcome.failed
