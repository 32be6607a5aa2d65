"""Which device is taken where none is named, on machines that a test can only pretend to be."""

import pytest

from densevos.base.devices import ACCELERATORS, evaluates, preferred_device


def machine(*, cuda: bool, mps: bool):
    return (("cuda", lambda: cuda), ("mps", lambda: mps))


@pytest.mark.parametrize(
    ("cuda", "mps", "works", "taken"),
    [
        (True, True, True, "cuda"),
        (True, False, False, "cuda"),
        (False, True, True, "mps"),
        (False, True, False, "cpu"),
        (False, False, True, "cpu"),
    ],
)
def test_the_best_device_that_works_is_taken(
    cuda: bool, mps: bool, works: bool, taken: str
) -> None:
    assert preferred_device(lambda name: works, machine(cuda=cuda, mps=mps)) == taken


def test_the_trial_computes_where_it_can_and_says_no_elsewhere() -> None:
    assert evaluates("cpu")
    assert not evaluates("meta")  # It has shapes and no values.
    assert not evaluates("mps") or ACCELERATORS[1][1]()
