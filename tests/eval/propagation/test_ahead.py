"""Items fetched ahead come as they would without; work done behind is done in its order."""

from collections.abc import Iterator

import pytest

from densevos.base.errors import InputError
from densevos_eval.propagation.ahead import ahead, behind


def numbers(end: int, fetched: list[int]) -> Iterator[int]:
    for i in range(end):
        fetched.append(i)
        yield i


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_all_items_in_order(length: int) -> None:
    assert list(ahead(numbers(length, []))) == list(range(length))


def test_no_more_than_asked_for_are_fetched_early() -> None:
    fetched: list[int] = []
    items = ahead(numbers(1000, fetched), count=2)
    assert next(items) == 0
    assert next(items) == 1
    items.close()
    assert len(fetched) <= 4


def test_an_error_comes_in_the_place_of_its_item() -> None:
    def broken() -> Iterator[int]:
        yield from (1, 2)
        raise InputError("00002.jpg: image cannot be read; replace or remove it")

    items = ahead(broken(), count=5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(InputError, match=r"00002\.jpg"):
        next(items)


def test_all_is_done_in_order_at_the_end() -> None:
    done: list[int] = []
    with behind() as later:
        for i in range(20):
            later(done.append, i)
            assert len(done) >= i - 2
    assert done == list(range(20))


@pytest.mark.parametrize("others", [0, 5])
def test_an_error_of_work_behind_is_raised_and_ends_it(others: int) -> None:
    done: list[int] = []

    def work() -> None:
        with behind() as later:
            later(divmod, 1, 0)
            for i in range(others):
                later(done.append, i)

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(done) <= 2
