"""scripts/slurm.sh, with stand-ins for the programs of SLURM."""

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.starting import dry, finish, start

STAND_INS = {
    # Runs the command on one of the nodes.
    "srun": 'shift; SLURM_NODEID=1 exec "$@"',
    # Lists the nodes, or notes what was asked for.
    "scontrol": 'if [ "$1" = show ]; then echo node-a; echo node-b; else echo "$@" >>"$NOTES"; fi',
    # Stands for the python that trains: notes its arguments and ends as it is told.
    "python": 'echo "$@" >>"$NOTES"; exit "$STATUS"',
}


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two nodes."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "DENSEVOS_BIN": str(tmp_path),
        "NOTES": str(tmp_path / "notes.txt"),
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "node-[a-b]",
        "SLURM_SUBMIT_DIR": str(ROOT),
        "GPUS": "4",
        "DATA": "/data",
        "OUT": "/out",
    }


@pytest.mark.parametrize("status", [0, 1, 143])
def test_a_job_that_was_stopped_is_queued_again(slurm: dict[str, str], status: int) -> None:
    ended, _, errors = finish(start("slurm.sh", "--loop.seed", 3, **slurm, STATUS=status))
    assert ended == status, errors
    trained, *requeued = Path(slurm["NOTES"]).read_text().splitlines()
    assert trained == (
        "-m densevos.torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint node-a:22345"
        " --rdzv-conf is_host=0,read_timeout=600,join_timeout=600 --nproc-per-node 4 "
        "--max-restarts 3"
        " --module densevos train dul_ytvos --data /data --out /out --resume auto --loop.seed 3"
    )
    assert requeued == (["requeue 12345"] if status == 143 else [])


def test_dry_run_starts_nothing() -> None:
    (line,) = dry("slurm.sh", "--loop.seed", 3, SLURM_JOB_NUM_NODES=2)
    assert line.startswith(
        "srun --kill-on-bad-exit=1 env NNODES=2 MASTER_ADDR=localhost MASTER_PORT=29500 RESTARTS=3 "
    )
    assert line.endswith("scripts/train.sh --loop.seed 3")


def test_jobs_are_submitted_from_the_checkout(slurm: dict[str, str], tmp_path: Path) -> None:
    status, _, errors = finish(start("slurm.sh", **{**slurm, "SLURM_SUBMIT_DIR": str(tmp_path)}))
    assert status == 2
    assert "submit the job from the checkout" in errors
