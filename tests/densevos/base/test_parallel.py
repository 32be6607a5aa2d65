"""Many sequences in several processes: failures, deaths, signals, shards."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from densevos.base.errors import InputError, RunError
from densevos.base.parallel import (
    THREADS,
    Function,
    Growing,
    check_timeout,
    check_workers,
    each,
    in_order,
    in_processes,
    shard_of,
    shard_range,
)
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _processes_find_this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def squared(item: int, on_step) -> int:
    for _ in range(3):
        on_step(str(item))
    if item == 3:
        raise InputError("three: is odd")
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 6:
        raise ZeroDivisionError("a defect")
    if item == 8:
        raise OSError(28, "No space left on device", "out.png")
    return item * item


def maker() -> Function[int, int]:
    return squared


def unlucky() -> Function[int, int]:
    raise InputError("encoder: has gone")


def outcomes(items: list[int], **options) -> dict[int, object]:
    return {
        item: str(one) if isinstance(one, Exception) else one
        for item, one in each(squared, items, **options)
    }


def test_here_and_in_processes_the_outcomes_are_the_same() -> None:
    steps: list[str] = []
    expected = {1: 1, 2: 4, 3: "three: is odd", 4: 16}
    assert outcomes([1, 2, 3, 4]) == expected
    assert outcomes([1, 2, 3, 4], processes=[maker] * 2, on_step=steps.append) == expected
    assert sorted(steps) == sorted("123412341234")
    assert outcomes([], processes=[maker] * 2) == {}


def place_of(item: int, on_step) -> tuple[int, bool]:
    time.sleep(0.05)
    return os.getpid(), threading.current_thread() is threading.main_thread()


def placed() -> Function[int, tuple[int, bool]]:
    return place_of


def test_this_process_works_too_while_others_start() -> None:
    places = dict(each(place_of, list(range(40)), processes=[placed], here=True))
    assert sorted(places) == list(range(40))
    assert places[0] == (os.getpid(), False)
    assert {pid for pid, _ in places.values()} - {os.getpid()}
    assert not multiprocessing.active_children()


def test_outcomes_are_the_same_where_this_process_works_too() -> None:
    steps: list[str] = []
    expected = {1: 1, 2: 4, 3: "three: is odd", 4: 16}
    assert outcomes([1, 2, 3, 4], processes=[maker], here=True, on_step=steps.append) == expected
    assert sorted(steps) == sorted("123412341234")
    assert outcomes([], processes=[maker], here=True) == {}
    assert outcomes([1], processes=[maker], here=True) == {1: 1}
    with pytest.raises(RuntimeError, match="a defect"):
        outcomes([6, 1, 2], processes=[maker], here=True)
    assert not multiprocessing.active_children()


def test_a_process_that_dies_takes_only_its_item_along() -> None:
    found = outcomes([5, 1, 5, 2], processes=[maker])
    assert found.pop(5).startswith("its process died (exit status -9)")
    assert found == {1: 1, 2: 4}
    assert not multiprocessing.active_children()


def threads_of(item: int, on_step) -> list[str | None]:
    return [os.environ.get(name) for name in THREADS]


def test_one_function_in_processes_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert dict(in_processes(threads_of, [1, 2, 3], workers=2)) == dict.fromkeys(
        [1, 2, 3], ["1"] * 3
    )
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert dict(in_processes(squared, [])) == {}


@pytest.mark.parametrize(
    ("item", "make", "error"),
    [(6, maker, pytest.raises(RuntimeError, match="ZeroDivisionError: a defect")),
     (8, maker, pytest.raises(OSError, match="No space left on device")),
     (1, unlucky, pytest.raises(InputError, match="encoder: has gone"))],
)  # fmt: skip
def test_what_is_not_the_items_fault_ends_everything(item: int, make, error) -> None:
    with error:
        list(each(squared, [1, item, 2], processes=[make] * 2))
    assert not multiprocessing.active_children()


def test_defects_here_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        outcomes([6])


PROGRAM = """
import os, signal, sys, time
from densevos.base import console
from densevos.base.parallel import each, stopped_by_sigterm

def endless(item, on_step):
    while True:
        on_step("x")
        time.sleep(0.01)

def maker():
    return endless

def die(title, count=[]):
    count.append(title)
    if len(count) == 10:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

def run():
    with stopped_by_sigterm("go on with --resume"):
        list(each(endless, [1, 2, 3], processes=[maker] * int(sys.argv[2]), on_step=die))

if __name__ == "__main__":
    # Background jobs of a shell ignore SIGINT from their start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(console.run(run))
