"""MuG: multi-granularity learning in bootstrap rounds (Sec. 3.2, Eq. 15).

Each round trains, then relabels the training videos with what was learned, and the next one trains
on those labels.
"""

import copy
import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.masks import VOID, write_mask
from densevos.base.parallel import OnStep, each, in_processes, named
from densevos.base.progress import progress_bar
from densevos.config import MugConfig
from densevos.data.foreground.crf import refine
from densevos.data.sources.open import open_source
from densevos.data.sources.source import VideoSource
from densevos.methods.method import Method, Product, Round, Training, TrainingJob, data_of

if TYPE_CHECKING:
    import torch

    from densevos.data.video_samples import VideoSamples
    from densevos.engine.checkpoint import State
    from densevos.learners.mug import Mug
    from densevos.models.mug import MugNetwork

AREA_FRAMES = 32
"""Frames of a video from which the threshold of --relabel-area is found."""
MODEL = "model.safetensors"
"""What a round leaves besides checkpoints: its whole network, which segments without a first
mask.
"""
SHOWN_FILES = 5
"""So many frames without a map are named in a message."""
MANY = 200
"""Videos; to look at fewer takes less time than to start processes."""


def prepare(config: MugConfig) -> TrainingJob:
    """The learner with fresh weights, the videos and their maps; InputError when they cannot be
    used.
    """
    source = open_source(config.data)
    check_maps(source, config)
    learner = make_learner(config)

    return TrainingJob(
        learner=learner,
        optimisers={"": config.optimiser},
        data=data_of(config.data, source, inputs=_other_inputs(config)),
        rounds=_rounds(learner, config, source),
    )


def make_learner(config: MugConfig) -> "Mug":
    """The learner with freshly initialised weights, the same for the same seed."""
    import torch

    from densevos.learners.mug import Mug

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return Mug(config.encoder, config.objective, config.weights)


def restore(config: MugConfig, state: "State") -> "Mug":
    """The learner of a checkpoint."""
    learner = make_learner(config)
    learner.load_state_dict(state["learner"])
    return learner


def save(path: Path, learner: "Mug", training: Training) -> None:
    """Write the encoder with its card."""
    from densevos.models.encoder import save_encoder

    save_encoder(path, learner.encoder, training)


def folders(config: MugConfig) -> tuple[str, ...]:
    """The folders of the rounds: round1, round2, ..."""
    return tuple(f"round{number}" for number in range(1, config.rounds + 1))


METHOD = Method(
    name=MugConfig.METHOD,
    config=MugConfig,
    folders=folders,
    shown=("loss", "frame", "readout", "short", "long", "video"),
    prepare=prepare,
    restore=restore,
    save=save,
)


def _other_inputs(config: MugConfig) -> tuple[Path, ...]:
    """What is read besides the videos: the maps, and a file of initial weights."""
    weights = Path(config.weights or "")
    return (config.foreground, weights) if weights.suffix else (config.foreground,)


def _rounds(learner: "Mug", config: MugConfig, source: VideoSource) -> tuple[Round, ...]:
    """All rounds; each leaves OUT/roundN with checkpoints, logs, model.safetensors and, but for the
    last, maps.
    """
    fresh = copy.deepcopy(learner.state_dict()) if config.reinit else None

    def begin() -> None:
        if fresh is not None:
            learner.load_state_dict(fresh)

    def samples(out: Path, number: int) -> "VideoSamples":
        from densevos.data.video_samples import VideoSamples

        seed = config.loop.seed + number - 1
        predicted = out / f"round{number - 1}" / "maps" if number > 1 else None
        return VideoSamples(source, config.clips, seed, config.foreground, predicted)

    def write_model(path: Path, training: Training) -> None:
        from densevos.models.mug import save_model

        clips = config.clips
        save_model(
            path, learner.network, size=clips.size, segments=clips.segments, training=training
        )

    def label_anew(out: Path, device: "torch.device", number: int) -> None:
        relabel(learner.network, config, source, out / f"round{number}" / "maps", device)

    return tuple(
        Round(
            data=functools.partial(samples, number=number),
            folder=folder,
            begin=begin,
            product=Product(name=MODEL, write=write_model),
            after=functools.partial(label_anew, number=number) if number < config.rounds else None,
        )
        for number, folder in enumerate(folders(config), start=1)
    )


