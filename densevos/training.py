"""From a configuration to an encoder or segmentation model on disk, whatever the method."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from densevos.base.errors import InputError
from densevos.base.files import name_bytes
from densevos.base.progress import print_header
from densevos.config import LoopConfig, RunConfig, to_dict
from densevos.engine import checkpoint, distributed, provenance
from densevos.engine.checkpoint import State
from densevos.engine.loop import batch_of_one, fit
from densevos.engine.optimisation import choose_device, choose_precision
from densevos.engine.precision import tune
from densevos.engine.profile import StepTimer, Untimed
from densevos.methods.method import Method, Round, TrainingJob
from densevos.methods.registry import method_of, read_config
from densevos.resuming import as_it_began, named_checkpoint, prepare_folder, run_folder

ENCODERS = "encoders"
"""Folder of the encoders, or models, that --loop.encoder-every keeps."""


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves behind."""

    encoder: Path
    """The encoder's file, or the segmentation model's."""
    steps: int
    seconds: float
    skipped: tuple[str, ...]
    """Videos that could not be used, one line each."""


@dataclass
class Totals:
    """What all rounds of a run did so far."""

    steps: int = 0
    seconds: float = 0.0
    skipped: set[str] = field(default_factory=set)
    rounds: dict[str, int] = field(default_factory=dict)
    """Steps of each round, by its folder."""

    def add(self, folder: str, state: State) -> None:
        """Count one round, by its last state."""
        self.rounds[folder] = state["step"]
        self.steps += state["step"]
        self.seconds += state["seconds"]
        self.skipped.update(state["skipped"])


def train(
    config: RunConfig,
    out: Path,
    *,
    resume: str = "never",
    overwrite: bool = False,
    profile: bool = False,
) -> TrainResult:
    """Train as `config` says into the run folder `out`.

    Args:
        config: The configuration; its METHOD says by which method.
        out: The run folder.
        resume: never, auto (go on from the latest checkpoint in `out`, start from scratch when
            there is none) or the path of a checkpoint.
        overwrite: Empty `out` first when it holds files.
        profile: Print at the end, or when the run is stopped, what a step waited for.

    Raises:
        InputError: The data, the configuration or the output folder cannot be used.
        RunError: A loss is not finite.
        Stopped: SIGTERM came; the state is saved.
    """
    config.check()
    if name_bytes(str(out)) != str(out).encode("utf-8", "replace"):
        raise InputError(
            f"{out}: name is no UTF-8, and TensorBoard writes below no other; choose another --out"
        )

    method = method_of(config)
    job = method.prepare(config)
    device = choose_device(config.loop, distributed.local_rank())
    commit = provenance.commit()  # of the source that runs, which may change before the run ends

    precision = choose_precision(config.loop, device)
    arithmetic = tune(device, precision)
    distributed.start(device, config.loop.rank_timeout)

    try:
        # What lies on disk is looked at once: two machines may see it differently.
        resume_from = distributed.on_first(
            lambda: prepare_folder(config, job, out, resume, overwrite)
        )

        if distributed.rank() == 0:
            how = f"{device}, {precision}, {config.loop.workers} reading processes"
            print_header(
                f"training on {job.data.videos} videos of {job.data.source} into {out}; {how}"
            )
            _say_what_a_step_takes(config.loop, job)
            provenance.record(
                out,
                resume_from,
                data={
                    "source": job.data.source,
                    "videos": job.data.videos,
                    "sha256": job.data.sha256,
                },
                device=str(device),
                precision=str(precision),
                arithmetic=arithmetic,
                processes=distributed.world_size(),
            )

        totals = _train_rounds(job, method, config, device, out, resume, profile=profile)
        file = out / method.file
        if distributed.rank() == 0:
            method.save(file, job.learner, summary(config, totals, job.data.videos, commit))
    finally:
        distributed.stop()

    return TrainResult(file, totals.steps, totals.seconds, tuple(sorted(totals.skipped)))


def summary(
    config: RunConfig, totals: Totals, videos: int, commit: str | None
) -> dict[str, object]:
    """How an encoder or model was trained, for its card."""
    by_round = {"steps_by_round": totals.rounds} if len(totals.rounds) > 1 else {}
    return {
        "steps": totals.steps,
        **by_round,
        "checkpoint": "the last step",
        "seconds": round(totals.seconds, 1),
        "videos": videos,
        "videos_skipped": len(totals.skipped),
        "git_commit": commit,
        "config": to_dict(config),
    }


def export(path: Path, out: Path) -> Path:
    """Write the encoder or model in a run's checkpoint to `out` (.safetensors) with its card.

    Args:
        path: The checkpoint, or a run folder, of which the newest checkpoint is taken.
        out: The file to write.

    Returns:
        The checkpoint that was taken.

    Raises:
        InputError: There is no checkpoint, or it cannot be read.
    """
    path = named_checkpoint(path)
    config = read_config(run_folder(path) / "config.json")
    method = method_of(config)

    state = checkpoint.load(path)
    learner = method.restore(config, state)
    training = {
        "steps": state["step"],
        "checkpoint": path.name,
        "seconds": round(state["seconds"], 1),
        "config": to_dict(config),
    }
    method.save(out, learner, training)

    return path


