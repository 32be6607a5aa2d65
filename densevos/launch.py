"""Commands as jobs of a cluster, through submitit: SLURM, or processes of this machine that outlive
the terminal.

A job that runs out of time or is preempted gets a signal. Its command then gets SIGTERM, saves and
ends; the job is queued again and goes on. Training runs one process for each GPU, which find each
other by the variables of torchrun.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densevos.base.errors import InputError, RunError

if TYPE_CHECKING:
    from submitit import Executor, Job
    from submitit.helpers import DelayedSubmission

MANY = 1000
"""How often a job may run out of time and be queued again."""

REQUEUE_SECONDS = 600
"""How long a job whose command was stopped waits for the signal that queues it again."""

STOPPED = (143, -signal.SIGTERM)
"""Statuses of a command that SIGTERM ended: in good order, or before it could answer."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Run a command as a job of a cluster. The command and its options follow after --.

    An example: densevos launch --gpus 8 --requeue -- train dul_ytvos --data ytvos --out runs/ytvos
    """

    cluster: Literal["slurm", "local", "debug"] | None = None
    """slurm; local: processes of this machine; debug: here and now, in one process. Without this
    option it is slurm if there is an srun, and local otherwise."""
    nodes: int = 1
    """Machines of a job."""
    gpus: int = 0
    """GPUs on each machine. Training starts a process for each."""
    processes: int | None = None
    """Processes of training on each machine, if not one for each GPU."""
    cpus: int | None = None
    """CPU cores of each process."""
    memory: int | None = None
    """Memory of each machine, in GB."""
    minutes: int = 24 * 60
    """Time of a job. One that needs more is queued again with --requeue."""
    partition: str | None = None
    """Partition of SLURM."""
    slurm: tuple[str, ...] = ()
    """More parameters of SLURM as NAME=VALUE, such as account=lab qos=low."""
    signal_seconds: int = 120
    """How long before its end a job gets the signal to save."""
    requeue: bool = False
    """Queue a job again that ran out of time, and go on, until the command is finished."""
    name: str = "densevos"
    """Name of the jobs."""
    logs: Path = Path("runs/jobs")
    """Folder for the output of jobs, on a disk that all machines share."""
    wait: bool = False
    """Wait until all jobs have ended."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A command line that runs in a job."""

    program: str
    """The package whose commands it is one of: densevos or densevos_eval."""
    words: tuple[str, ...]
    """What follows the program."""
    goes_on_with: tuple[str, ...] = ()
    """Options with which a command goes on where it was stopped, such as --resume auto."""
    ranks: bool = False
    """Whether all processes of the job are one run, each with a rank. Otherwise the first one works
    alone.
    """

    def resumed(self) -> "Work":
        """The command that goes on with what this one began."""
        kept = tuple(word for word in self.words if word != "--overwrite")
        given = any(
            word.partition("=")[0] == option for word in kept for option in self.goes_on_with[:1]
        )

        return replace(self, words=kept if given else (*kept, *self.goes_on_with))

    def first(self) -> "Work":
        """The command to submit: a machine that fails makes SLURM start it again as it stands."""
        return self if "--overwrite" in self.words else self.resumed()

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", self.program, *self.words]

    def __str__(self) -> str:
        return shlex.join((self.program.replace("_", "-"), *self.words))


class CommandJob:
    """What submitit calls in every process of a job.

    Args:
        work: The command that runs there.
    """

    def __init__(self, work: Work):
        self.work = work
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the command and wait for it; RunError when it fails."""
        from submitit import JobEnvironment

        place = JobEnvironment()
        variables = rank_variables(place) if self.work.ranks else {}
        # The signal that queues the job again may reach the command, too, and would end it before
        # it has saved.
        ignored = place._usr_sig()
        self._process = subprocess.Popen(
            self.work.command(),
            env={**os.environ, **variables},
            preexec_fn=lambda: signal.signal(ignored, signal.SIG_IGN),
        )
        _until_ended(self._process)
        status = self._process.wait()

        if status in STOPPED:
            # By the first process, which is about to be queued again, or by SLURM, which sends
            # SIGTERM to all that runs in a job. The job then gets the signal to go on, or is ended.
            time.sleep(REQUEUE_SECONDS if place.global_rank == 0 else 0)

        if status != 0 and not (status in STOPPED and place.global_rank > 0):
            raise RunError(f"{self.work}: ended with status {status}; see the job's log")

    def checkpoint(self) -> "DelayedSubmission":
        """Called by submitit on the signal: let the command save, and return what goes on."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.terminate()
            _until_ended(self._process)

        return DelayedSubmission(CommandJob(self.work.resumed()))


