"""scripts/train.sh: what it starts, and how runs of several processes end and go on."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from densevos import torchrun
from densevos.base import console
from densevos.data.synthetic.sequences import SyntheticConfig, write_davis
from tests.scripts.starting import QUICK, dry, finish, start


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "DAVIS"
    write_davis(
        folder, train=4, val=0, seed=0, config=SyntheticConfig(height=48, width=64, frames=4)
    )
    return folder / "JPEGImages" / "480p"


def steps(run: Path) -> list[int]:
    """The steps that a run has logged so far."""
    file = run / "metrics.jsonl"
    return (
        [json.loads(line)["step"] for line in file.read_text().splitlines()]
        if file.exists()
        else []
    )


def wait_for(condition: Callable[[], object], seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def children(pid: int) -> Iterator[int]:
    """Processes that a process started."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)


def test_one_machine() -> None:
    (line,) = dry("train.sh", "--loop.epochs", 3, DATA="/my data", OUT="/out", GPUS=2)
    assert line == (
        r"python -m densevos.torchrun --standalone --nproc-per-node 2 --max-restarts 0 --module "
        r"densevos"
        r" train dul_ytvos --data /my\ data --out /out --resume auto --loop.epochs 3"
    )


def test_several_machines() -> None:
    where = {"NNODES": 2, "MASTER_ADDR": "one", "MASTER_PORT": 77, "RESTARTS": 3, "GPUS": 8}
    lines = [
        dry("train.sh", OUT="/out", RECIPE="dul_kinetics", NODE_RANK=rank, **where)[0]
        for rank in (0, 1)
    ]
    assert "--nnodes 2 --rdzv-backend c10d --rdzv-endpoint one:77 --rdzv-conf is_host=1" in lines[0]
    assert lines[1] == lines[0].replace("is_host=1", "is_host=0")
    assert "--nproc-per-node 8 --max-restarts 3 " in lines[0]


def test_a_machine_without_a_number_is_refused() -> None:
    status, _, errors = finish(start("train.sh", "--dry-run", NNODES=2, MASTER_ADDR="one", GPUS=1))
    assert status != 0
    assert "set NODE_RANK to the number" in errors


def failed(exitcode: int) -> ChildFailedError:
    failures = {3: ProcessFailure(local_rank=1, pid=77, exitcode=exitcode, error_file="")}
    return ChildFailedError("densevos", failures)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (SignalException("", signal.SIGTERM), 143, "stopped: SIGTERM"),
        (SignalException("", signal.SIGINT), 130, "interrupted"),
        (failed(143), 143, "stopped: rank 3"),
        (failed(2), 2, "error: rank 3 "),
        (failed(-9), 1, "(process 77 on HOST) was killed by SIGKILL"),
        (failed(5), 1, "failed with status 5"),
    ],
)
def test_statuses(
    error: Exception, status: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def run(options: object) -> None:
        raise error

    monkeypatch.setattr(torchrun, "run", run)
    monkeypatch.setattr(torchrun.os, "environ", {})
    assert console.run(lambda: torchrun.launch(["--module", "densevos"])) == status
    said = capsys.readouterr().err.replace(socket.gethostname(), "HOST")
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_rank_that_is_killed_comes_back_and_sigterm_saves(videos: Path, tmp_path: Path) -> None:
    """Every step stands once in the log afterwards, and the status after SIGTERM is 143."""
    run = tmp_path / "run"
    long = ("--loop.epochs", 100_000, "--loop.checkpoint-every", 2, "--loop.log-every", 1)
    process = start(
        "train.sh", *QUICK, *long, DATA=videos, RECIPE="dul_small", OUT=run, GPUS=2, RESTARTS=1
    )
    try:
        wait_for(lambda: list(run.glob("checkpoints/step-*.pt")))
        _, second = children(process.pid)
        os.kill(second, signal.SIGKILL)
        reached = max(steps(run))
        wait_for(lambda: max(steps(run)) > reached + 2)
    finally:
        process.terminate()
        status, _, errors = finish(process)

    assert status == 143, errors
    assert errors.count(f"stopped: {run}: saved after step") == 1
    assert errors.splitlines()[-1].startswith("stopped: SIGTERM")
    assert "torchrun.py" not in errors
    logged = steps(run)
    assert logged == list(range(1, len(logged) + 1))
    (saved,) = set(re.findall(r"saved after step (\d+)", errors))
    assert (run / "checkpoints" / f"step-{int(saved):08d}.pt").exists()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.mark.slow
def test_two_machines_train_together(videos: Path, tmp_path: Path) -> None:
    """Both are this one. The second comes first and waits for the first."""
    run = tmp_path / "run"
    where = {
        "NNODES": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "GPUS": 1,
        "OUT": run,
    }
    machines: list[subprocess.Popen[str]] = []
    for rank in (1, 0):
        machines.append(
            start("train.sh", *QUICK, DATA=videos, RECIPE="dul_small", NODE_RANK=rank, **where)
        )
    for machine in machines:
        status, _, errors = finish(machine)
        assert status == 0, errors
    assert json.loads((run / "provenance.json").read_text())["processes"] == 2
    assert (run / "encoder.safetensors").exists()
