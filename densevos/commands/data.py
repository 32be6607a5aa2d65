"""densevos data COMMAND: make, list, index, decode and label videos."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from densevos.base import console
from densevos.base.errors import RunError
from densevos.base.files import atomic_write
from densevos.base.parallel import stopped_by_sigterm
from densevos.commands.catalogue import GO_ON, check, index, layouts, list_videos, merge, stats
from densevos.commands.help import Overview
from densevos.commands.parsing import run_command
from densevos.config import SetOptions
from densevos.data.synthetic.classes import SyntheticClassesConfig, SyntheticCounts
from densevos.data.synthetic.degradation import DegradationConfig
from densevos.data.synthetic.sequences import SyntheticConfig


# Commands of this program: tyro turns the parameters of each function into options, and its
# docstring into the help page. Modules that do the work are imported inside the functions, so that
# help pages and other commands need not load them.
def synth(
    out: Path,
    train: int = 60,
    val: int = 8,
    seed: int = 0,
    photographs: Path | None = None,
    config: Annotated[SyntheticConfig, tyro.conf.arg(name="")] = SyntheticConfig(),  # noqa: B008 - frozen
    overwrite: bool = False,
) -> None:
    """Write synthetic sequences with exact masks in DAVIS layout.

    Args:
        out: Folder to write.
        train: Number of training sequences.
        val: Number of held-out sequences.
        seed: Seed of all sequences.
        photographs: Folder of your own photographs, from which backgrounds and objects are cut;
            every fifth is kept for the validation sequences. Without it, the photographs of the
            scikit-image wheel are used.
        config: Size, length and difficulty.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.synthetic.sequences import write_davis

    write_davis(
        out,
        train=train,
        val=val,
        seed=seed,
        config=config,
        photographs=photographs,
        overwrite=overwrite,
    )
    print(f"{out}: {train} training and {val} validation sequences of {config.frames} frames")


# A frozen dataclass as default: its fields become options without a prefix (name="").
def synth_classes(
    out: Path,
    seed: int = 0,
    counts: Annotated[SyntheticCounts, tyro.conf.arg(name="")] = SyntheticCounts(),  # noqa: B008 - frozen
    config: Annotated[SyntheticClassesConfig, tyro.conf.arg(name="")] = SyntheticClassesConfig(),  # noqa: B008 - frozen
    overwrite: bool = False,
) -> None:
    """Write sharp stills and blurred, dark, compressed videos of five classes of objects:
    OUT/stills and OUT/videos.

    Both are sets for folder:OUT/stills and folder:OUT/videos, with the splits train and val.

    Args:
        out: Folder to write.
        seed: Seed of all scenes.
        counts: How many.
        config: Size and difficulty.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.synthetic.classes import write_classes_sets

    write_classes_sets(out, counts=counts, seed=seed, config=config, overwrite=overwrite)
    print(
        f"{out}: {counts.train_stills} stills and {counts.train_videos} videos of {config.frames} "
        f"frames to train on,"
        f" {counts.val_stills} and {counts.val_videos} to evaluate on"
    )


# The set is written SET:ROOT, as in training, so one parser serves both commands.
def degrade(
    source: tyro.conf.Positional[str],
    out: Path,
    split: tuple[str, ...] = ("train",),
    labels: bool = True,
    seed: int = 0,
    config: Annotated[DegradationConfig, tyro.conf.arg(name="")] = DegradationConfig(),  # noqa: B008 - frozen
    workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Write a degraded copy of a segmentation dataset: motion blur, low light, compression. Labels
    are not changed.

    Training takes the copy as folder:OUT.

    Args:
        source: SET:ROOT, as --labelled of densevos train takes it.
        out: Folder to write.
        split: Parts of the set.
        labels: Copy the labels too; with --no-labels the set needs none.
        seed: Seed of the random amounts and directions.
        config: How much is lost: least and greatest amount.
        workers: Number of threads.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.synthetic.degraded_set import degrade_set

    written = degrade_set(
        source,
        out,
        splits=split,
        labels=labels,
        config=config,
        seed=seed,
        workers=workers,
        overwrite=overwrite,
    )
    print(f"{out}: {written} degraded frames of {source}")


def frames(
    source: tyro.conf.Positional[Path],
    out: Path,
    short_side: int = 256,
    every: int = 1,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float = 300,
    overwrite: bool = False,
) -> None:
    """Decode videos into folders of small JPEG frames, which training reads several times faster.

    A command that was stopped goes on when it is repeated.

    Args:
        source: What `--data` of `densevos train` takes.
        out: Folder to write, or to go on with; it gets a folder of frames for each video.
        short_side: Shrink frames to this short side, pixels; smaller ones stay as they are.
        every: Keep one frame of so many.
        shard: Decode only every N-th video, written I/N. Several machines may share one output
            folder.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without a frame after which a video is given up.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.extraction import extract_frames

    with stopped_by_sigterm(GO_ON):
        done = extract_frames(
            source,
            out,
            short_side=short_side,
            every=every,
            shard=shard,
            workers=workers,
            timeout=timeout,
            overwrite=overwrite,
        )

    # Broken videos go to standard error one by one; the totals below go to standard output.
    for reason in done.skipped:
        print(f"skipped: {reason}", file=sys.stderr)

    # Videos that an earlier call wrote are counted apart.
    kept = f" and {done.kept} kept" if done.kept else ""
    print(f"{out}: {done.written} videos written{kept}, {len(done.skipped)} skipped")


