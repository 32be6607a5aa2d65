"""densevos data COMMAND: list and check a set of videos before training."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from densevos.base.errors import InputError
from densevos.base.parallel import BROKEN, named, stopped_by_sigterm

# Only for annotations: at run time the module is imported when a command needs it.
if TYPE_CHECKING:
    from densevos.data.stats import ClipNeed

# What a command says that SIGTERM stopped and that keeps what is done.
GO_ON = "repeat the command and it goes on"


def index(
    root: tyro.conf.Positional[Path],
    dataset: str,
    out: Path,
    split: str | None = None,
    shard: str | None = None,
    workers: int | None = None,
    timeout: float = 60,
    overwrite: bool = False,
) -> None:
    """Write an index of the videos of a set: path, frames, size, frame rate, and whether the video
    can be opened.

    Training takes it as --data and then neither searches nor opens anything at its start. A command
    that was stopped goes on when it is repeated; repeated later, it looks only at videos that are
    new or could not be opened.

    Args:
        root: Folder that the set was unpacked to.
        dataset: Layout of the folder: one that `densevos data layouts` lists, or module:NAME of
            your own.
        out: FILE.npz to write. If it lies in the data's folder, both can move together.
        split: Part of the set. Without this option it is the part that is trained on.
        shard: Look only at every N-th video, written I/N; `densevos data merge` joins the files of
            all shards.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without an answer after which a video is given up.
        overwrite: Look at all videos again.
    """
    from densevos.data.catalogue.registry import find_layout
    from densevos.data.index import make_index
    from densevos.data.sources.indexed import left_out

    layout = find_layout(dataset)
    with stopped_by_sigterm(GO_ON):
        made = make_index(
            root,
            layout,
            out,
            split=split,
            shard=shard,
            workers=workers,
            timeout=timeout,
            overwrite=overwrite,
        )

    # Videos that cannot be opened stay in the index with their reason, and are listed here.
    for reason in filter(None, made.reasons):
        print(f"broken: {reason}", file=sys.stderr)

    print(left_out(out, made) or f"{out}: {len(made)} videos, all of them usable")


def merge(shards: tyro.conf.Positional[tuple[Path, ...]], out: Path) -> None:
    """Join the indexes of all shards of a set to one.

    Args:
        shards: What `densevos data index --shard I/N` wrote, for every I.
        out: FILE.npz to write.
    """
    from densevos.data.sources.index_file import merged, read_index, write_index

    # Checked before anything is read, so that a long command does not fail at its end.
    if not shards:
        raise InputError("densevos data merge: name the indexes to join")
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: an index must be called FILE.npz")

    # The names of files go along, so that errors about a shard can name its file.
    joined = merged([read_index(file) for file in shards], [str(file) for file in shards])
    write_index(out, joined)
    print(f"{out}: {len(joined)} videos of {len(shards)} indexes")


def check(
    index: tyro.conf.Positional[Path],
    sample: int = 200,
    all: bool = False,
    out: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    timeout: float = 60,
) -> None:
    """Decode some frames of some videos of an index, and write an index in which broken ones are
    marked.

    Args:
        index: What `densevos data index` wrote.
        sample: Number of videos that are decoded, chosen at random.
        all: Decode frames of every video.
        out: FILE.npz to write, to train on instead; it may be the index itself.
        seed: Seed of the random choice of videos.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without an answer after which a video is given up.
    """
    from densevos.data.check import broken_lines, check_videos
    from densevos.data.sources.index_file import write_index
    from densevos.data.sources.indexed import indexed_source

    if out is not None and out.suffix != ".npz":
        raise InputError(f"--out {out}: an index must be called FILE.npz")

    source = indexed_source(index)
    # A random sample finds a set that is broken as a whole; --all is exact but takes far longer.
    count, found = check_videos(
        source, sample=None if all else sample, seed=seed, workers=workers, timeout=timeout
    )
    # With --out the new index marks broken videos, so nothing is left to do. Without it they are an
    # error, since training on this index would meet them.
    broken = broken_lines(found, source.index)
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)

    if out is not None:
        write_index(out, found)
        print(
            f"{out}: {count} videos decoded, {len(broken)} of them broken; training leaves those "
            f"out"
        )
    elif broken:
        raise InputError(
            f"{index}: {len(broken)} of {count} videos are broken; pass --out to mark them in a "
            f"new index"
        )
    else:
        print(f"{index}: {count} videos decoded, none of them broken")


def stats(index: tyro.conf.Positional[Path], recipe: str | None = None) -> None:
    """Describe an index in numbers: videos, hours, frames, sizes, frame rates, what is broken or
    too short.

    Args:
        index: What `densevos data index` wrote.
        recipe: Recipe whose clips decide what is too short; the one made for the set by default.
    """
    from densevos.data.sources.index_file import read_index
    from densevos.data.stats import statistics

    read = read_index(index)
    described = statistics(read, _need_of(recipe, read.dataset))
    # Labels differ in length, so the numbers are aligned in one column.
    width = max(len(label) for label, _ in described)
    for label, text in described:
        print(f"{label:{width}}  {text}")


def _need_of(recipe: str | None, dataset: str) -> "ClipNeed | None":
    """What the clips of a recipe need; None where the set has no recipe, or one whose videos need
    not be so long.
    """
    from densevos.config import TrainConfig
    from densevos.data.catalogue.registry import known_layouts
    from densevos.data.stats import ClipNeed
    from densevos.recipes import RECIPES

    # The recipe on the command line wins over that of the set's layout.
    layout = known_layouts().get(dataset)
    name = recipe or (layout.recipe if layout else None)
    if name is None:
        return None
    if name not in RECIPES:
        raise InputError(f"--recipe {name}: unknown; known are {', '.join(RECIPES)}")

    # Of a recipe of DUL the frames and the gap of a clip say how long a video must be.
    config = RECIPES[name](Path()) if name.startswith("dul") else None
    if not isinstance(config, TrainConfig):
        raise InputError(f"--recipe {name}: its clips have no gap; name one that starts with dul")

    return ClipNeed(recipe=name, frames=config.clips.frames, gap=config.clips.gap)


def layouts() -> None:
    """List the sets whose layout is known: their name for --dataset, where videos lie below ROOT,
    where to get them.
    """
    from densevos.data.catalogue.registry import known_layouts

    for layout in known_layouts().values():
        print(f"{layout.name}: {layout.title}, {layout.size}")
        print(f"    ROOT/{layout.tree}; splits {', '.join(layout.splits)}")
        print(f"    from {layout.address}; {layout.licence}")


def list_videos(
    source: tyro.conf.Positional[Path], workers: int | None = None, timeout: float = 60
) -> None:
    """List the videos of a data folder, list or index with their lengths, and those that cannot be
    read.

    Args:
        source: What `--data` of `densevos train` takes. Videos of an index are not opened.
        workers: Number of processes; without this option it is the number of cores.
        timeout: Seconds without an answer after which a video is given up.
    """
    from densevos.data.check import lengths
    from densevos.data.sources.open import open_source

    # All videos are listed before the command fails, so that one call shows every broken one.
    broken = 0
    for title, found in lengths(
        open_source(source, "densevos data list"), workers=workers, timeout=timeout
    ):
        if isinstance(found, BROKEN):
            broken += 1
            print(f"      -  {named(title, found)}")
        else:
            print(f"{found:7d}  {title}")

    if broken:
        raise InputError(
            f"{source}: {broken} videos cannot be read (marked -); training leaves them out"
        )
