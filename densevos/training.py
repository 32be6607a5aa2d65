"""From a configuration to an encoder or segmentation model on disk, whatever the method."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from densevos.base.errors import InputError
from densevos.base.files import name_bytes, new_folder
from densevos.config import LoopConfig, RunConfig, flag, to_dict
from densevos.data.clips import Remaining, VideoDataset
from densevos.engine import checkpoint, distributed, provenance
from densevos.engine.checkpoint import State
from densevos.engine.loop import batch_of_one, fit
from densevos.engine.optimisation import choose_device, choose_precision
from densevos.engine.precision import tune
from densevos.engine.profile import StepTimer, Untimed
from densevos.methods.method import Data, Method, Round, TrainingJob
from densevos.methods.registry import method_of, read_config, write_config

WITHOUT_EFFECT = {
    *("workers", "reader_timeout", "rank_timeout", "max_broken"),
    *("log_every", "checkpoint_every", "checkpoint_minutes", "keep_last", "encoder_every"),
    *("panels_every", "wandb"),
}
"""Options of the loop that do not change the weights, so that resuming may change them."""
TOGETHER = {"batch", "global_batch"}
"""Options of the loop that, with the number of processes, say how many clips a step takes."""
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

    def add(self, state: State) -> None:
        """Count one round, by its last state."""
        self.steps += state["step"]
        self.seconds += state["seconds"]
        self.skipped.update(state["skipped"])


def train(
    config: RunConfig, out: Path, *, resume: str = "never", overwrite: bool = False, profile: bool = False
) -> TrainResult:
    """Train as `config` says into the run folder `out`.

    Args:
        config: The configuration; its METHOD says by which method.
        out: The run folder.
        resume: never, auto (go on from the latest checkpoint in `out`, start from scratch when there is none) or
            the path of a checkpoint.
        overwrite: Empty `out` first when it holds files.
        profile: Print at the end, or when the run is stopped, what a step waited for.

    Raises:
        InputError: The data, the configuration or the output folder cannot be used.
        RunError: A loss is not finite.
        Stopped: SIGTERM came; the state is saved.
    """
    config.check()
    if name_bytes(str(out)) != str(out).encode("utf-8", "replace"):
        raise InputError(f"{out}: name is no UTF-8, and TensorBoard writes below no other; choose another --out")
    method = method_of(config)
    job = method.prepare(config)
    device = choose_device(config.loop, distributed.local_rank())
    commit = provenance.commit()  # of the source that runs, which may change before the run ends

    precision = choose_precision(config.loop, device)
    arithmetic = tune(device, precision)
    distributed.start(device, config.loop.rank_timeout)
    try:
        # What lies on disk is looked at once: two machines may see it differently.
        resume_from = distributed.on_first(lambda: _prepare(config, job, out, resume, overwrite))
        if distributed.rank() == 0:
            _say_what_a_step_takes(config.loop, job)
            provenance.record(
                out,
                resume_from,
                data={"source": job.data.source, "videos": job.data.videos, "sha256": job.data.sha256},
                device=str(device),
                precision=str(precision),
                arithmetic=arithmetic,
                processes=distributed.ranks(),
            )
        totals = _train_rounds(job, method, config, device, out, resume, profile=profile)
        file = out / method.file
        if distributed.rank() == 0:
            method.save(file, job.learner, summary(config, totals, job.data.videos, commit))
    finally:
        distributed.stop()
    return TrainResult(file, totals.steps, totals.seconds, tuple(sorted(totals.skipped)))


def summary(config: RunConfig, totals: Totals, videos: int, commit: str | None) -> dict[str, object]:
    """How an encoder or model was trained, for its card."""
    return {
        "steps": totals.steps,
        "checkpoint": "the last step",
        "seconds": round(totals.seconds, 1),
        "videos": videos,
        "videos_skipped": len(totals.skipped),
        "git_commit": commit,
        "config": to_dict(config),
    }


def export(path: Path, out: Path) -> None:
    """Write the encoder or model in a run's checkpoint to `out` (.safetensors) with its card."""
    config = read_config(_run_folder(path) / "config.json")
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

    With `resume` a round that left its product is finished, and the round in between goes on from its latest
    checkpoint.
    """
    totals = Totals()
    for round_ in job.rounds:
        round_.begin()
        with _printed_profile(device, wanted=profile) as timer:
            totals.add(_train_round(job, round_, method, config, device, out, resume, timer))
        if round_.after is not None:
            round_.after(out, device)
            distributed.wait()
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
        _as_it_began(round_.data(out), job.data, out),
        job.optimisers,
        config.loop,
        device,
        folder,
        resume_from,
        shown=method.shown,
        best=method.best,
        on_epoch=keep,
        timer=timer,
    )
    if product is not None:
        distributed.share_buffers(job.learner)
        if distributed.rank() == 0:
            product.write(folder / product.name, {"steps": run.step, "seconds": round(run.seconds, 1)})
    return run.state()


def _checkpoint_of(round_: Round, out: Path, resume: str) -> Path | None:
    """The checkpoint that a round starts from, or None to start from scratch."""
    folder = out / round_.folder
    if resume in ("never", "auto"):
        return checkpoint.find(resume, folder / "checkpoints")

    # The named checkpoint is of one round; the other rounds go on from their own latest one. A run without
    # rounds may also start from a checkpoint of another run.
    named = Path(resume)
    if round_.folder == "" or named.parent.parent.resolve() == folder.resolve():
        return named
    return checkpoint.latest(folder / "checkpoints")


def _finished_round(job: TrainingJob, folder: Path, resume_from: Path, device: torch.device) -> State:
    """The last state of a finished round, loaded into the learner.

    Raises:
        InputError: `resume_from` is not of the round's last step, from which everything after it followed.
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