def _until_ended(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process without a lock: a signal's handler waits for the one that it interrupted
    the wait for.
    """
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def rank_variables(place: Any) -> dict[str, str]:
    """What torchrun would set for this process of a job; `place` is submitit's JobEnvironment."""
    number = int(re.sub(r"\D", "", place.raw_job_id) or 0)
    return {
        "WORLD_SIZE": str(place.num_tasks),
        "RANK": str(place.global_rank),
        "LOCAL_RANK": str(place.local_rank),
        "LOCAL_WORLD_SIZE": str(place.num_tasks // place.num_nodes),
        "MASTER_ADDR": "127.0.0.1" if place.num_nodes == 1 else place.hostnames[0],
        "MASTER_PORT": str(20_000 + number % 10_000),  # two jobs may share a machine
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def launch(work: Sequence[Work], options: ClusterOptions) -> None:
    """Submit jobs, as one array if there are several, and print their ids and logs.

    Args:
        work: A command for each job.
        options: Where they run.

    Raises:
        InputError: submitit is missing, or refuses an option.
        RunError: A job failed that was waited for.
    """
    if options.cluster == "debug":
        for one in work:
            if status := subprocess.run(one.command(), check=False).returncode:
                raise RunError(f"{one}: ended with status {status}; see above")
        return

    executor = _executor(options, processes=_processes(options) if work[0].ranks else 1)
    jobs: list[Job[None]] = []
    with executor.batch():
        jobs.extend(executor.submit(CommandJob(one.first())) for one in work)

    for job, one in zip(jobs, work, strict=True):
        print(f"job {job.job_id}: {one.first()}")
        print(f"    output: {job.paths.stdout}, {job.paths.stderr.name}", flush=True)

    if options.wait:
        _wait(jobs)


def _processes(options: ClusterOptions) -> int:
    return options.processes or max(options.gpus, 1)


def _executor(options: ClusterOptions, processes: int) -> "Executor":
    """submitit's executor with these options; InputError for what it refuses."""
    try:
        from submitit import AutoExecutor
    except ImportError:
        raise InputError("densevos launch needs submitit; pip install 'densevos[slurm]'") from None

    extra = dict(entry.partition("=")[::2] for entry in options.slurm)
    if not all(extra.values()):
        raise InputError(f"--slurm {' '.join(options.slurm)}: each must be NAME=VALUE")

    try:
        executor = AutoExecutor(
            folder=options.logs / "%j",
            cluster=options.cluster,
            slurm_max_num_timeout=MANY * options.requeue,
        )
        executor.update_parameters(
            name=options.name,
            nodes=options.nodes,
            tasks_per_node=processes,
            gpus_per_node=options.gpus,
            cpus_per_task=options.cpus,
            mem_gb=options.memory,
            timeout_min=options.minutes,
            slurm_partition=options.partition,
            slurm_signal_delay_s=options.signal_seconds,
            slurm_srun_args=["--kill-on-bad-exit=1"],
            slurm_additional_parameters={"requeue": True, **extra},
        )
    except (ValueError, NameError, AssertionError, RuntimeError) as error:
        raise InputError(
            f"submitit refuses these options: {' '.join(str(error).split())}"
        ) from error

    return executor


def _wait(jobs: "Sequence[Job[None]]") -> None:
    """Wait for jobs; RunError that names those that failed."""
    failed = []
    for job in jobs:
        job.wait()
        if job.exception() is not None:
            failed.append(job)

    if failed:
        names = ", ".join(job.job_id for job in failed)
        raise RunError(
            f"{len(failed)} of {len(jobs)} jobs failed: {names}; see {failed[0].paths.stderr}"
        )