def _train_rounds(
    job: TrainingJob,
    method: Method,
    config: RunConfig,
    device: torch.device,
    out: Path,
    resume: str,
    *,
    profile: bool,
) -> Totals:
    """Train all rounds of `job` one after the other.

    With `resume` a round that left its product is finished, and the round in between goes on from
    its latest checkpoint.
    """
    totals = Totals()
    for round_ in job.rounds:
        round_.begin()
        if round_.before is not None:
            round_.before(out, device)
            distributed.barrier()

        with _printed_profile(device, wanted=profile) as timer:
            totals.add(
                round_.folder, _train_round(job, round_, method, config, device, out, resume, timer)
            )

        if round_.after is not None:
            round_.after(out, device)
            distributed.barrier()

    return totals


@contextmanager
def _printed_profile(device: torch.device, *, wanted: bool) -> Iterator[StepTimer | Untimed]:
    """A timer whose table is printed at the end, whatever ends the block."""
    timer = StepTimer(device) if wanted else Untimed()
    try:
        yield timer
    finally:
        if distributed.rank() == 0:
            for line in timer.lines():
                print(line, file=sys.stderr)


def _train_round(
    job: TrainingJob,
    round_: Round,
    method: Method,
    config: RunConfig,
    device: torch.device,
    out: Path,
    resume: str,
    timer: StepTimer | Untimed,
) -> State:
    """The last state of a round: trained from the start, gone on with, or found finished."""
    folder = out / round_.folder
    resume_from = distributed.on_first(lambda: _checkpoint_of(round_, out, resume))
    product = round_.product
    if product is not None and resume_from is not None and (folder / product.name).exists():
        return _finished_round(job, folder, resume_from, device)

    def keep(epoch: int) -> None:
        file = folder / ENCODERS / f"epoch-{epoch:04d}{Path(method.file).suffix}"
        file.parent.mkdir(exist_ok=True)
        method.save(file, job.learner, {"epoch": epoch, "config": to_dict(config)})

    run = fit(
        job.learner,
        as_it_began(round_.data(out), job.data, out),
        round_.optimisers or job.optimisers,
        dataclasses.replace(config.loop, epochs=round_.epochs or config.loop.epochs),
        device,
        folder,
        resume_from,
        shown=method.shown,
        best=method.best,
        on_epoch=keep,
        timer=timer,
    )

    if product is not None:
        distributed.broadcast_buffers(job.learner)
        if distributed.rank() == 0:
            product.write(
                folder / product.name, {"steps": run.step, "seconds": round(run.seconds, 1)}
            )

    return run.state()


def _checkpoint_of(round_: Round, out: Path, resume: str) -> Path | None:
    """The checkpoint that a round starts from, or None to start from scratch."""
    folder = out / round_.folder
    if resume in ("never", "auto"):
        return checkpoint.find(resume, folder / "checkpoints")

    # The named checkpoint is of one round; the other rounds go on from their own latest one. A run
    # without rounds may also start from a checkpoint of another run.
    named = Path(resume)
    if round_.folder == "" or named.parent.parent.resolve() == folder.resolve():
        return named

    return checkpoint.latest(folder / "checkpoints")


def _finished_round(
    job: TrainingJob, folder: Path, resume_from: Path, device: torch.device
) -> State:
    """The last state of a finished round, loaded into the learner.

    Raises:
        InputError: `resume_from` is not of the round's last step, from which everything after it
            followed.
    """
    state = checkpoint.load(resume_from)
    last = checkpoint.latest(folder / "checkpoints")
    if last is not None and checkpoint.load(last)["step"] != state["step"]:
        raise InputError(
            f"{resume_from}: is of a round that is finished, and all that followed came of its last step;"
            " pass --resume auto, or choose another --out"
        )

    job.learner.load_state_dict(state["learner"])
    job.learner.to(device)
    return state


def _say_what_a_step_takes(loop: LoopConfig, job: TrainingJob) -> None:
    """Tell what several processes make of a recipe that was made for one."""
    ranks, videos = distributed.world_size(), job.data.videos
    step = batch_of_one(loop, ranks) * ranks * loop.accumulate
    if ranks > 1:
        hint = (
            ""
            if loop.global_batch
            else f"; --loop.global-batch {loop.batch} keeps the recipe's batch and rate"
        )
        print(
            f"note: a step takes {step} clips, {step // ranks} in each of {ranks} processes{hint}",
            file=sys.stderr,
        )

    if step < videos and videos % step > 0.1 * videos:
        print(
            f"note: {videos % step} of the {videos} videos, others each time, are left out of an epoch, as they are"
            f" fewer than the {step} of a step",
            file=sys.stderr,
        )
