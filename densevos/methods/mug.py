"""MuG: multi-granularity learning in bootstrap rounds (Sec. 3.2, Eq. 15).

Each round trains, and then labels the training videos with what it learned. The next round trains
on these labels.
"""

# Maps are [H,W] uint8: 0 background, 1 foreground, 255 unknown. Probabilities are [H,W] float32.

import copy
import dataclasses
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
"""Number of frames of a video from which the threshold of --relabel-area is computed."""
MODEL = "model.safetensors"
"""The complete network, which a round leaves besides checkpoints. It segments without a mask."""
SHOWN_FILES = 5
"""Number of missing maps that a message lists."""
MANY = 200
"""Number of videos above which several processes check them; for fewer, starting them is slower."""


def prepare(config: MugConfig) -> TrainingJob:
    """Make the learner with fresh weights, and open the videos and their maps.

    Raises:
        InputError: Videos, maps or weights cannot be used.
    """
    source = open_source(config.data)
    # Maps are checked before the learner is made, which can download weights.
    check_maps(source, config)
    learner = make_learner(config)

    return TrainingJob(
        learner=learner,
        optimisers={"": config.optimiser},
        data=data_of(config.data, source, inputs=_other_inputs(config)),
        rounds=_rounds(learner, config, source),
    )


def make_learner(config: MugConfig) -> "Mug":
    """Make the learner with its initial weights; the same seed gives the same weights."""
    import torch

    from densevos.learners.mug import Mug

    # The caller's random numbers must not change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return Mug(config.encoder, config.objective, config.weights)


def restore(config: MugConfig, state: "State") -> "Mug":
    """Make the learner of a checkpoint."""
    learner = make_learner(config)
    learner.load_state_dict(state["learner"])
    return learner


def save(path: Path, learner: "Mug", training: Training) -> None:
    """Write the encoder and its card."""
    from densevos.models.encoder import save_encoder

    save_encoder(path, learner.encoder, training)


def folders(config: MugConfig) -> tuple[str, ...]:
    """The folders of the rounds: round1, round2, and so on."""
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
    """Inputs besides the videos: the maps, and a file of initial weights."""
    weights = Path(config.weights or "")
    # A name without a suffix is one of torchvision's, and so no local input.
    if weights.suffix:
        return (config.foreground, weights)

    return (config.foreground,)


def _rounds(learner: "Mug", config: MugConfig, source: VideoSource) -> tuple[Round, ...]:
    """All rounds; each leaves checkpoints, logs, a model and (but the last) maps in OUT/roundN."""
    # With --reinit, every round starts from the initial weights of the run.
    fresh = copy.deepcopy(learner.state_dict()) if config.reinit else None

    def begin() -> None:
        if fresh is not None:
            learner.load_state_dict(fresh)

    def samples(out: Path, number: int) -> "VideoSamples":
        from densevos.data.video_samples import VideoSamples

        # Each round draws other clips. P of the first round is Q (Eq. 15).
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

    rounds = []
    for number, folder in enumerate(folders(config), start=1):
        # The last round labels nothing, because no round would train on its maps.
        is_last = number == config.rounds
        rounds.append(
            Round(
                data=functools.partial(samples, number=number),
                folder=folder,
                begin=begin,
                product=Product(name=MODEL, write=write_model),
                after=None if is_last else functools.partial(label_anew, number=number),
            )
        )

    return tuple(rounds)


