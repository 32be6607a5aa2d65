"""densevos-eval launch: how jobs share a command."""

import os
from pathlib import Path

import pytest

pytest.importorskip("submitit")

from densevos.base import console
from densevos_eval import cli

PROPAGATE = (
    "propagate",
    "--encoder",
    "random:resnet18",
    "--dataset",
    "davis17",
    "--root",
    "DAVIS",
    "--out",
    "masks",
)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


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


def test_an_array_of_jobs_shares_the_sequences(
    slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluator("launch", "--shards", 3, "--gpus", 1, "--logs", slurm, "--", *PROPAGATE) == 0
    jobs = [line for line in capsys.readouterr().out.splitlines() if line.startswith("job ")]
    command = " ".join(("densevos-eval", *PROPAGATE))
    assert jobs == [f"job 77_{n}: {command} --shard {n + 1}/3 --resume" for n in range(3)]
    (script,) = slurm.glob("*/*_submission.sh")
    lines = script.read_text().splitlines()
    assert "#SBATCH --array=0-2%3" in lines
    assert "#SBATCH --ntasks-per-node=1" in lines


def test_one_job_is_any_command(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluator("launch", "--logs", slurm, "--", "matrix", "plan.toml", "--out", "matrix") == 0
    assert capsys.readouterr().out.startswith(
        "job 77: densevos-eval matrix plan.toml --out matrix\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--shards", 2, "--", "score"),
            "score cannot be shared; only propagate, zeroshot, segment, matrix can",
        ),
        (("--shards", 2, "--", *PROPAGATE, "--shard=1/2"), "leave out --shard and --overwrite"),
        (("--shards", 2, "--", *PROPAGATE, "--overwrite"), "leave out --shard and --overwrite"),
        (("--shards", 0, "--", "score"), "must be 1 or more"),
        ((), "no command; write densevos-eval launch [options] -- COMMAND"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluator("launch", *arguments) == 2
    assert message in capsys.readouterr().err
