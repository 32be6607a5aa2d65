"""From a configuration to an encoder or segmentation model on disk: joins data, learner and engine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from densevos.adaptation import adapt, make_adapter, open_domains, restored
from densevos.base.errors import InputError
from densevos.base.files import new_folder
from densevos.bootstrap import MODEL, check_maps, train_rounds
from densevos.config import AnyConfig, I2VConfig, MugConfig, TrainConfig, read_config, to_dict, write_config
from densevos.data.clips import ClipDataset
from densevos.data.foreground.crf import require
from densevos.data.segmentation.registry import parse_spec
from densevos.data.sources.catalogue import find_videos, fingerprint
from densevos.engine import checkpoint, distributed, provenance
from densevos.engine.loop import fit
from densevos.engine.optimisation import choose_device, choose_precision
from densevos.engine.run import Done
from densevos.learners.image_to_video import ImageToVideo
from densevos.learners.mug import Mug
from densevos.learners.self_training import SelfTraining
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos.models.segmentation.network import save_network

Learner = SelfTraining | Mug | ImageToVideo

WITHOUT_EFFECT = {"workers", "log_every", "checkpoint_every", "keep_last"}  # on the weights: may change on resuming


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves behind."""

    encoder: Path
    """The encoder's file, or the segmentation model's."""
    steps: int
    seconds: float
    skipped: tuple[str, ...]
    """Videos that could not be used, one line each."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A learner and what it learns from."""

    learner: Learner
    fit: Callable[[torch.device, Path, str, Path | None], Done]
    """Trains the learner on a device into a run folder; the last two are `--resume` and the checkpoint it means."""
    source: str
    """The data as the user named them."""
    inputs: tuple[Path, ...]
    """Where they lie."""
    videos: int
    """Videos and images."""
    sha256: str
    """Of the list of them."""


def train(config: AnyConfig, out: Path, *, resume: str = "never", overwrite: bool = False) -> TrainResult:
    """Train as `config` says into the run folder `out`.

    `resume` is never, auto (go on from the latest checkpoint in `out`, begin afresh when there is none) or a
    checkpoint's path. Raises InputError for unusable data, configuration or output folder.
    """
    config.check()
    job = make_job(config)
    device = choose_device(config.loop, distributed.local_rank())
    commit = provenance.commit()  # of the source that runs, which may change before the run ends
    distributed.start(device)
    try:
        resume_from = _prepare(config, job, out, resume, overwrite)
        if distributed.rank() == 0:
            provenance.record(
                out,
                resume_from,
                data={"source": job.source, "videos": job.videos, "sha256": job.sha256},
                device=str(device),
                precision=str(choose_precision(config.loop, device)),
            )
        run = job.fit(device, out, resume, resume_from)
        file = out / (MODEL if isinstance(config, I2VConfig) else "encoder.safetensors")
        if distributed.rank() == 0:
            save(file, job.learner, summary(config, run, job.videos, commit))
    finally:
        distributed.stop()
    return TrainResult(file, run.step, run.seconds, tuple(sorted(run.skipped)))


def make_job(config: AnyConfig) -> Job:
    """The learner at its beginning, with its data found; raises InputError for data that cannot be used."""
    return _adaptation(config) if isinstance(config, I2VConfig) else _learning(config)


def _adaptation(config: I2VConfig) -> Job:
    domains = open_domains(config)
    adapter = make_adapter(config, domains)
    names = (*config.labelled, *config.unlabelled)
    return Job(
        learner=adapter,
        fit=lambda device, out, _, resume_from: adapt(adapter, config, domains, device, out, resume_from),
        source=" ".join(names),
        inputs=tuple(parse_spec(name)[1] for name in names),
        videos=domains.shots,
        sha256=domains.fingerprint(),
    )


