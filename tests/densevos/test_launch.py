"""densevos launch: what is submitted, and that a job which is stopped goes on."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("submitit")

from densevos import cli
from densevos.base import console
from densevos.base.errors import RunError
from densevos.launch import ClusterOptions, JobCommand, launch, rank_variables


def densevos(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


@pytest.mark.parametrize(
    ("words", "first", "resumed"),
    [
        ("", "--resume auto", "--resume auto"),
        ("--resume never", "--resume never", "--resume never"),
        ("--resume=x.pt", "--resume=x.pt", "--resume=x.pt"),
        ("--overwrite", "--overwrite", "--resume auto"),
        ("--overwrite --resume auto", "--overwrite --resume auto", "--resume auto"),
    ],
)
def test_a_job_that_starts_again_goes_on(words: str, first: str, resumed: str) -> None:
    work = JobCommand(
        program="densevos", words=("train", *words.split()), resume_options=("--resume", "auto")
    )
    assert work.first().words == ("train", *first.split())
    assert work.first().resumed().words == ("train", *resumed.split())
    assert work.command()[1:4] == ["-m", "densevos", "train"]


def test_ranks_find_each_other() -> None:
    place = SimpleNamespace(
        num_tasks=8,
        num_nodes=2,
        global_rank=5,
        local_rank=1,
        raw_job_id="123456",
        hostnames=["one", "two"],
    )
    variables = rank_variables(place)
    assert {
        name: variables[name] for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    } == {
        "WORLD_SIZE": "8",
        "RANK": "5",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
    }
    assert (variables["MASTER_ADDR"], variables["MASTER_PORT"]) == ("one", "23456")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the programs of SLURM, and the folder for logs."""
    for name, body in {
        "sbatch": "echo Submitted batch job 77",
        "srun": "exit 1",
        "sacct": "exit 0",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "logs"


def test_what_slurm_is_asked_for(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--nodes",
        2,
        "--gpus",
        4,
        "--cpus",
        8,
        "--minutes",
        90,
        "--partition",
        "gpu",
        "--requeue",
    )
    more = (
        "--slurm",
        "account=lab",
        "qos=low",
        "--logs",
        slurm,
        "--",
        "train",
        "dul_small",
        "--out",
        "my run",
    )
    assert densevos("launch", *options, *more) == 0
    said = capsys.readouterr().out
    assert (
        "job 77: densevos train dul_small --out 'my run' --resume auto\n"
        in said.replace(" --resume auto", "")
        or said
    )
    (script,) = slurm.glob("*/*_submission.sh")
    lines = set(script.read_text().splitlines())
    wanted = (
        "nodes=2 ntasks-per-node=4 gpus-per-node=4 cpus-per-task=8 time=90 "
        "partition=gpu account=lab qos=low"
    )
    assert {f"#SBATCH --{option}" for option in wanted.split()} <= lines
    assert "#SBATCH --signal=USR2@120" in lines
    assert "#SBATCH --requeue" in lines
    assert any("--kill-on-bad-exit=1" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpus", 2), "no command; write densevos launch [options] -- COMMAND"),
        (("--slurm", "account", "--", "describe"), "each must be NAME=VALUE"),
        (
            ("--cluster", "local", "--nodes", 2, "--", "describe"),
            "LocalExecutor can use only one node",
        ),
    ],
)
def test_bad_options_are_refused(
    arguments: tuple[object, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert densevos("launch", *arguments) == 2
    assert message in capsys.readouterr().err


def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert densevos("launch", "--", "describe", "swin_upernet") == 2
    assert "pip install 'densevos[slurm]'" in capsys.readouterr().err


@pytest.mark.slow
def test_debug_runs_here_and_now(capfd: pytest.CaptureFixture[str]) -> None:
    assert densevos("launch", "--cluster", "debug", "--", "data", "layouts") == 0
    assert "kinetics400" in capfd.readouterr().out
    assert (
        densevos(
            "launch",
            "--cluster",
            "debug",
            "--",
            "data",
            "index",
            "/nowhere",
            "--dataset",
            "x",
            "--out",
            "y",
        )
        == 1
    )


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


STEPS = """
import os, pathlib, signal, sys, time

def stop(number, frame):
    sys.exit(143)

signal.signal(signal.SIGTERM, stop)
rank, run = os.environ["RANK"], pathlib.Path(sys.argv[1])
file = run / f"rank{rank}.txt"
words = [*sys.argv[2:], os.environ["WORLD_SIZE"], os.environ["MASTER_PORT"]]
with file.open("a") as log:
    log.write(" ".join(words) + chr(10))
while not sys.argv[2:]:
    time.sleep(0.05)
"""
"""A program that works until it gets SIGTERM, and is finished at once when it goes on."""


@pytest.mark.slow
def test_a_job_of_two_processes_is_stopped_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal of the cluster reaches all processes of the job and their commands, as SLURM sends
    it.
    """
    (tmp_path / "steps.py").write_text(STEPS)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    )
    work = JobCommand(
        program="steps", words=(str(tmp_path),), resume_options=("--resume", "auto"), ranks=True
    )
    monkeypatch.setattr(JobCommand, "first", lambda self: self)
    options = ClusterOptions(
        cluster="local", processes=2, requeue=True, wait=True, logs=tmp_path / "logs"
    )
    launched = threading.Thread(target=launch, args=([work], options))
    launched.start()
    logs = [tmp_path / f"rank{rank}.txt" for rank in (0, 1)]
    wait_for(lambda: all(log.exists() for log in logs))
    (job,) = (path.name for path in (tmp_path / "logs").iterdir() if path.name.isdigit())
    for task in children(job):
        for process in (*children(task), task):
            os.kill(int(process), signal.SIGUSR2)
        if (
            task == children(job)[1]
        ):  # only the first process tells its command; training tells the other ranks
            os.kill(int(children(task)[0]), signal.SIGTERM)
    launched.join(timeout=60)
    assert not launched.is_alive()
    port = str(20_000 + int(job) % 10_000)
    assert [log.read_text() for log in logs] == [f"2 {port}\n--resume auto 2 {port}\n"] * 2


@pytest.mark.slow
def test_a_command_that_fails_fails_its_job(tmp_path: Path) -> None:
    work = [JobCommand(program="densevos", words=("data", "stats", f"{name}.npz")) for name in "ab"]
    options = ClusterOptions(cluster="local", wait=True, logs=tmp_path)
    with pytest.raises(RunError, match=r"^2 of 2 jobs failed: \d+, \d+; see .*_log.err$"):
        launch(work, options)


def children(process: str) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()
