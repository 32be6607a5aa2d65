"""Jobs of experiments: order, what is kept, failures, and a clean end on signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.jobs import Job, Steps, argv, run_jobs
from tests.conftest import ROOT

# A training: it says that it started, and saves its state when it is stopped.
TRAINING = """
import signal, sys, time
log = open(sys.argv[1], "a", buffering=1)
def stop(number, frame):
    time.sleep(0.2)
    log.write("saved\\n")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
log.write("started\\n")
time.sleep(60)
"""
EXPERIMENT = """
import sys
from experiments.jobs import Job, run_jobs
training = ("python", "-c", sys.argv[1], sys.argv[2])
too_far = ("python", "-c", "print('too far')")
run_jobs([Job(name=f"run {k}", steps=iter([training, too_far])) for k in range(3)], at_once=2)
"""


def python(code: str) -> tuple[str, ...]:
    return ("python", "-c", code)


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.is_file() else []


def wait_for_lines(file: Path, count: int) -> None:
    for _ in range(400):
        if len(lines_of(file)) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{file} never had {count} lines")


def test_commands_run_with_this_interpreter() -> None:
    assert argv(("densevos", "train", "x")) == [sys.executable, "-m", "densevos", "train", "x"]
    assert argv(("densevos-eval", "score")) == [sys.executable, "-m", "densevos_eval", "score"]
    assert argv(("python", "a.py")) == [sys.executable, "a.py"]


def test_a_step_looks_at_the_disk_when_its_turn_comes(tmp_path: Path) -> None:
    def steps() -> Steps:
        yield python(f"open({str(tmp_path / 'first.part')!r}, 'w')")
        (tmp_path / "first.part").rename(tmp_path / "first")
        yield python(
            f"open({str(tmp_path / 'first')!r}).close(); open({str(tmp_path / 'second')!r}, 'w')"
        )

    run_jobs([Job(name="both", steps=steps())])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_a_job_that_fails_is_named_and_stops_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    log = tmp_path / "log"

    def failing() -> Steps:
        wait_for_lines(log, 1)
        yield python("raise SystemExit(3)")
        (tmp_path / "reached").touch()

    training = Job(name="the other", steps=iter([("python", "-c", TRAINING, str(log))]))
    never = Job(name="never", steps=iter([python("print('too far')")]))
    with pytest.raises(SystemExit) as ended:
        run_jobs([training, Job(name="camvid swin global 0", steps=failing()), never], at_once=2)

    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: camvid swin global 0 failed with exit status 3\n"
    assert lines_of(log) == ["started", "saved"]
    assert not (tmp_path / "reached").exists()


def test_a_command_that_was_stopped_is_not_called_failed(capsys: pytest.CaptureFixture) -> None:
    stopped = Job(name="one", steps=iter([python("raise SystemExit(143)")]))
    with pytest.raises(SystemExit) as ended:
        run_jobs([stopped])
    assert (ended.value.code, capsys.readouterr().err) == (143, "")


def test_a_command_that_was_killed_has_the_status_that_a_shell_gives(
    capsys: pytest.CaptureFixture,
) -> None:
    killed = Job(name="one", steps=iter([python("import os; os.kill(os.getpid(), 9)")]))
    with pytest.raises(SystemExit) as ended:
        run_jobs([killed])
    assert ended.value.code == 137
    assert "one failed with exit status 137" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_an_experiment_stops_its_trainings_in_their_own_time(
    tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    experiment = subprocess.Popen(
        [sys.executable, "-c", EXPERIMENT, TRAINING, str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        # What is ignored at the start stays ignored, and the tests may be in the background of a
        # shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for_lines(log, 2)
    for _ in range(2):  # as timeout sends it, and people do
        experiment.send_signal(number)
    said, _ = experiment.communicate(timeout=60)
    assert (experiment.returncode, said) == (128 + number, "")
    assert lines_of(log) == ["started"] * 2 + ["saved"] * 2


def test_a_signal_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_jobs([Job(name="hang up", steps=iter([python("import os; os.kill(os.getppid(), 1)")]))])
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