def _learning(config: TrainConfig | MugConfig) -> Job:
    videos = find_videos(config.data)
    if isinstance(config, MugConfig):
        if config.relabel_crf:
            require("--no-relabel-crf")  # now, not after a round of training
        check_maps(videos, config)
    learner = make_learner(config)

    def learn(device: torch.device, out: Path, resume: str, resume_from: Path | None) -> Done:
        if isinstance(config, MugConfig):
            assert isinstance(learner, Mug)
            return train_rounds(learner, config, videos, device, out, resume)
        clips = ClipDataset(videos, config.clips, config.loop.seed)
        return fit(learner, clips, {"": config.optimiser}, config.loop, device, out, resume_from)

    return Job(
        learner=learner,
        fit=learn,
        source=str(config.data),
        inputs=(config.data, *videos, *_other_inputs(config)),
        videos=len(videos),
        sha256=fingerprint(videos),
    )


def _other_inputs(config: TrainConfig | MugConfig) -> tuple[Path, ...]:
    if not isinstance(config, MugConfig):
        return ()
    weights = Path(config.weights or "")
    return (config.foreground, weights) if weights.suffix else (config.foreground,)


def make_learner(config: TrainConfig | MugConfig) -> SelfTraining | Mug:
    """The learner with freshly initialised weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        if isinstance(config, MugConfig):
            return Mug(config.encoder, config.objective, config.weights)
        return SelfTraining(DenseEncoder(config.encoder), config.objective, config.views)


def save(path: Path, learner: Learner, training: dict[str, object]) -> None:
    """Write what is kept of a learner, an encoder or a segmentation model, with its card."""
    if isinstance(learner, ImageToVideo):
        size, network = learner.config.clips.size, learner.config.network
        training = {**training, "began": learner.network.began}
        save_network(path, learner.network, config=network, classes=learner.classes, size=size, training=training)
    else:
        save_encoder(path, learner.encoder, training)


def summary(config: AnyConfig, run: Done, videos: int, commit: str | None) -> dict[str, object]:
    """How an encoder or model was trained, for its card."""
    return {
        "steps": run.step,
        "checkpoint": "the last step",
        "seconds": round(run.seconds, 1),
        "videos": videos,
        "videos_skipped": len(run.skipped),
        "git_commit": commit,
        "config": to_dict(config),
    }


def export(path: Path, out: Path) -> None:
    """Write the encoder or model in a run's checkpoint to `out` (.safetensors) with its card."""
    folder = path.resolve().parent.parent
    if folder.name.startswith("round") and not (folder / "config.json").exists():
        folder = folder.parent
    config = read_config(folder / "config.json")
    state = checkpoint.load(path)
    if isinstance(config, I2VConfig):
        learner: Learner = restored(config, state)
    else:
        learner = make_learner(config)
        learner.load_state_dict(state["learner"])
    training = {
        "steps": state["step"],
        "checkpoint": path.name,
        "seconds": round(state["seconds"], 1),
        "config": to_dict(config),
    }
    save(out, learner, training)


def _prepare(config: AnyConfig, job: Job, out: Path, resume: str, overwrite: bool) -> Path | None:
    """Make the run folder, or check that it belongs to this configuration; returns the checkpoint to resume from."""
    folders = [out / "checkpoints", *(out / f"round{n}" / "checkpoints" for n in range(1, _rounds(config) + 1))]
    resume_from = next(filter(None, (checkpoint.find(resume, folder) for folder in reversed(folders))), None)
    if resume == "never" or not (out / "config.json").exists():
        if distributed.rank() == 0:
            new_folder(out, overwrite=overwrite, inputs=job.inputs)
            write_config(out / "config.json", config)
    elif (changed := _changed(read_config(out / "config.json"), config)) is not None:
        raise InputError(
            f"{out}/config.json: differs from this command in {changed}; "
            f"resume with --config {out}/config.json or choose another --out"
        )
    elif provenance.data_hash(out) not in (None, job.sha256):
        raise InputError(
            f"{job.source}: holds other videos than when {out} began; bring back the old ones or choose another --out"
        )
    return resume_from


def _rounds(config: AnyConfig) -> int:
    return config.rounds if isinstance(config, MugConfig) else 0


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
