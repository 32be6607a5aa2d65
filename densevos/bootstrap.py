"""Bootstrap rounds of MuG: train, relabel the training videos with what was learned, train on (Sec. 3.2, Eq. 15)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from densevos.config import MugConfig
from densevos.crf import refine, require
from densevos.data.extraction import video_names
from densevos.data.readers import open_frames
from densevos.data.video_samples import IGNORED, VideoSamples, check_length, says_nothing
from densevos.engine import checkpoint, distributed
from densevos.engine.checkpoint import State
from densevos.engine.loop import fit
from densevos.errors import InputError
from densevos.learners.mug import Mug
from densevos.masks import read_mask, write_mask
from densevos.models.mug import MugNetwork, save_model
from densevos.models.segmenter import Segmenter

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
    if config.relabel_crf:
        require()  # now, not after a round of training
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
    for video, folder in list(zip(videos, folders, strict=True))[distributed.rank() :: distributed.ranks()]:
        try:
            reader = open_frames(video)
            check_length(reader, config.clips)
            if all((out / folder / f"{name}.png").is_file() for name in reader.names):
                continue
            (out / folder).mkdir(parents=True, exist_ok=True)
            for index, probability in enumerate(segmenter(reader)):
                if config.relabel_crf:
                    probability = refine(probability, reader.read([index])[0])
                name = f"{folder}/{reader.names[index]}.png"
                threshold = 0.5
                if config.relabel_area:
                    threshold = area_threshold(probability, read_mask(config.foreground / name))
                write_mask(out / name, (probability >= threshold).astype(np.uint8))
        except InputError:
            continue


def area_threshold(probability: np.ndarray, initial: np.ndarray) -> float:
    """Where to cut a probability [H,W] for as large a foreground as the known part of an initial map (0, 1, 255) has.

    0.5 where that map says nothing.
    """
    known = initial != IGNORED
    if says_nothing(initial):
        return 0.5
    return float(np.quantile(probability, 1 - np.mean(initial[known] == 1)))


def check_maps(videos: Sequence[Path], config: MugConfig) -> None:
    """Raise InputError when frames of usable videos have no foreground map, or when no map says anything.

    Of each video the first map is looked at. Says so once when sizes differ.
    """
    missing: list[Path] = []
    sizes, saying = set(), []
    for video, folder in zip(videos, video_names(videos), strict=True):
        try:
            reader = open_frames(video)
            check_length(reader, config.clips)
            frame = reader.read([0])[0]
        except InputError:
            continue  # Training passes over it and says so.
        files = [config.foreground / folder / f"{name}.png" for name in reader.names]
        missing += [file for file in files if not file.is_file()]
        if files[0].is_file():
            first = read_mask(files[0])
            sizes.add((first.shape, frame.shape[:2]))
            saying.append(not says_nothing(first))
    if missing:
        listed = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"--foreground {config.foreground}: {len(missing)} frames have no map: {listed}; make them with"
            f" densevos data foreground {config.data} --method saliency --out {config.foreground}"
        )
    if saying and not any(saying):
        raise InputError(
            f"--foreground {config.foreground}: the first map of each video says nothing, being all foreground or"
            " without any; foreground is 1, background 0, and 255 unknown"
        )
    for of_map, of_frame in sorted(sizes):
        if of_map != of_frame:
            warnings.warn(
                f"{config.foreground}: maps are {of_map[1]}x{of_map[0]}, frames {of_frame[1]}x{of_frame[0]}; resized",
                stacklevel=2,
            )
            return