def pack(
    source: tyro.conf.Positional[Path],
    out: Path,
    format: Literal["jpeg", "clips"] = "clips",
    short_side: int = 256,
    every: int = 1,
    shard_size: int = 256,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float = 60,
    overwrite: bool = False,
) -> None:
    """Pack videos into indexed tar shards, which training reads at random: few large files instead
    of many small ones.

    A command that was stopped goes on when it is repeated.

    Args:
        source: What `--data` of `densevos train` takes.
        out: Folder to write, or to go on with. `--data` of `densevos train` takes it.
        format: clips: H.264 with a key frame every 12 frames, decoded about twice as fast as usual
            video files. jpeg: JPEG frames, read several times faster, but several times larger.
        short_side: Shrink frames to this short side, pixels; smaller ones stay as they are.
        every: Keep one frame of so many.
        shard_size: Number of videos in a shard.
        shard: Write only every N-th shard, from the I-th on, given as I/N: so N machines share the
            work.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without a frame after which a video is left out.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.packing import PackConfig, pack_videos

    config = PackConfig(format=format, short_side=short_side, every=every, shard_size=shard_size)
    with stopped_by_sigterm(GO_ON):
        result = pack_videos(
            source, out, config, shard=shard, workers=workers, timeout=timeout, overwrite=overwrite
        )

    for reason in result.broken:
        print(f"skipped: {reason}", file=sys.stderr)

    print(f"{out}: {result.packed} videos, {len(result.broken)} skipped")
    # Shards of other machines may be missing: their videos cannot be read yet.
    if result.missing:
        print(f"{out}: {result.missing} shards are still to be written by other --shard")


def foreground(
    source: tyro.conf.Positional[Path],
    out: Path,
    method: Literal["saliency", "cam", "motion", "consensus"],
    crf: bool = True,
    short_side: int = 240,
    uncertain: float = 0.1,
    network: str = "efficientnet_lite0",
    weights: str | None = None,
    encoder: str | None = None,
    pack: bool = False,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float = 600,
    overwrite: bool = False,
) -> None:
    """Write a foreground map for every frame, OUT/VIDEO/FRAME.png (0, 1, 255 = uncertain), which
    MuG learns from.

    A command that was stopped goes on when it is repeated.

    Args:
        source: What `--data` of `densevos train` takes.
        out: Folder of maps to write, or to go on with.
        method: consensus: moving objects, and what looks like them anywhere in the video. motion:
            what moves against the scene. saliency: regions unlike the frame's border. cam: class
                activation of an ImageNet classifier.
        crf: Sharpen maps with a dense CRF.
        short_side: Compute maps on frames shrunk to this short side, pixels; they are written at
            the frames' size.
        uncertain: Pixels whose probability of foreground is within this of 0.5 are written as 255;
            0 writes none.
        network: Classifier of cam: efficientnet_lite0, resnet50, densenet121 or another of these
            families.
        weights: Weights of the classifier of cam: a file with a state dict, or a name that
            torchvision knows.
        encoder: An encoder.safetensors, by whose features consensus compares parts of frames
            instead of by colours.
        pack: Write one archive for each video, OUT/VIDEO.zip, instead of a file for each frame. MuG
            reads both.
        shard: Make the maps of every N-th video only, written I/N. Several machines may share one
            output folder.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without a map after which a part of a video is given up.
        overwrite: Empty the output folder first if it holds files.
    """
    from densevos.data.foreground.crf import CrfConfig
    from densevos.data.foreground.maps import make_maps
    from densevos.data.foreground.probability import ForegroundConfig

    # Maps may be refined by a dense CRF, and the options of all methods go into one configuration.
    config = ForegroundConfig(
        method=method,
        crf=CrfConfig() if crf else None,
        short_side=short_side,
        uncertain=uncertain,
        network=network,
        weights=weights,
        encoder=encoder,
    )

    with stopped_by_sigterm(GO_ON):
        # SIGTERM becomes an exception, so that processes end and the message says how to go on.
        made = make_maps(
            source,
            out,
            config,
            pack=pack,
            shard=shard,
            workers=workers,
            timeout=timeout,
            overwrite=overwrite,
        )

    for reason in made.broken:
        print(f"skipped: {reason}", file=sys.stderr)

    print(f"{out}: {made.written} maps written, {made.kept} kept")
    # MuG learns from the map of every frame, so videos that are incomplete make the command fail,
    # but only after all others are done.
    if made.broken:
        raise RunError(
            f"{source}: {len(made.broken)} videos could not be read completely (see above); all "
            f"others are done"
        )


def classes(
    source: tyro.conf.Positional[str],
    options: Annotated[SetOptions, tyro.conf.arg(name="")] = SetOptions(),  # noqa: B008 - frozen
    unlabelled: bool = False,
    masks: bool = False,
    write_names: Path | None = None,
    workers: int | None = None,
) -> None:
    """Count the frames that have each class of a labelled set.

    Args:
        source: A set as SET:ROOT, as --labelled of densevos train takes it.
        options: Which part of the set, and which classes.
        unlabelled: Read no labels, as --unlabelled of training does.
        masks: Read every mask and count the frames that show a class, instead of those of videos
            that hold it.
        write_names: Write the names of the images or videos that are used, one a line. As the list
            of images to train on it spares reading all masks of COCO again.
        workers: Number of processes that read masks; without this option it is the number of cores.
    """
    from densevos.data.segmentation.presence import class_counts
    from densevos.data.segmentation.sets.registry import open_set

    opened = open_set(source, labels=not unlabelled, workers=workers, **vars(options))
    console.print_notes(opened.notes)
    kind = "videos" if opened.kind == "video" else "images"
    # Without labels no frame is labelled, so all frames are counted.
    frames = sum(len(shot.open()) if unlabelled else len(shot.labelled) for shot in opened.shots)
    counts = class_counts(opened, masks=masks, workers=workers)
    print(
        f"{source}, {options.split}: {len(opened.shots)} {kind}, "
        f"{frames}{'' if unlabelled else ' labelled'} frames"
    )
    # The most frequent class comes first.
    for name in sorted(counts, key=lambda name: -counts[name]):
        if counts[name] or not unlabelled:  # Without labels only some sets say what a video shows.
            print(f"{counts[name]:8d}  {name}")

    # The list appears under its name only when it is complete.
    if write_names:
        with atomic_write(write_names, "w") as file:
            file.writelines(f"{shot.name}\n" for shot in opened.shots)


# Names on the command line differ from those of functions where Python or the dash demands it.
COMMANDS: dict[str, Callable[..., None]] = {
    "synth": synth,
    "synth-classes": synth_classes,
    "degrade": degrade,
    "layouts": layouts,
    "index": index,
    "merge": merge,
    "check": check,
    "stats": stats,
    "list": list_videos,
    "frames": frames,
    "pack": pack,
    "foreground": foreground,
    "classes": classes,
}


# The order of groups is that of use, from a first look at a set to making one.
OVERVIEW = Overview(
    about="Make, list, index, decode and label videos.",
    groups={
        "look": {
            "list": "List videos with their lengths, and those that cannot be read.",
            "classes": "Count the frames that have each class of a labelled set.",
            "layouts": "List the datasets whose folders this command knows.",
        },
        "index a large set": {
            "index": "Write an index of the videos of a set.",
            "merge": "Join the indexes of several machines.",
            "check": "Decode some frames of some videos, and mark broken videos in the index.",
            "stats": "Print an index in numbers: hours, sizes, frame rates, broken videos.",
        },
        "read faster": {
            "frames": "Decode videos into folders of small JPEG frames.",
            "pack": "Pack videos into indexed tar files.",
        },
        "find foreground": {
            "foreground": "Write a foreground map for every frame, which MuG learns from.",
        },
        "make data": {
            "synth": "Write synthetic sequences with exact masks in DAVIS layout.",
            "synth-classes": "Write sharp stills and degraded videos of five classes of objects.",
            "degrade": "Write a degraded copy of a segmentation dataset.",
        },
    },
    examples=(
        "densevos data list my_videos",
        "densevos data foreground my_videos --method consensus --out maps",
    ),
)


def dispatch(arguments: list[str]) -> None:
    """Run one command of `densevos data`."""
    run_command(COMMANDS, {}, arguments, program="densevos data", overview=OVERVIEW)