def _prepare(config: RunConfig, job: TrainingJob, out: Path, resume: str, overwrite: bool) -> Path | None:
    """Make the run folder, or check that it belongs to this configuration; returns the checkpoint to resume from."""
    # The last round that has a checkpoint is the one that goes on.
    resume_from = None
    for round_ in reversed(job.rounds):
        resume_from = resume_from or checkpoint.find(resume, out / round_.folder / "checkpoints")
    if resume_from is not None:
        _check_step(_run_folder(resume_from), config.loop)

    if resume == "never" or not (out / "config.json").exists():
        new_folder(out, overwrite=overwrite, inputs=job.data.inputs)
        if job.data.titles is not None:
            provenance.record_videos(out, job.data.titles())
        write_config(out / "config.json", config)
    elif (changed := _changed(read_config(out / "config.json"), config)) is not None:
        raise InputError(
            f"{out}/config.json: differs from this command in {changed}; "
            f"resume with --config {out}/config.json or choose another --out"
        )
    elif provenance.data_hash(out) not in (None, job.data.sha256):
        _check_videos(out, job.data)
    return resume_from


def _check_videos(out: Path, data: Data) -> None:
    """Say how the videos differ from those that a run began with; InputError when there are others."""
    before = provenance.recorded_videos(out)
    now = None if data.titles is None else set(data.titles())
    if before is None or now is None or not now <= set(before):
        raise InputError(
            f"{data.source}: holds other videos than when {out} began; bring back the old ones or choose another --out"
        )
    gone = sorted(set(before) - now)
    if gone:
        warnings.warn(
            f"{data.source}: {len(gone)} of the {len(before)} videos that {out} began with are gone, such as {gone[0]};"
            " others stand in for them",
            stacklevel=2,
        )
    else:
        warnings.warn(f"{data.source}: some videos are not what they were when {out} began", stacklevel=2)


def _as_it_began(videos: VideoDataset, data: Data, out: Path) -> VideoDataset:
    """The data set with all videos that the run in `out` began with: draws of a step go by their number."""
    if provenance.data_hash(out) in (None, data.sha256):
        return videos
    before = provenance.recorded_videos(out)
    titles = [videos.title(index) for index in range(len(videos))]
    if before is None or before == titles or not set(titles) < set(before):
        return videos
    place = {title: index for index, title in enumerate(titles)}
    return Remaining(videos, before, [place.get(title) for title in before])


def _say_what_a_step_takes(loop: LoopConfig, job: TrainingJob) -> None:
    """Tell what several processes make of a recipe that was made for one."""
    ranks, videos = distributed.ranks(), job.data.videos
    step = batch_of_one(loop, ranks) * ranks * loop.accumulate
    if ranks > 1:
        cure = "" if loop.global_batch else f"; --loop.global-batch {loop.batch} keeps the recipe's batch and rate"
        print(f"note: a step takes {step} clips, {step // ranks} in each of {ranks} processes{cure}", file=sys.stderr)
    if step < videos and videos % step > 0.1 * videos:
        print(
            f"note: {videos % step} of the {videos} videos, others each time, are left out of an epoch, as they are"
            f" fewer than the {step} of a step",
            file=sys.stderr,
        )


def _run_folder(path: Path) -> Path:
    """The folder of the run that a checkpoint is of."""
    folder = path.resolve().parent.parent
    # A round's checkpoints lie one folder deeper than those of a run without rounds.
    in_round = not (folder / "config.json").exists() and (folder.parent / "config.json").exists()
    return folder.parent if in_round else folder


def _check_step(run: Path, loop: LoopConfig) -> None:
    """Raise InputError if the steps of a run took another number of clips: its order and schedule are made of steps."""
    if not (run / "config.json").exists():
        return
    earlier, processes = read_config(run / "config.json").loop, provenance.processes(run)
    before = earlier.global_batch or earlier.batch * processes
    now = loop.global_batch or loop.batch * distributed.ranks()
    if before != now:
        raise InputError(
            f"{run}/provenance.json: a step of this run takes {before} clips in {processes} processes, but now it"
            f" would take {now} in {distributed.ranks()}; pass --loop.global-batch {before}, or choose another --out"
        )


def _changed(before: RunConfig, now: RunConfig) -> str | None:
    if before.METHOD != now.METHOD:
        return f"the method ({before.METHOD} there, {now.METHOD} here)"
    for name, value in to_dict(before).items():
        other = to_dict(now)[name]
        if isinstance(value, dict):
            for key, part in value.items():
                if part != other[key] and key not in WITHOUT_EFFECT | TOGETHER:
                    return f"{flag(name, key)} ({part} there, {other[key]} here)"
        elif value != other:
            return f"--{name.replace('_', '-')} ({value} there, {other} here)"
    return None
