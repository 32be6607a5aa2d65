"""Bootstrap rounds of MuG: train, relabel the training videos with what was learned, train on (Sec. 3.2, Eq. 15)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from densevos.base.errors import InputError, Stopped
from densevos.base.masks import VOID, write_mask
from densevos.base.progress import progress_bar
from densevos.config import MugConfig
from densevos.data.extraction import video_names
from densevos.data.foreground.crf import refine
from densevos.data.sources.readers import open_frames
from densevos.data.video_samples import VideoSamples, check_length, read_map, says_nothing
from densevos.engine import checkpoint, distributed
from densevos.engine.checkpoint import State
from densevos.engine.loop import fit, sigterm
from densevos.inference.segmenter import Segmenter
from densevos.learners.mug import Mug
from densevos.models.mug import MugNetwork, save_model

MODEL = "model.safetensors"


@dataclass
class Rounds:
    """What all rounds did so far."""

    step: int = 0
    seconds: float = 0.0
    skipped: set[str] = field(default_factory=set)

    def add(self, state: State) -> None:
        """Count one round's last state."""
        self.step += state["step"]
        self.seconds += state["seconds"]
        self.skipped.update(state["skipped"])


def train_rounds(
    learner: Mug, config: MugConfig, videos: Sequence[Path], device: torch.device, out: Path, resume: str
) -> Rounds:
    """Train `learner` for all rounds; each leaves OUT/roundN with checkpoints, logs, model.safetensors and its maps.

    With `resume` a round that left its model is done, maps that are there are kept, and the round in between goes on
    from its latest checkpoint.
    """
    folders = video_names(videos)
    fresh = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    done, predicted = Rounds(), None
    for number in range(1, config.rounds + 1):
        folder = out / f"round{number}"
        if config.reinit:
            learner.load_state_dict(fresh)
        seed = config.loop.seed + number - 1
        samples = VideoSamples(videos, folders, config.clips, seed, config.foreground, predicted)
        done.add(_train_round(learner, config, samples, device, folder, resume))
        if number < config.rounds:
            predicted = folder / "maps"
            relabel(learner.network, config, videos, folders, predicted, device)
            distributed.wait()
    return done


def _train_round(
    learner: Mug, config: MugConfig, samples: VideoSamples, device: torch.device, folder: Path, resume: str
) -> State:
    """The last state of a round: trained, gone on with, or found done."""
    resume_from = checkpoint.find(resume, folder / "checkpoints") if resume in ("never", "auto") else Path(resume)
    if resume_from is not None and resume_from.parent.parent.resolve() != folder.resolve():
        resume_from = checkpoint.latest(folder / "checkpoints")  # of another round
    if resume_from is not None and (folder / MODEL).exists():
        state = checkpoint.load(resume_from)
        last = checkpoint.latest(folder / "checkpoints")
        if last is not None and checkpoint.load(last)["step"] != state["step"]:
            raise InputError(
                f"{resume_from}: is of a round that is finished, and all that followed came of its last step;"
                " pass --resume auto, or choose another --out"
            )
        learner.load_state_dict(state["learner"])
        learner.to(device)
        return state
    run = fit(learner, samples, {"": config.optimiser}, config.loop, device, folder, resume_from)
    distributed.share_buffers(learner)
    if distributed.rank() == 0:
        training = {"steps": run.step, "seconds": round(run.seconds, 1)}
        save_model(
            folder / MODEL, learner.network, size=config.clips.size, segments=config.clips.segments, training=training
        )
    return run.state()


def relabel(
    network: MugNetwork,
    config: MugConfig,
    videos: Sequence[Path],
    folders: Sequence[str],
    out: Path,
    device: torch.device,
) -> None:
    """Write the network's binary maps of all frames to OUT/VIDEO/FRAME.png; those that are there are kept.

    Each process does its share of the videos. Videos that cannot be trained on are passed over.
    """
    segmenter = Segmenter(network, config.clips.size, config.clips.segments, device)
    share = list(zip(videos, folders, strict=True))[distributed.rank() :: distributed.ranks()]
    with sigterm() as stop_asked, progress_bar() as bar:
        bar.disable = distributed.rank() != 0
        task = bar.add_task("relabelling", total=len(share), status="")
        for video, folder in bar.track(share, task_id=task):
            try:
                reader = open_frames(video)
                check_length(reader, config.clips)
                if all((out / folder / f"{name}.png").is_file() for name in reader.names):
                    continue
                (out / folder).mkdir(parents=True, exist_ok=True)
                for index, probability in enumerate(segmenter(reader)):
                    frame = reader.read([index])[0] if config.relabel_crf else None
                    name = f"{folder}/{reader.names[index]}.png"
                    write_mask(out / name, _relabelled(probability, frame, config.foreground / name, config))
                    if stop_asked:
                        raise Stopped(f"{out}: stopped while relabelling; go on with --resume auto")
            except InputError:
                continue


def _relabelled(probability: np.ndarray, frame: np.ndarray | None, initial: Path, config: MugConfig) -> np.ndarray:
    """The binary map [H,W] uint8 of a frame, refined by the CRF where the frame is given."""
    if frame is not None:
        probability = refine(probability, frame)
    threshold = area_threshold(probability, read_map(initial)) if config.relabel_area else 0.5
    return (probability >= threshold).astype(np.uint8)


def area_threshold(probability: np.ndarray, initial: np.ndarray) -> float:
    """Where to cut a probability [H,W] for as large a foreground as the known part of an initial map (0, 1, 255) has.

    0.5 where that map says nothing.
    """
    known = initial != VOID
    if says_nothing(initial):
        return 0.5
    return float(np.quantile(probability, 1 - np.mean(initial[known] == 1)))


def check_maps(videos: Sequence[Path], config: MugConfig) -> None:
    """Raise InputError when no video can be used, frames of usable ones have no map, or no map says anything.

    Of each video the first map is looked at, and the others only while none has said anything. Says so once when sizes
    differ.
    """
    files: list[list[Path]] = []
    sizes, saying, unusable = set(), False, []
    for video, folder in zip(videos, video_names(videos), strict=True):
        try:
            reader = open_frames(video)
            check_length(reader, config.clips)
            frame = reader.read([0])[0]
        except InputError as error:
            unusable.append(str(error))  # Training passes over it and says so.
            continue
        files.append([config.foreground / folder / f"{name}.png" for name in reader.names])
        if files[-1][0].is_file():
            first = read_map(files[-1][0])
            sizes.add((first.shape, frame.shape[:2]))
            saying = saying or not says_nothing(first)
    if not files:
        raise InputError(f"{config.data}: none of the {len(videos)} videos can be used; the first: {unusable[0]}")
    if missing := [file for of_video in files for file in of_video if not file.is_file()]:
        listed = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"--foreground {config.foreground}: {len(missing)} frames have no map: {listed}; make them with densevos"
            f" data foreground {config.data} --out {config.foreground} and the --method of the others"
        )
    if not saying and all(says_nothing(read_map(file)) for of_video in files for file in of_video):
        raise InputError(
            f"--foreground {config.foreground}: every map says nothing, being all foreground or without any;"
            " foreground is 1, background 0, and 255 unknown"
        )
    for of_map, of_frame in sorted(sizes):
        if of_map != of_frame:
            warnings.warn(
                f"{config.foreground}: maps are {of_map[1]}x{of_map[0]}, frames {of_frame[1]}x{of_frame[0]}; resized",
                stacklevel=2,
            )
            return
