"""Run commands as jobs of a cluster, through submitit.

The cluster is SLURM, or processes of this machine that outlive the terminal. A job that runs out of
time or is preempted gets a signal. It sends SIGTERM to its command, which saves its state and ends.
The job is then queued again and continues. Training runs one process per GPU; the processes find
each other through the environment variables of torchrun.
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

# submitit is optional, so it is imported only where a job is made.
if TYPE_CHECKING:
    from submitit import Executor, Job
    from submitit.helpers import DelayedSubmission

MANY = 1000
"""How often a job may run out of time and be queued again."""

REQUEUE_SECONDS = 600
"""How long a job waits for the signal that queues it again, after its command was stopped."""

STOPPED = (143, -signal.SIGTERM)
"""Exit statuses after SIGTERM: of a command that saved its state, and of one that was too early."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Run a command as a job of a cluster. The command and its options follow after --.

    An example: densevos launch --gpus 8 --requeue -- train dul_ytvos --data ytvos --out runs/ytvos
    """

    cluster: Literal["slurm", "local", "debug"] | None = None
    """Where jobs run: slurm, local (background processes of this machine) or debug (one process in
    the foreground). By default slurm if the command srun exists, else local."""
    nodes: int = 1
    """Number of machines per job."""
    gpus: int = 0
    """Number of GPUs per machine. Training starts one process per GPU."""
    processes: int | None = None
    """Number of training processes per machine, if it is not one per GPU."""
    cpus: int | None = None
    """Number of CPU cores per process."""
    memory: int | None = None
    """Memory per machine, in GB."""
    minutes: int = 24 * 60
    """Time limit of a job, in minutes. With --requeue a job that needs longer is queued again."""
    partition: str | None = None
    """SLURM partition that jobs are submitted to."""
    slurm: tuple[str, ...] = ()
    """More parameters of SLURM as NAME=VALUE, such as account=lab qos=low."""
    signal_seconds: int = 120
    """Seconds before the time limit at which a job gets the signal to save."""
    requeue: bool = False
    """Queue a job again when it ran out of time, and continue until the command is finished."""
    name: str = "densevos"
    """Name of the jobs."""
    logs: Path = Path("runs/jobs")
    """Folder for the output of jobs, on a disk that all machines share."""
    wait: bool = False
    """Wait until all jobs have ended."""


@dataclass(frozen=True, kw_only=True)
class JobCommand:
    """A command line that runs in a job."""

    program: str
    """The package of the command: densevos or densevos_eval."""
    words: tuple[str, ...]
    """The command and its options, without the program."""
    resume_options: tuple[str, ...] = ()
    """Options that make the command continue where it was stopped, such as --resume auto."""
    ranks: bool = False
    """Whether all processes of the job form one run, each with a rank; else only the first works.
    """

    def resumed(self) -> "JobCommand":
        """The command that continues what this one started."""
        # A repeated --overwrite would delete what the job has done so far.
        kept = tuple(word for word in self.words if word != "--overwrite")
        if not self.resume_options:
            return replace(self, words=kept)

        # A user who gave the option, as --resume VALUE or --resume=VALUE, keeps that choice.
        names = {word.partition("=")[0] for word in kept}
        if self.resume_options[0] in names:
            return replace(self, words=kept)

        return replace(self, words=(*kept, *self.resume_options))

    def first(self) -> "JobCommand":
        """The command to submit."""
        # When a machine fails, SLURM starts the submitted command again. It therefore gets the
        # options to continue right away, unless it must empty its output folder first.
        return self if "--overwrite" in self.words else self.resumed()

    def command(self) -> list[str]:
        """The command line as a list of words."""
        return [sys.executable, "-m", self.program, *self.words]

    def __str__(self) -> str:
        return shlex.join((self.program.replace("_", "-"), *self.words))


class JobProcess:
    """Runs a command in one process of a job; submitit calls it in every process.

    Args:
        command: The command that runs there.
    """

    def __init__(self, command: JobCommand):
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the command and wait for it.

        Raises:
            RunError: The command failed.
        """
        from submitit import JobEnvironment

        place = JobEnvironment()
        variables = rank_variables(place) if self.command.ranks else {}

        # The signal that queues the job again may reach the command, too, and would end it before
        # it has saved its state.
        ignored = place._usr_sig()
        self._process = subprocess.Popen(
            self.command.command(),
            env={**os.environ, **variables},
            preexec_fn=lambda: signal.signal(ignored, signal.SIG_IGN),
        )
        _wait_until_ended(self._process)
        status = self._process.wait()

        # SIGTERM came from `checkpoint` of the first process, or from SLURM, which sends it to all
        # processes of a job. The first process must stay alive until the signal that queues the
        # job again, or until SLURM ends it.
        if status in STOPPED and place.global_rank == 0:
            time.sleep(REQUEUE_SECONDS)

        if status != 0 and not (status in STOPPED and place.global_rank > 0):
            raise RunError(f"{self.command}: ended with status {status}; see the job's log")

    def checkpoint(self) -> "DelayedSubmission":
        """Let the command save its state; submitit calls this on the signal.

        Returns:
            The job to queue, which continues this one.
        """
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.terminate()
            _wait_until_ended(self._process)

        return DelayedSubmission(JobProcess(self.command.resumed()))