def relabel(
    network: "MugNetwork", config: MugConfig, source: VideoSource, out: Path, device: "torch.device"
) -> None:
    """Write the network's binary maps of all frames to OUT/VIDEO/FRAME.png; videos that have them
    all are left alone.

    They are packed to OUT/VIDEO.zip where the video's initial maps are, see `MapFolder`. Each
    process does its share of the videos. Videos that cannot be trained on are left out.

    Raises:
        Stopped: SIGTERM came; the map at hand was finished.
    """
    from densevos.data.foreground.map_files import MapFolder
    from densevos.data.video_samples import check_length
    from densevos.engine import distributed
    from densevos.engine.loop import sigterm
    from densevos.inference.segmenter import Segmenter, middle_frames

    clips, flip, scales = config.clips, config.relabel_flip, config.relabel_scales
    segmenter = Segmenter(network, clips.size, clips.segments, device, flip=flip, scales=scales)
    initial, maps, folders = MapFolder(config.foreground), MapFolder(out), source.names

    def write_maps(index: int, on_step: OnStep) -> None:
        reader = source.open(index)
        check_length(reader, config.clips)
        video = folders[index]
        if maps.frames(video).issuperset(reader.names):
            return

        packed = initial.archive(video).is_file()
        folder = maps.to_be_packed(video) if packed else maps.loose(video)
        folder.mkdir(parents=True, exist_ok=True)
        threshold = 0.5

        if config.relabel_area:
            sample = middle_frames(len(reader), AREA_FRAMES)
            before = initial.read(video, [reader.names[i] for i in sample])
            threshold = area_threshold(list(segmenter(reader, sample)), before)

        for frame_index, probability in enumerate(segmenter(reader)):
            frame = reader.read([frame_index])[0] if config.relabel_crf else None
            file = folder / f"{reader.names[frame_index]}.png"
            write_mask(file, binary_map(probability, threshold, frame))
            if stop_asked:
                raise Stopped(f"{out}: stopped while relabelling; go on with --resume auto")

        if packed:
            maps.pack(video)

    # Videos are labelled in this process, because the network is on its device.
    share = range(len(source))[distributed.rank() :: distributed.world_size()]

    with sigterm() as stop_asked, progress_bar("videos") as bar:
        bar.disable = distributed.rank() != 0
        task = bar.add_task("relabelling", total=len(share), status="")
        for _, outcome in each(write_maps, share):
            if isinstance(
                outcome, RunError
            ):  # It is not the video's; training reports unusable videos itself.
                raise outcome

            bar.advance(task)


def binary_map(probability: np.ndarray, threshold: float, frame: np.ndarray | None) -> np.ndarray:
    """Foreground [H,W] uint8 where a probability reaches the threshold; refined by the CRF where
    the frame is given.
    """
    if frame is not None:
        # The labels of the CRF change places at 0.5.
        neutral = np.interp(probability, (0, threshold, 1), (0, 0.5, 1)).astype(np.float32)
        probability, threshold = refine(neutral, frame), 0.5

    return (probability >= threshold).astype(np.uint8)


