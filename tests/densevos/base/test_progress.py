"""Progress without a terminal: plain lines, few of them."""

import pytest

from densevos.base.progress import LineProgress, duration, progress_bar


class Recorded:
    """A progress in lines whose clock stands still unless it is moved."""

    def __init__(self, unit: str = "steps"):
        self.now = 100.0
        self.lines: list[str] = []
        self.bar = LineProgress(
            unit=unit, seconds=30, write=self.lines.append, clock=lambda: self.now
        )


def test_a_line_every_so_often_and_one_at_the_end() -> None:
    recorded = Recorded()
    with recorded.bar as bar:
        task = bar.add_task("training", total=100, completed=20, status="")
        for step in range(21, 101):
            recorded.now += 1
            bar.update(task, completed=step, status=f"loss {step / 10:.1f}  12.3 clips/s")
    assert recorded.lines == [
        "training 50/100 steps, loss 5.0, 12.3 clips/s, 0:00:50 left",
        "training 80/100 steps, loss 8.0, 12.3 clips/s, 0:00:20 left",
        "training 100/100 steps, loss 10.0, 12.3 clips/s, took 0:01:20",
    ]


def test_what_is_stopped_says_where_once() -> None:
    recorded = Recorded(unit="")
    bar = recorded.bar
    bar.start()
    task = bar.add_task("index", total=None)
    for _ in range(3):
        recorded.now += 2
        bar.advance(task)
    bar.stop()
    bar.stop()
    assert recorded.lines == ["index 3, took 0:00:06"]


@pytest.mark.parametrize("disabled", [False, True])
def test_nothing_done_or_not_in_charge_says_nothing(disabled: bool) -> None:
    recorded = Recorded()
    recorded.bar.disable = disabled
    with recorded.bar as bar:
        task = bar.add_task("training", total=5, completed=2, status="")
        if disabled:
            recorded.now += 50
            bar.update(task, completed=5)
    assert not recorded.lines


def test_long_steps_have_a_time_left() -> None:
    recorded = Recorded()
    with recorded.bar as bar:
        task = bar.add_task("videos", total=4)
        recorded.now += 100
        bar.advance(task)
        recorded.now += 100
        bar.advance(task)
    assert recorded.lines[:2] == ["videos 1/4 steps", "videos 2/4 steps, 0:03:20 left"]


def test_a_header_tenths_and_a_rate() -> None:
    lines: list[str] = []
    now = 100.0
    options = {"header": "propagate: 1 sequence", "rate": True, "quiet": 5, "seconds": 30}
    bar = LineProgress(unit="frames", ends=False, write=lines.append, clock=lambda: now, **options)
    task = bar.add_task("dog", total=40)
    for _ in range(16):
        now += 2
        bar.advance(task)
    assert lines == [
        "propagate: 1 sequence",
        "dog 3/40 frames, 0.5 frames/s, 0:01:14 left",
        "dog 7/40 frames, 0.5 frames/s, 0:01:06 left",
        "dog 11/40 frames, 0.5 frames/s, 0:00:58 left",
        "dog 15/40 frames, 0.5 frames/s, 0:00:50 left",
    ]


def test_ends_may_go_without_a_line() -> None:
    lines: list[str] = []
    with LineProgress(ends=False, seconds=0, write=lines.append) as bar:
        task = bar.add_task("propagate", total=2)
        bar.update(task, advance=1, description="blackswan")
        bar.update(task, advance=1, description="bear")
    assert lines == ["blackswan 1/2"]


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("videos") as bar:
        bar.advance(bar.add_task("reading", total=1, status=""))
    said = capsys.readouterr()
    assert said.err == "reading 1/1 videos, took 0:00:00\n"
    assert said.out == ""


def test_on_a_terminal_there_is_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("videos") as bar:
        bar.advance(bar.add_task("reading", total=2, status="well"))
    assert "━" in capsys.readouterr().err


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 59.9, 60, 100_000)] == [
        "0:00:00",
        "0:00:59",
        "0:01:00",
        "27:46:40",
    ]
