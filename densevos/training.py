"""Train by any method: from a configuration to an encoder or segmentation model on disk."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from densevos.base.console import print_notes
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
from densevos.resuming import named_checkpoint, prepare_folder, run_folder, with_original_videos

# A run is one round or several, each of which has a folder, checkpoints and epochs of its own.
# All ranks run the functions below; only rank 0 writes what the run as a whole leaves.
ENCODERS = "encoders"
"""Folder of the encoders, or models, that --loop.encoder-every keeps."""


@dataclass(frozen=True)
class TrainResult:
    """The result of a finished run."""

    encoder: Path
    """File of the encoder, or of the segmentation model."""
    steps: int
    """Number of steps of all rounds together."""
    seconds: float
    """Training time of all rounds together."""
    skipped: tuple[str, ...]
    """Videos that could not be used: one line per video, with the reason."""


@dataclass
class Totals:
    """Sums over the finished rounds of a run."""

    steps: int = 0
    seconds: float = 0.0
    skipped: set[str] = field(default_factory=set)
    rounds: dict[str, int] = field(default_factory=dict)
    """Folder of a round -> its number of steps."""

    def add(self, folder: str, state: State) -> None:
        """Add a round.

        Args:
            folder: The round's folder.
            state: Its last state.
        """
        # The state counts from the beginning of the round, also in a resumed run.
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
    """Train, and write everything of the run to a folder.

    Args:
        config: The configuration; its METHOD selects the method.
        out: The run folder.
        resume: never, auto (continue from the latest checkpoint in `out`, or start from scratch if
            there is none) or the path of a checkpoint.
        overwrite: Empty `out` first if it holds files.
        profile: Print what a step waits for, at the end or when the run is stopped.

    Returns:
        The file of the encoder or model, and counts of the run.

    Raises:
        InputError: The data, the configuration or the output folder cannot be used.
        RunError: A loss is not finite, another rank is lost, or videos cannot be read ahead.
        Stopped: SIGTERM came; the state is saved.

    >>> from dataclasses import replace
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from PIL import Image
    >>> from densevos import recipes, train
    >>> folder, generator = Path(mkdtemp()), np.random.default_rng(0)
    >>> for name in ("a", "b"):
    ...     (folder / "videos" / name).mkdir(parents=True)
    ...     for t in range(8):
    ...         frame = generator.integers(256, size=(64, 64, 3), dtype=np.uint8)
    ...         Image.fromarray(frame).save(folder / "videos" / name / f"{t:05d}.png")
    >>> config = recipes.demo(folder / "videos")
    >>> clips = replace(config.clips, gap=1, size=64, short_side=(64, 80))
    >>> loop = replace(config.loop, batch=2, epochs=1, workers=0, device="cpu")
    >>> result = train(replace(config, clips=clips, loop=loop), folder / "run")
    >>> result.encoder.name, result.steps
    ('encoder.safetensors', 1)
    """
    # Mistakes in the options are reported before any data are read.
    config.check()

    # Characters that UTF-8 cannot encode would be replaced.
    if name_bytes(str(out)) != str(out).encode("utf-8", "replace"):
        raise InputError(
            f"{out}: name is not UTF-8, so TensorBoard cannot write there; choose another --out"
        )

    # Every rank opens the data before it meets the others, so that none waits for one whose data
    # are unusable.
    method = method_of(config)
    job = method.prepare(config)
    device = choose_device(config.loop, distributed.local_rank())
    # The source may change before the run ends, so its commit is read now.
    commit = provenance.commit()

    # The choices that affect speed and rounding go into the provenance of the run.
    precision = choose_precision(config.loop, device)
    arithmetic = tune(device, precision)
    distributed.start(device, config.loop.rank_timeout)

    try:
        # Only rank 0 looks at the disk, because two machines may see it differently.
        resume_from = distributed.on_first(
            lambda: prepare_folder(config, job, out, resume, overwrite)
        )

        if distributed.rank() == 0:
            setup = f"{device}, {precision}, {config.loop.workers} reading processes"
            print_header(
                f"training on {job.data.videos} videos of {job.data.source} into {out}; {setup}"
            )
            _print_notes_about_the_batch(config.loop, job)
            # What the run was made with, beside config.json, which says what it was asked for.
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

        # All ranks have the same weights, so one of them writes the file.
        file = out / method.file
        if distributed.rank() == 0:
            method.save(file, job.learner, summary(config, totals, job.data.videos, commit))
    finally:
        # Also after an error, so that the process group is left in any case.
        distributed.stop()

    return TrainResult(file, totals.steps, totals.seconds, tuple(sorted(totals.skipped)))


def summary(
    config: RunConfig, totals: Totals, videos: int, commit: str | None
) -> dict[str, object]:
    """Describe how an encoder or model was trained, for its card.

    Args:
        config: The configuration of the run.
        totals: Sums over the rounds.
        videos: Number of videos in the data set.
        commit: Git commit of the source, see `provenance.commit`.

    Returns:
        JSON values by name.
    """
    facts: dict[str, object] = {"steps": totals.steps}
    # Most methods have one round, whose steps are the total.
    if len(totals.rounds) > 1:
        facts["steps_by_round"] = totals.rounds

    return {
        **facts,
        "checkpoint": "the last step",
        "seconds": round(totals.seconds, 1),
        "videos": videos,
        "videos_skipped": len(totals.skipped),
        "git_commit": commit,
        "config": to_dict(config),
    }


def export(path: Path, out: Path) -> Path:
    """Write the encoder or model of a checkpoint to a file, with its card.

    Args:
        path: The checkpoint, or a run folder for its newest checkpoint.
        out: The file to write, .safetensors.

    Returns:
        The checkpoint that was exported.

    Raises:
        InputError: There is no checkpoint, or it cannot be read.
    """
    path = named_checkpoint(path)
    # The configuration of the run decides how the state is read, not that of any recipe.
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
    """Train all rounds of a job, one after the other."""
    totals = Totals()
    for round_ in job.rounds:
        # A round may start from fresh weights.
        round_.begin()

        # Ranks may share the work before and after a round, such as labelling videos, so each waits
        # for all others.
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
    """A timer whose table is printed at the end of the block, even after an error."""
    # Without --profile the timer does nothing, so the loop is the same with and without it.
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
    """Train a round from the start, continue it, or find it finished; returns its last state."""
    folder = out / round_.folder
    # Rank 0 decides for all, since machines may see the disk differently.
    resume_from = distributed.on_first(lambda: _checkpoint_of(round_, out, resume))

    # The product is written last, so a round that has one is finished.
    product = round_.product
    if product is not None and resume_from is not None and (folder / product.name).exists():
        return _finished_round(job, folder, resume_from, device)

    # An encoder of every so many epochs is kept, apart from the checkpoints.
    def export_encoder(epoch: int) -> None:
        file = folder / ENCODERS / f"epoch-{epoch:04d}{Path(method.file).suffix}"
        file.parent.mkdir(exist_ok=True)
        method.save(file, job.learner, {"epoch": epoch, "config": to_dict(config)})

    # A round may replace the optimisers and epochs of the run.
    run = fit(
        job.learner,
        with_original_videos(round_.data(out), job.data, out),
        round_.optimisers or job.optimisers,
        dataclasses.replace(config.loop, epochs=round_.epochs or config.loop.epochs),
        device,
        folder,
        resume_from,
        shown=method.shown,
        best=method.best,
        on_epoch=export_encoder,
        timer=timer,
    )

    # Later rounds use the learner on every rank, so every rank must have the same buffers.
    if product is not None:
        distributed.broadcast_buffers(job.learner)
        if distributed.rank() == 0:
            facts = {"steps": run.step, "seconds": round(run.seconds, 1)}
            product.write(folder / product.name, facts)

    return run.state()


def _checkpoint_of(round_: Round, out: Path, resume: str) -> Path | None:
    """The checkpoint that a round starts from, or None to start from scratch."""
    folder = out / round_.folder
    if resume in ("never", "auto"):
        return checkpoint.find(resume, folder / "checkpoints")

    # The named checkpoint is of one round; the other rounds continue from their own latest one. A
    # run without rounds may also start from a checkpoint of another run.
    named = Path(resume)
    if round_.folder == "" or named.parent.parent.resolve() == folder.resolve():
        return named

    return checkpoint.latest(folder / "checkpoints")


def _finished_round(
    job: TrainingJob, folder: Path, resume_from: Path, device: torch.device
) -> State:
    """Load a finished round into the learner; returns its last state.

    Raises:
        InputError: `resume_from` is not of the round's last step.
    """
    # Later rounds were trained from the last step. Starting from another one would make the run
    # inconsistent.
    state = checkpoint.load(resume_from)
    last = checkpoint.latest(folder / "checkpoints")
    if last is not None and checkpoint.load(last)["step"] != state["step"]:
        raise InputError(
            f"{resume_from}: is of a round that is finished, "
            "and later rounds were trained from its last step; "
            "pass --resume auto, or choose another --out"
        )

    # The state lies in memory of the CPU after loading, so weights go to the device last.
    job.learner.load_state_dict(state["learner"])
    job.learner.to(device)
    return state


def _print_notes_about_the_batch(loop: LoopConfig, job: TrainingJob) -> None:
    """Print the clips of a step, if several processes change them, and the videos left over."""
    ranks, videos = distributed.world_size(), job.data.videos
    step = batch_of_one(loop, ranks) * ranks * loop.accumulate  # clips
    notes = []

    # Learning rates of recipes are chosen for the batch of one process.
    if ranks > 1:
        note = f"a step takes {step} clips, {step // ranks} in each of {ranks} processes"
        if not loop.global_batch:
            note += f"; --loop.global-batch {loop.batch} keeps the recipe's batch and rate"

        notes.append(note)

    # Up to a tenth is not worth a note: every epoch leaves out others.
    left_over = videos % step
    if step < videos and left_over > 0.1 * videos:
        notes.append(
            f"an epoch leaves out {left_over} of the {videos} videos, others each time, "
            f"because a step takes {step}"
        )

    print_notes(notes)