def area_threshold(probabilities: Sequence[np.ndarray], initial: Sequence[np.ndarray]) -> float:
    """Where to cut a video's probabilities [H,W] for a foreground at least as large as that of its
    initial maps.

    One threshold for all frames: initial maps of one video err in area, too much here and too
    little there. It is 0.5 where that is enough already.

    Args:
        probabilities: Probabilities of some frames.
        initial: Initial maps (0, 1, 255) of the same frames; those that say nothing are left out,
            and 255 in others.
    """
    from densevos.data.video_samples import is_uninformative

    informative = [
        (p, ids) for p, ids in zip(probabilities, initial, strict=True) if not is_uninformative(ids)
    ]
    if not informative:
        return 0.5

    area = np.mean([np.mean(ids[ids != VOID] == 1) for _, ids in informative])
    values = np.concatenate([p.ravel() for p, _ in informative])
    return min(0.5, float(np.quantile(values, 1 - area)))


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What one video and its maps are like, from their first frame on."""

    without: int
    """Frames that have no map."""
    examples: tuple[str, ...]
    """Some of the maps that are missing."""
    sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """Of the first map and of its frame, [H,W] each; None without that map."""
    saying: bool = False
    """Whether the first map says anything."""
    wrong: str | None = None
    """What is wrong with the maps themselves."""


def _look(
    item: tuple[int, str], on_step: OnStep, *, source: VideoSource, config: MugConfig
) -> _Look:
    """Look at the first frame of a video and its map; InputError for a video that cannot be
    used.
    """
    from densevos.data.foreground.map_files import MapFolder
    from densevos.data.video_samples import check_length, is_uninformative

    index, folder = item
    reader, maps = source.open(index), MapFolder(config.foreground)
    check_length(reader, config.clips)
    frame, first = reader.read([0])[0], reader.names[0]

    try:
        present = maps.frames(folder)
        opened = maps.read(folder, [first]) if first in present else []
    except InputError as error:
        return _Look(without=0, examples=(), wrong=str(error))

    without = [name for name in reader.names if name not in present]
    return _Look(
        without=len(without),
        examples=tuple(str(maps.loose(folder) / f"{name}.png") for name in without[:SHOWN_FILES]),
        sizes=(opened[0].shape, frame.shape[:2]) if opened else None,
        saying=not all(map(is_uninformative, opened)),
    )


def check_maps(source: VideoSource, config: MugConfig) -> None:
    """Raise InputError when no video can be used, frames of usable ones have no map, or no map says
    anything.

    Of each video the first map is looked at, and the others only while none has said anything. Says
    so once when sizes differ. Many videos are looked at by several processes, each for at most
    --loop.reader-timeout seconds.
    """
    from densevos.data.foreground.map_files import MapFolder
    from densevos.data.video_samples import is_uninformative

    maps, names = MapFolder(config.foreground), source.names
    usable, unusable = {}, []
    look = functools.partial(_look, source=source, config=config)
    items = enumerate(names)
    many = len(source) > MANY
    outcomes = (
        in_processes(look, items, timeout=config.loop.reader_timeout) if many else each(look, items)
    )

    for (index, folder), outcome in outcomes:
        if not isinstance(outcome, _Look):
            unusable.append(
                named(source.title(index), outcome)
            )  # Training passes over it and says so.
        elif outcome.wrong is not None:
            raise InputError(outcome.wrong)
        else:
            usable[folder] = outcome

    missing = sum(look.without for look in usable.values())
    examples = [example for look in usable.values() for example in look.examples][:SHOWN_FILES]
    sizes = {look.sizes for look in usable.values() if look.sizes is not None}
    saying = any(look.saying for look in usable.values())

    if not usable:
        raise InputError(
            f"{config.data}: none of the {len(source)} videos can be used; the first: {unusable[0]}"
        )

    if missing:
        listed = ", ".join(examples) + (", ..." if missing > len(examples) else "")
        raise InputError(
            f"--foreground {config.foreground}: {missing} frames have no map: {listed}; make them with densevos"
            f" data foreground {config.data} --out {config.foreground} and the --method of the others"
        )

    each_map = (
        maps.read(folder, [frame])[0] for folder in usable for frame in sorted(maps.frames(folder))
    )

    if not saying and all(map(is_uninformative, each_map)):
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