def relabel(
    network: "MugNetwork", config: MugConfig, source: VideoSource, out: Path, device: "torch.device"
) -> None:
    """Write the network's binary maps of all frames to OUT/VIDEO/FRAME.png.

    Videos with all of their maps are left alone. Maps are packed to OUT/VIDEO.zip if the video's
    initial maps are packed, see `MapFolder`. Each process labels its share of the videos. Videos
    that training cannot use are left out.

    Args:
        network: The network after a round.
        config: The run's configuration.
        source: The training videos.
        out: Folder of the maps.
        device: Device of the network.

    Raises:
        Stopped: SIGTERM came; the current map was finished.
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
        # A video that is too short raises here, and is then left out as in training.
        check_length(reader, config.clips)
        video = folders[index]
        # Nothing is computed again for a video whose maps are complete.
        if maps.frames(video).issuperset(reader.names):
            return

        # A pack is written when the video is complete; until then its maps are loose files.
        packed = initial.archive(video).is_file()
        folder = maps.to_be_packed(video) if packed else maps.loose(video)
        folder.mkdir(parents=True, exist_ok=True)
        # Without --relabel-area a pixel is foreground if this is the likelier answer.
        threshold = 0.5

        # Some frames are enough to find the video's threshold.
        if config.relabel_area:
            sample = middle_frames(len(reader), AREA_FRAMES)
            before = initial.read(video, [reader.names[i] for i in sample])
            threshold = area_threshold(list(segmenter(reader, sample)), before)

        # Probabilities come one batch at a time, so a long video does not fill the memory.
        for frame_index, probability in enumerate(segmenter(reader)):
            # The CRF compares colours, so only it needs the frame itself.
            frame = reader.read([frame_index])[0] if config.relabel_crf else None
            file = folder / f"{reader.names[frame_index]}.png"
            write_mask(file, binary_map(probability, threshold, frame))
            # Finished maps are kept, so a resumed run goes on with the next one.
            if stop_asked:
                raise Stopped(f"{out}: stopped while relabelling; go on with --resume auto")

        if packed:
            maps.pack(video)

    # Videos are labelled in this process, because the network is on its device.
    # Every process takes each n-th video, so no video is labelled twice.
    share = range(len(source))[distributed.rank() :: distributed.world_size()]

    with sigterm() as stop_asked, progress_bar("videos") as bar:
        # One bar is enough for all processes.
        bar.disable = distributed.rank() != 0
        task = bar.add_task("relabelling", total=len(share), status="")
        for _, outcome in each(write_maps, share):
            # A RunError is no fault of the video. Training itself reports unusable videos.
            if isinstance(outcome, RunError):
                raise outcome

            bar.advance(task)


def binary_map(probability: np.ndarray, threshold: float, frame: np.ndarray | None) -> np.ndarray:
    """Foreground where a probability reaches the threshold.

    Args:
        probability: [H,W] float32 in [0,1].
        threshold: Between 0 and 1.
        frame: The frame [H,W,3], by which the CRF refines the map; None to leave the CRF out.

    Returns:
        [H,W] uint8, 0 or 1.
    """
    if frame is not None:
        # The CRF decides at 0.5, so the threshold is moved there first.
        neutral = np.interp(probability, (0, threshold, 1), (0, 0.5, 1)).astype(np.float32)
        probability, threshold = refine(neutral, frame), 0.5

    return (probability >= threshold).astype(np.uint8)


def area_threshold(probabilities: Sequence[np.ndarray], initial: Sequence[np.ndarray]) -> float:
    """The threshold at which a video's foreground is at least as large as in its initial maps.

    All frames share one threshold, because the area of a single initial map is often wrong in
    either direction.

    Args:
        probabilities: Probabilities [H,W] of some frames.
        initial: Initial maps [H,W] of the same frames. Uninformative maps do not count, and neither
            do unknown pixels.

    Returns:
        At most 0.5.
    """
    from densevos.data.video_samples import is_uninformative

    areas, values = [], []
    for probability, ids in zip(probabilities, initial, strict=True):
        # A map that is all foreground or none says nothing about the area.
        if not is_uninformative(ids):
            areas.append(np.mean(ids[ids != VOID] == 1))
            values.append(probability.ravel())

    # Nothing to go by: keep the usual threshold.
    if not areas:
        return 0.5

    # The quantile leaves this share of all pixels above it. More foreground than that is fine, so
    # the threshold may fall below 0.5 but never rise above it.
    area = np.mean(areas)
    return min(0.5, float(np.quantile(np.concatenate(values), 1 - area)))


@dataclass(frozen=True, kw_only=True)
class _MapCheck:
    """What is known of one video and its maps after a look at the first frame."""

    missing: int
    """Number of frames without a map."""
    examples: tuple[str, ...]
    """Some of the missing maps."""
    sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """(height, width) of the first map and of its frame; None without that map."""
    informative: bool = False
    """Whether the first map is informative."""
    fault: str | None = None
    """What is wrong with the maps themselves."""


def _check_video(
    item: tuple[int, str], on_step: OnStep, *, source: VideoSource, config: MugConfig
) -> _MapCheck:
    """Check the first frame of a video and its map; InputError for a video that cannot be used."""
    from densevos.data.foreground.map_files import MapFolder
    from densevos.data.video_samples import check_length, is_uninformative

    index, folder = item
    reader, maps = source.open(index), MapFolder(config.foreground)
    check_length(reader, config.clips)
    # Names of frames are known without decoding; only the first frame and its map are read.
    frame, first = reader.read([0])[0], reader.names[0]

    # A broken map ends the run, so it must not be mistaken for a video that cannot be used.
    try:
        present = maps.frames(folder)
        first_map = maps.read(folder, [first])[0] if first in present else None
    except InputError as error:
        return _MapCheck(missing=0, examples=(), fault=str(error))

    missing = [name for name in reader.names if name not in present]
    # Messages list a few files only, so no more paths are made than they show.
    files = [maps.loose(folder) / f"{name}.png" for name in missing[:SHOWN_FILES]]
    check = _MapCheck(missing=len(missing), examples=tuple(map(str, files)))
    if first_map is None:
        return check

    return dataclasses.replace(
        check,
        sizes=(first_map.shape, frame.shape[:2]),
        informative=not is_uninformative(first_map),
    )


def check_maps(source: VideoSource, config: MugConfig) -> None:
    """Check that videos can be used, that their frames have maps, and that a map is informative.

    Only the first map of each video is read, and the others only while none is informative. Many
    videos are checked by several processes, each for at most --loop.reader-timeout seconds. A
    warning reports once that maps and frames differ in size.

    Args:
        source: The training videos.
        config: The run's configuration; it names the folder of the maps.

    Raises:
        InputError: No video can be used, frames of usable videos have no map, or no map is
            informative.
    """
    check = functools.partial(_check_video, source=source, config=config)
    items = enumerate(source.names)
    # For few videos this process alone is faster, as starting others takes longer than the checks.
    if len(source) > MANY:
        outcomes = in_processes(check, items, timeout=config.loop.reader_timeout)
    else:
        outcomes = each(check, items)

    # Faults of a single video are collected, and those of its maps end the run at once.
    usable: dict[str, _MapCheck] = {}
    unusable = []
    for (index, folder), outcome in outcomes:
        if not isinstance(outcome, _MapCheck):
            # Training leaves this video out and reports it.
            unusable.append(named(source.title(index), outcome))
        elif outcome.fault is not None:
            raise InputError(outcome.fault)
        else:
            usable[folder] = outcome

    if not usable:
        raise InputError(
            f"{config.data}: none of the {len(source)} videos can be used; the first: {unusable[0]}"
        )

    _refuse_missing_maps(config, list(usable.values()))
    # First maps often suffice. Only if none is informative are all others read.
    first_maps_informative = any(video.informative for video in usable.values())
    if not first_maps_informative and not _any_informative(config, list(usable)):
        raise InputError(
            f"--foreground {config.foreground}: every map is uninformative, all foreground or"
            " without any; foreground is 1, background 0, and 255 unknown"
        )

    # One warning is enough: all maps of other sizes are resized in the same way.
    sizes = {video.sizes for video in usable.values() if video.sizes is not None}
    for of_map, of_frame in sorted(sizes):
        if of_map != of_frame:
            warnings.warn(
                f"{config.foreground}: maps are {of_map[1]}x{of_map[0]}, frames"
                f" {of_frame[1]}x{of_frame[0]}; training resizes the maps",
                stacklevel=2,
            )

            return


def _refuse_missing_maps(config: MugConfig, videos: Sequence[_MapCheck]) -> None:
    """Raise InputError if frames have no map."""
    missing = sum(video.missing for video in videos)
    if not missing:
        return

    # Examples of all videos in order, of which the message shows the first.
    examples: list[str] = []
    for video in videos:
        examples += video.examples

    listed = ", ".join(examples[:SHOWN_FILES])
    if missing > SHOWN_FILES:
        listed += ", ..."

    raise InputError(
        f"--foreground {config.foreground}: {missing} frames have no map: {listed}; make them with"
        f" densevos data foreground {config.data} --out {config.foreground} and the --method of the"
        " others"
    )


def _any_informative(config: MugConfig, folders: Sequence[str]) -> bool:
    """Whether any map of these videos is informative; reading stops at the first."""
    from densevos.data.foreground.map_files import MapFolder
    from densevos.data.video_samples import is_uninformative

    maps = MapFolder(config.foreground)
    for folder in folders:
        for frame in sorted(maps.frames(folder)):
            if not is_uninformative(maps.read(folder, [frame])[0]):
                return True

    return False
