"""From a configuration to an encoder on disk: joins data, learner and engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from densevos.bootstrap import train_rounds
from densevos.config import AnyConfig, MugConfig, read_config, to_dict, write_config
from densevos.data.catalogue import find_videos, fingerprint
from densevos.data.clips import ClipDataset
from densevos.engine import checkpoint, distributed, provenance
from densevos.engine.loop import fit
from densevos.engine.optimisation import choose_device, choose_precision
from densevos.engine.run import Done
from densevos.errors import InputError
from densevos.files import new_folder
from densevos.learners.mug import Mug
from densevos.learners.self_training import SelfTraining
from densevos.models.encoder import DenseEncoder, save_encoder

WITHOUT_EFFECT = {"workers", "log_every", "checkpoint_every", "keep_last"}  # on the weights: may change on resuming


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves behind."""

    encoder: Path
    steps: int
    seconds: float
    skipped: tuple[str, ...]
    """Videos that could not be used, one line each."""


def train(config: AnyConfig, out: Path, *, resume: str = "never", overwrite: bool = False) -> TrainResult:
    """Train as `config` says into the run folder `out`.

    `resume` is never, auto (go on from the latest checkpoint in `out`, begin afresh when there is none) or a
    checkpoint's path. Raises InputError for unusable data, configuration or output folder.
    """
    config.check()
    videos = find_videos(config.data)
    device = choose_device(config.loop, distributed.local_rank())
    commit = provenance.commit()  # of the source that runs, which may change before the run ends
    distributed.start(device)
    try:
        resume_from = _prepare(config, videos, out, resume, overwrite)
        if distributed.rank() == 0:
            provenance.record(
                out,
                resume_from,
                data={"source": str(config.data), "videos": len(videos), "sha256": fingerprint(videos)},
                device=str(device),
                precision=str(choose_precision(config.loop, device)),
            )
        learner = make_learner(config)
        if isinstance(config, MugConfig):
            assert isinstance(learner, Mug)
            run: Done = train_rounds(learner, config, videos, device, out, resume)
        else:
            clips = ClipDataset(videos, config.clips, config.loop.seed)
            run = fit(learner, clips, config.optimiser, config.loop, device, out, resume_from)
        if distributed.rank() == 0:
            save_encoder(out / "encoder.safetensors", learner.encoder, summary(config, run, len(videos), commit))
    finally:
        distributed.stop()
    return TrainResult(out / "encoder.safetensors", run.step, run.seconds, tuple(sorted(run.skipped)))


def make_learner(config: AnyConfig) -> SelfTraining | Mug:
    """The learner with freshly initialised weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        if isinstance(config, MugConfig):
            return Mug(config.encoder, config.objective, config.weights)
        return SelfTraining(DenseEncoder(config.encoder), config.objective, config.views)


def summary(config: AnyConfig, run: Done, videos: int, commit: str | None) -> dict[str, object]:
    """How an encoder was trained, for its card."""
    return {
        "steps": run.step,
        "seconds": round(run.seconds, 1),
        "videos": videos,
        "videos_skipped": len(run.skipped),
        "git_commit": commit,
        "config": to_dict(config),
    }


def export(path: Path, out: Path) -> None:
    """Write the encoder in a run's checkpoint to `out` (.safetensors) with its card."""
    folder = path.resolve().parent.parent
    config = read_config(folder / "config.json")
    state = checkpoint.load(path)
    learner = make_learner(config)
    learner.load_state_dict(state["learner"])
    training = {"steps": state["step"], "seconds": round(state["seconds"], 1), "config": to_dict(config)}
    save_encoder(out, learner.encoder, training)


def _prepare(config: AnyConfig, videos: Sequence[Path], out: Path, resume: str, overwrite: bool) -> Path | None:
    """Make the run folder, or check that it belongs to this configuration; returns the checkpoint to resume from."""
    resume_from = checkpoint.find(resume, out / "checkpoints")
    if resume == "never" or not (out / "config.json").exists():
        if distributed.rank() == 0:
            new_folder(out, overwrite=overwrite, inputs=[config.data, *videos])
            write_config(out / "config.json", config)
    elif (changed := _changed(read_config(out / "config.json"), config)) is not None:
        raise InputError(
            f"{out}/config.json: differs from this command in {changed}; "
            f"resume with --config {out}/config.json or choose another --out"
        )
    elif provenance.data_hash(out) not in (None, fingerprint(videos)):
        raise InputError(
            f"{config.data}: holds other videos than when {out} began; bring back the old ones or choose another --out"
        )
    return resume_from


def _changed(before: AnyConfig, now: AnyConfig) -> str | None:
    if before.METHOD != now.METHOD:
        return f"the method ({before.METHOD} there, {now.METHOD} here)"
    for name, value in to_dict(before).items():
        other = to_dict(now)[name]
        if isinstance(value, dict):
            for key, part in value.items():
                if part != other[key] and key not in WITHOUT_EFFECT:
                    return f"--{name}.{key} ({part} there, {other[key]} here)"
        elif value != other:
            return f"--{name} ({value} there, {other} here)"
    return None
