"""Prepare the run folder of a training run, and check what may change when a run is resumed."""

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
    "checkpoint_every",
    "checkpoint_minutes",
    "encoder_every",
    "keep_last",
    "log_every",
    "max_broken",
    "panels_every",
    "rank_timeout",
    "reader_timeout",
    "wandb",
    "workers",
}
"""Options of the loop that do not affect the weights, so a resumed run may change them."""
BATCH_OPTIONS = {"batch", "global_batch"}
"""Options of the loop that, with the number of processes, determine the clips of a step.

A resumed run may change them if a step still takes as many clips; see `_check_step`.
"""


def prepare_folder(
    config: RunConfig, job: TrainingJob, out: Path, resume: str, overwrite: bool
) -> Path | None:
    """Make the run folder of a new run, or check that it fits a resumed one.

    Args:
        config: The configuration of this command.
        job: The data and rounds that follow from it.
        out: The run folder.
        resume: never, auto or the path of a checkpoint.
        overwrite: Empty `out` first if it holds files.

    Returns:
        The checkpoint to resume from, or None to start from scratch.

    Raises:
        InputError: `out` holds files, or the run cannot be resumed with this configuration, these
            videos or this number of clips per step.
    """
    if resume not in ("never", "auto") and len(job.rounds) > 1:
        _check_own(Path(resume), job, out)

    # The run continues in the last round that has a checkpoint.
    # Rounds that are finished have checkpoints as well, so the search starts from the last one.
    resume_from = None
    for round_ in reversed(job.rounds):
        resume_from = resume_from or checkpoint.find(resume, out / round_.folder / "checkpoints")

    # Checked before the folder is touched: a wrong number of clips must not leave half a run.
    if resume_from is not None:
        _check_step(run_folder(resume_from), config.loop)

    # A new run, also one that starts from a checkpoint of another folder.
    if resume == "never" or not (out / "config.json").exists():
        # An earlier run may lie among the data, and is no part of them. Data in it must stay, too.
        kept = (*job.data.inputs, *job.data.sets)
        sets = () if (out / "config.json").exists() else job.data.sets
        new_folder(out, overwrite=overwrite, inputs=kept, sets=sets)
        if job.data.titles is not None:
            provenance.record_videos(out, job.data.titles())

        # config.json goes last: it marks a folder as that of a run.
        write_config(out / "config.json", config)
        return resume_from

    # The weights depend on all options but a few, so a resumed run must have the same.
    changed = _changed(read_config(out / "config.json"), config)
    if changed is not None:
        raise InputError(
            f"{out}/config.json: differs from this command in {changed}; "
            f"resume with --config {out}/config.json or choose another --out"
        )

    # Runs without a record of their data cannot be checked.
    if provenance.data_hash(out) not in (None, job.data.sha256):
        _check_videos(out, job.data)

    return resume_from


def _check_own(named: Path, job: TrainingJob, out: Path) -> None:
    """Raise InputError if a checkpoint belongs to no round of the run: it would not be used."""
    # RUN/ROUND/checkpoints/NAME.pt: two folders up is the folder of the round.
    folders = [(out / round_.folder).resolve() for round_ in job.rounds]
    if named.exists() and named.resolve().parent.parent not in folders:
        raise InputError(
            f"--resume {named}: is a checkpoint of another run, and this one trains in rounds; "
            f"choose one below {out}, or pass --resume auto"
        )


def _check_videos(out: Path, data: Data) -> None:
    """Warn of videos that are missing or changed; InputError if there are new ones."""
    before = provenance.recorded_videos(out)
    now = None if data.titles is None else set(data.titles())
    # New videos would change the numbers of the others, and with them all random draws.
    if before is None or now is None or not now <= set(before):
        raise InputError(
            f"{data.source}: holds other videos than when {out} started; "
            "bring back the old ones or choose another --out"
        )

    # Draws are made from the numbers of videos, which `with_original_videos` keeps.
    missing = sorted(set(before) - now)
    if missing:
        warnings.warn(
            f"{data.source}: {len(missing)} of the {len(before)} videos that {out} started with "
            f"are gone, such as {missing[0]}; training replaces them by others",
            stacklevel=2,
        )
    else:
        warnings.warn(
            f"{data.source}: some videos are not what they were when {out} started", stacklevel=2
        )