"""


@pytest.mark.parametrize(
    ("number", "processes", "status", "said"),
    [
        ("SIGKILL", 2, -9, ""),
        ("SIGTERM", 2, 143, "stopped: go on"),
        ("SIGTERM", 0, 143, "stopped: go on"),
        ("SIGINT", 2, 130, "interrupted"),
    ],
)  # fmt: skip
def test_signals_end_every_process(
    tmp_path: Path, number: str, processes: int, status: int, said: str
) -> None:
    (tmp_path / "endless.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "endless.py"), number, str(processes)]
    start = time.monotonic()
    # Its processes write to the same pipe: reading it ends when the last of them does.
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == status
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == bool(said)
    assert time.monotonic() - start < 50


SLOW = """
import os, signal, sys, threading, time
from pathlib import Path
if __name__ != "__main__":  # a process that is only just importing what it needs
    Path(__file__).with_name(f"began-{os.getpid()}").touch()
    time.sleep(60)
from densevos.base import console
from densevos.base.parallel import each

def interrupt_once_all_began():
    while len(list(Path(__file__).parent.glob("began-*"))) < 2:
        time.sleep(0.05)
    os.killpg(0, signal.SIGINT)

def run():
    threading.Thread(target=interrupt_once_all_began, daemon=True).start()
    list(each(None, [1, 2], processes=[run, run]))

if __name__ == "__main__":
    # Background jobs of a shell ignore SIGINT from their start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(console.run(run))
"""


def test_processes_that_are_only_beginning_end_quietly(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, str(tmp_path / "slow.py")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
        start_new_session=True,
    )
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["interrupted"]


def test_shards_share_the_sequences_out_evenly() -> None:
    lengths = [10, 70, 30, 20, 60, 50, 40]
    shards = [shard_of(lengths, f"{i}/3", lambda length: length) for i in (1, 2, 3)]
    assert shards == [[10, 70, 40], [30, 60], [20, 50]]
    assert shard_of(lengths, None, lambda length: length) == lengths
    assert shard_of([1], "2/2", lambda length: length) == []
    assert shard_of([5] * 4, "1/2", partial(int)) == [5, 5]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "/2", "-1/2", "a/b", "1/2/3"])
def test_other_shards_are_refused(shard: str) -> None:
    with pytest.raises(InputError, match=f"--shard {shard}: must be I/N"):
        shard_of([1, 2], shard, lambda length: length)


def test_numbers_of_workers_are_checked() -> None:
    check_workers(None)
    check_workers(1)
    with pytest.raises(InputError, match="--workers: must be 1 or more, is 0"):
        check_workers(0)


def test_run_errors_are_the_items_too() -> None:
    def fail(item: int, on_step) -> int:
        raise RunError("memory is too short")

    ((_, outcome),) = each(fail, [1])
    assert isinstance(outcome, RunError)


def sleepy(item: int, on_step) -> int:
    if item == 1:
        time.sleep(60)
    for _ in range(
        10 * (item == 2)
    ):  # longer than the limit as a whole, but never silent for so long
        on_step("still there")
        time.sleep(0.2)
    return item


def test_a_process_that_gives_nothing_is_ended_and_another_goes_on() -> None:
    start = time.monotonic()
    found = {
        item: str(outcome)
        for item, outcome in in_processes(sleepy, [0, 1, 2, 3], workers=1, timeout=1.0)
    }
    assert found.pop(1).startswith("gave nothing for 1 s, so its process was ended")
    assert found == {0: "0", 2: "2", 3: "3"}
    assert time.monotonic() - start < 40
    assert not multiprocessing.active_children()


def test_items_are_taken_one_by_one_and_others_may_be_added() -> None:
    taken: list[int] = []

    def numbers():
        for number in range(1, 1_000_000):
            taken.append(number)
            yield number

    found = []
    items = Growing(numbers())
    for item, _ in in_processes(squared, items, workers=1):
        found.append(item)
        if item == 1:
            items.add([100, 101])
        if item == 2:
            break
    assert found == [1, 100, 101, 2]
    assert taken == [1, 2]

    last = Growing([1])
    outcomes_so_far = []
    for item, _ in in_processes(squared, last, workers=2):
        outcomes_so_far.append(item)
        last.add([item + 1] if item < 2 else [])  # when nothing else was left
    assert outcomes_so_far == [1, 2]


def test_outcomes_are_put_in_order() -> None:
    early = [((2, "c"), 2), ((0, "a"), 0), ((3, "d"), 3), ((1, "b"), 1)]
    assert [outcome for _, outcome in in_order(early)] == [0, 1, 2, 3]


def test_every_nth_index_is_a_shards() -> None:
    assert list(shard_range(7, None)) == list(range(7))
    assert [list(shard_range(7, f"{i}/3")) for i in (1, 2, 3)] == [[0, 3, 6], [1, 4], [2, 5]]
    with pytest.raises(InputError, match="--shard 4/3: must be I/N"):
        shard_range(7, "4/3")


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_limits_of_time_are_checked(seconds: float) -> None:
    check_timeout(None)
    check_timeout(0.5)
    with pytest.raises(InputError, match="--timeout: must be above 0 seconds"):
        check_timeout(seconds)