def _wait_until_ended(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process without taking a lock."""
    # `checkpoint` runs in a signal handler, perhaps while `__call__` waits for the same process.
    # `Popen.wait` would then wait forever for the lock that the interrupted call holds.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def rank_variables(place: Any) -> dict[str, str]:
    """Environment variables that torchrun would set for this process of a job.

    Args:
        place: submitit's JobEnvironment.

    Returns:
        Name -> value.
    """
    # Ids of array jobs are not plain numbers, such as 123_4.
    number = int(re.sub(r"\D", "", place.raw_job_id) or 0)
    return {
        "WORLD_SIZE": str(place.num_tasks),
        "RANK": str(place.global_rank),
        "LOCAL_RANK": str(place.local_rank),
        "LOCAL_WORLD_SIZE": str(place.num_tasks // place.num_nodes),
        # On one machine the ranks need no host name.
        "MASTER_ADDR": "127.0.0.1" if place.num_nodes == 1 else place.hostnames[0],
        "MASTER_PORT": str(20_000 + number % 10_000),  # two jobs may share a machine
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def launch(commands: Sequence[JobCommand], options: ClusterOptions) -> None:
    """Submit jobs, as one array if there are several, and print their ids and logs.

    Args:
        commands: One command per job.
        options: Where the jobs run.

    Raises:
        InputError: submitit is not installed, or it refuses an option.
        RunError: A job failed, and `options` say to wait for it.
    """
    # The debug cluster runs the commands here, one after the other, without submitit.
    if options.cluster == "debug":
        for command in commands:
            if status := subprocess.run(command.command(), check=False).returncode:
                raise RunError(f"{command}: ended with status {status}; see above")

        return

    # Only training uses more than one process per machine.
    processes = _processes(options) if commands[0].ranks else 1
    executor = _executor(options, processes=processes)

    # submitit submits everything of one batch as an array.
    jobs: list[Job[None]] = []
    with executor.batch():
        for command in commands:
            jobs.append(executor.submit(JobProcess(command.first())))

    for job, command in zip(jobs, commands, strict=True):
        print(f"job {job.job_id}: {command.first()}")
        print(f"    output: {job.paths.stdout}, {job.paths.stderr.name}", flush=True)

    if options.wait:
        _wait(jobs)


def _processes(options: ClusterOptions) -> int:
    """Training processes per machine."""
    return options.processes or max(options.gpus, 1)


def _executor(options: ClusterOptions, processes: int) -> "Executor":
    """submitit's executor with these options; InputError if it refuses one of them."""
    try:
        from submitit import AutoExecutor
    except ImportError:
        raise InputError("densevos launch needs submitit; pip install 'densevos[slurm]'") from None

    # Parameters of sbatch that submitit has no argument for.
    extra = {}
    for parameter in options.slurm:
        name, _, value = parameter.partition("=")
        extra[name] = value

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
            # Without this, the ranks that are left would wait for one that died.
            slurm_srun_args=["--kill-on-bad-exit=1"],
            slurm_additional_parameters={"requeue": True, **extra},
        )
    except (ValueError, NameError, AssertionError, RuntimeError) as error:
        raise InputError(
            f"submitit refuses these options: {' '.join(str(error).split())}"
        ) from error

    return executor


def _wait(jobs: "Sequence[Job[None]]") -> None:
    """Wait for jobs; RunError names those that failed."""
    # All jobs are waited for before any failure is reported.
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