def with_original_videos(videos: VideoDataset, data: Data, out: Path) -> VideoDataset:
    """Add places for the videos that a run started with and that are missing now.

    The order of videos and all random draws follow from their numbers. With places for the missing
    ones, the numbers of all others stay the same.

    Args:
        videos: The data set as it is now.
        data: Describes the data set.
        out: The run folder, with a record of the original videos.

    Returns:
        The data set with as many videos as the run started with; `videos` itself if none is
        missing.
    """
    if provenance.data_hash(out) in (None, data.sha256):
        return videos

    # Only missing videos need places; `_check_videos` has refused new ones.
    before = provenance.recorded_videos(out)
    titles = [videos.title(index) for index in range(len(videos))]
    if before is None or before == titles or not set(titles) < set(before):
        return videos

    # Places without a video hold None; their clips are replaced by others.
    index_now = {title: index for index, title in enumerate(titles)}
    return Remaining(videos, before, [index_now.get(title) for title in before])


def run_folder(path: Path) -> Path:
    """The run folder that a checkpoint belongs to.

    Args:
        path: RUN/checkpoints/NAME.pt, or RUN/ROUND/checkpoints/NAME.pt if the run has rounds.

    Returns:
        RUN, resolved.
    """
    folder = path.resolve().parent.parent
    # With rounds the configuration lies one folder higher.
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
    """Find the checkpoint that a path means.

    Args:
        path: A checkpoint, a folder of checkpoints, or a run folder.

    Returns:
        `path` itself, or the newest checkpoint in the folder that can be read.

    Raises:
        InputError: There is none, or it belongs to no run.
    """
    if path.is_dir():
        # Every round has a folder of its own; the checkpoints of the last round are the newest.
        folders = [path / "checkpoints", path]
        for name in reversed(_rounds_of(path)):
            folders.append(path / name / "checkpoints")

        for folder in folders:
            newest = checkpoint.latest_readable(folder)
            if newest is not None:
                return newest

        raise InputError(
            f"{path}: holds no checkpoint; give a run folder that densevos train wrote"
        )

    if not path.exists():
        raise InputError(
            f"{path}: no such checkpoint; give a run folder, RUN/checkpoints/step-N.pt or best.pt"
        )

    if not (run_folder(path) / "config.json").exists():
        raise InputError(
            f"{path}: is not in a run folder; give a run folder or RUN/checkpoints/step-N.pt"
        )

    return path


def _check_step(run: Path, loop: LoopConfig) -> None:
    """Raise InputError if a step of the run took another number of clips."""
    # The order of clips and the schedule are counted in steps, so both would change.
    if not (run / "config.json").exists():
        return

    earlier, processes = read_config(run / "config.json").loop, provenance.processes(run)
    # The batch counts per process unless --loop.global-batch fixes that of all together.
    before = earlier.global_batch or earlier.batch * processes
    now = loop.global_batch or loop.batch * distributed.world_size()

    if before != now:
        raise InputError(
            f"{run}/provenance.json: a step of this run takes {before} clips in {processes} "
            f"processes, but now it would take {now} in {distributed.world_size()}; "
            f"pass --loop.global-batch {before}, or choose another --out"
        )


def _changed(before: RunConfig, now: RunConfig) -> str | None:
    """The first option that changed and that resuming must not change, or None."""
    if before.METHOD != now.METHOD:
        return f"the method ({before.METHOD} there, {now.METHOD} here)"

    may_change = WITHOUT_EFFECT | BATCH_OPTIONS
    # The message names the first difference, in the order of the configuration's fields.
    options_now = to_dict(now)
    for name, value in to_dict(before).items():
        value_now = options_now[name]
        if isinstance(value, dict):  # a group of options, such as those of the loop
            for key, part in value.items():
                if part != value_now[key] and key not in may_change:
                    return f"{flag(name, key)} ({part} there, {value_now[key]} here)"
        elif value != value_now:
            return f"--{name.replace('_', '-')} ({value} there, {value_now} here)"

    return None
