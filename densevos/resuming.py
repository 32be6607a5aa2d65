"""The run folder of a training that begins or goes on: what may differ from when it began, and what
must not.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import new_folder
from densevos.config import LoopConfig, RunConfig, flag, to_dict
from densevos.data.clips import Remaining, VideoDataset
from densevos.engine import checkpoint, distributed, provenance
from densevos.methods.method import Data, TrainingJob
from densevos.methods.registry import method_of, read_config, write_config

WITHOUT_EFFECT = {
    *("workers", "reader_timeout", "rank_timeout", "max_broken"),
    *("log_every", "checkpoint_every", "checkpoint_minutes", "keep_last", "encoder_every"),
    *("panels_every", "wandb"),
}
"""Options of the loop that do not change the weights, so that resuming may change them."""
TOGETHER = {"batch", "global_batch"}
"""Options of the loop that, with the number of processes, say how many clips a step takes."""


def prepare_folder(
    config: RunConfig, job: TrainingJob, out: Path, resume: str, overwrite: bool
) -> Path | None:
    """Make the run folder, or check that it belongs to this configuration; returns the checkpoint
    to resume from.
    """
    if resume not in ("never", "auto") and len(job.rounds) > 1:
        _check_own(Path(resume), job, out)

    # The last round that has a checkpoint is the one that goes on.
    resume_from = None
    for round_ in reversed(job.rounds):
        resume_from = resume_from or checkpoint.find(resume, out / round_.folder / "checkpoints")

    if resume_from is not None:
        _check_step(run_folder(resume_from), config.loop)

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


def _check_own(named: Path, job: TrainingJob, out: Path) -> None:
    """Raise InputError if a checkpoint is of no round of the run in `out`: no round would go on
    from it.
    """
    folders = [(out / round_.folder).resolve() for round_ in job.rounds]
    if named.exists() and named.resolve().parent.parent not in folders:
        raise InputError(
            f"--resume {named}: is a checkpoint of another run, and this one trains in rounds; choose one below {out},"
            " or pass --resume auto"
        )


def _check_videos(out: Path, data: Data) -> None:
    """Say how the videos differ from those that a run began with; InputError when there are
    others.
    """
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
        warnings.warn(
            f"{data.source}: some videos are not what they were when {out} began", stacklevel=2
        )


def as_it_began(videos: VideoDataset, data: Data, out: Path) -> VideoDataset:
    """The data set with all videos that the run in `out` began with: draws of a step go by their
    number.
    """
    if provenance.data_hash(out) in (None, data.sha256):
        return videos

    before = provenance.recorded_videos(out)
    titles = [videos.title(index) for index in range(len(videos))]
    if before is None or before == titles or not set(titles) < set(before):
        return videos

    place = {title: index for index, title in enumerate(titles)}
    return Remaining(videos, before, [place.get(title) for title in before])


def run_folder(path: Path) -> Path:
    """The folder of the run that a checkpoint is of."""
    folder = path.resolve().parent.parent
    # A round's checkpoints lie one folder deeper than those of a run without rounds.
    in_round = not (folder / "config.json").exists() and (folder.parent / "config.json").exists()
    return folder.parent if in_round else folder


def _rounds_of(run: Path) -> Sequence[str]:
    """The folders of the rounds of a run, in order; none if `run` is a folder below it."""
    file = run / "config.json"
    if not file.exists():
        return ()

    config = read_config(file)
    return method_of(config).folders(config)


def named_checkpoint(path: Path) -> Path:
    """The checkpoint that `path` names: itself, or of a run folder the newest one that can be read.

    Raises:
        InputError: There is none.
    """
    if path.is_dir():
        # Each of several rounds has checkpoints of its own; those of the last round are the newest.
        rounds = [path / name for name in reversed(_rounds_of(path))]
        for folder in (path / "checkpoints", path, *(folder / "checkpoints" for folder in rounds)):
            found = checkpoint.latest_whole(folder)
            if found is not None:
                return found

        raise InputError(
            f"{path}: holds no checkpoint; give a run folder that densevos train wrote"
        )

    if not path.exists():
        raise InputError(
            f"{path}: no such checkpoint; give a run folder, RUN/checkpoints/step-N.pt or best.pt"
        )

    if not (run_folder(path) / "config.json").exists():
        raise InputError(
            f"{path}: lies in no run folder; give the folder of a run, or RUN/checkpoints/step-N.pt"
        )

    return path


def _check_step(run: Path, loop: LoopConfig) -> None:
    """Raise InputError if the steps of a run took another number of clips: its order and schedule
    are made of steps.
    """
    if not (run / "config.json").exists():
        return

    earlier, processes = read_config(run / "config.json").loop, provenance.processes(run)
    before = earlier.global_batch or earlier.batch * processes
    now = loop.global_batch or loop.batch * distributed.world_size()

    if before != now:
        raise InputError(
            f"{run}/provenance.json: a step of this run takes {before} clips in {processes} processes, but now it"
            f" would take {now} in {distributed.world_size()}; pass --loop.global-batch {before}, or choose another --out"
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
