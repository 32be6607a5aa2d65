"""MuG on real videos: first maps against both rounds, on DAVIS-2016 (scripts/mug_dev.sh)."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from experiments import commands, settings
from experiments.commands import EXPERIMENTS
from experiments.jobs import Command, Job, Steps, run_jobs

KINDS = ("consensus", "saliency", "cam")
EVERY = {"consensus": 1, "saliency": 3, "cam": 3}
"""How many frames apart the used frames are.

Consensus sees motion, which shows between neighbours; the other kinds look at single frames.
"""
GRANULARITIES = ("frame", "short", "long", "video")
CONTROLS = ("python", str(EXPERIMENTS / "mug_dev" / "controls.py"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/mug_dev.sh documents."""

    videos: str
    davis: str
    out: Path
    split: str = "dev"
    recipe: str = "mug_small"
    knowledge: Sequence[str] = KINDS
    leave_out: Sequence[str] = ()
    transductive: bool = False
    train_options: Sequence[str] = ()

    def frames(self, kind: str) -> Path:
        """Frames of the videos, for one kind of maps."""
        return self.out / ("frames" if EVERY[kind] == 3 else "frames_all")

    def evaluated_frames(self, kind: str) -> Path:
        """Frames of the evaluated sequences, for one kind of maps, where they are learned from."""
        return self.out / ("frames_judged" if EVERY[kind] == 3 else "frames_judged_all")

    @property
    def evaluated_list(self) -> Path:
        """The file that lists the frame folders of the evaluated sequences."""
        return self.out / "judged.txt"

    @property
    def sequences(self) -> Command:
        """The options that choose the evaluated sequences."""
        return ("--dataset", "davis16", "--root", self.davis, "--split", self.split)


def run(environ: settings.Environment, train_options: Sequence[str]) -> None:
    """Run every step that is not done yet, and gather the results.

    Raises:
        InputError: VIDEOS or DAVIS is not set, or a variable has an unknown word.
    """
    chosen = settings_from(environ, train_options)
    chosen.out.mkdir(parents=True, exist_ok=True)
    run_jobs([Job(name="mug_dev", steps=steps(chosen))])


def settings_from(environ: settings.Environment, train_options: Sequence[str]) -> Settings:
    """Read and check the environment variables."""
    chosen = Settings(
        videos=settings.required(environ, "VIDEOS", "a folder of videos to learn from"),
        davis=settings.required(environ, "DAVIS", "the root of DAVIS"),
        out=settings.working_folder(environ, "mug_dev"),
        split=settings.text(environ, "SPLIT", "dev"),
        recipe=settings.text(environ, "RECIPE", "mug_small"),
        knowledge=settings.words(environ, "KNOWLEDGE", "consensus"),
        leave_out=settings.words(environ, "LEAVE_OUT", ""),
        transductive=bool(environ.get("TRANSDUCTIVE")),
        train_options=train_options,
    )
    settings.check_known("KNOWLEDGE", chosen.knowledge, KINDS)
    settings.check_known("LEAVE_OUT", chosen.leave_out, GRANULARITIES)

    return chosen


def steps(chosen: Settings) -> Steps:
    """All commands, in order."""
    # Written first: a wrong split ends the experiment before anything is trained.
    write_list(chosen.evaluated_list, evaluated_folders(chosen))

    for kind in chosen.knowledge:
        yield from extracted(chosen.videos, chosen.frames(kind), EVERY[kind])
        yield from first_maps(chosen, kind)
        maps = chosen.out / f"maps_{kind}"
        yield from learned(chosen, f"mug_{kind}", videos=chosen.frames(kind), maps=maps)
        yield from one_shot(chosen, kind)

    if chosen.transductive:
        yield from transductive(chosen)

    # Without one granularity: with the first kind of maps alone, by a weight of 0 in the loss.
    first = chosen.knowledge[0]
    for granularity in chosen.leave_out:
        yield from learned(
            chosen,
            f"mug_without_{granularity}",
            videos=chosen.frames(first),
            maps=chosen.out / f"maps_{first}",
            options=(f"--objective.{granularity}-weight", "0"),
        )

    yield from commands.gathered("mug_dev", chosen.out)


def extracted(videos: str | Path, frames: Path, every: int) -> Steps:
    """Extract the first of `every` so many frames of videos."""
    return commands.made(
        frames, "frames", str(videos), "--short-side", "192", "--every", str(every)
    )


def evaluated_folders(chosen: Settings) -> Iterator[Path]:
    """The frame folders of the evaluated sequences.

    Raises:
        InputError: the split has no list.
    """
    names = Path(chosen.davis) / "ImageSets" / "2016" / f"{chosen.split}.txt"
    if not names.is_file():
        raise InputError(f"{names}: no such list of sequences; check DAVIS and SPLIT")

    root = Path(chosen.davis).resolve() / "JPEGImages" / "480p"
    for name in names.read_text(encoding="utf-8").split():
        yield root / name


def write_list(file: Path, folders: Iterator[Path]) -> None:
    """Write one folder a line."""
    file.write_text("".join(f"{folder}\n" for folder in folders), encoding="utf-8")


def first_maps(chosen: Settings, kind: str) -> Steps:
    """First maps of the videos, and of the evaluated sequences, which are scored."""
    maps, out = chosen.out / f"maps_{kind}", chosen.out
    find = ("densevos", "data", "foreground")
    evaluated = (*find, str(chosen.evaluated_list), "--method", kind, "--uncertain", "0")
    mean_map = (*CONTROLS, "mean-map", str(maps), str(chosen.evaluated_list))

    # Maps to learn from may leave pixels uncertain; those that are scored have none.
    yield (*find, str(chosen.frames(kind)), "--method", kind, "--out", str(maps))
    yield (*evaluated, "--out", str(out / kind))
    yield (*evaluated, "--no-crf", "--out", str(out / f"{kind}_no_crf"))
    yield (*mean_map, str(out / f"{kind}_mean"))

    yield from scored(chosen, out / kind)
    for masks in (f"{kind}_no_crf", f"{kind}_mean"):
        yield from scored(chosen, out / masks, "--no-stability")


def learned(
    chosen: Settings,
    name: str,
    *,
    videos: Path,
    maps: Path,
    options: Sequence[str] = (),
) -> Steps:
    """Train two rounds, and score what each finds in the evaluated sequences."""
    model = chosen.out / name
    data = ("--data", str(videos), "--foreground", str(maps))
    more = (*options, *chosen.train_options)
    yield commands.train(chosen.recipe, *data, out=model, more=more)

    # The recipe and the options decide how many rounds there are; training has made their folders.
    for round_folder in sorted(model.glob("round[0-9]*")):
        results = chosen.out / f"{name}_{round_folder.name}"
        yield from found(chosen, model=round_folder, maps=maps, results=results)


def found(chosen: Settings, *, model: Path, maps: Path, results: Path) -> Steps:
    """Segment the evaluated sequences with one model and score its masks.

    Three kinds are scored: with the CRF, without it, and without it at the area of the maps.
    """
    zeroshot = ("densevos-eval", "zeroshot", "--model", str(model), *chosen.sequences)
    yield (*zeroshot, "--out", str(results), "--save-probabilities", "--resume")

    # The command writes masks without the CRF beside those with it; equal area is made of them.
    no_crf, equal_area = results / "no-crf", results / "equal-area"
    if not (equal_area / "results.json").is_file():
        yield (*CONTROLS, "equal-area", str(no_crf), str(maps), str(equal_area))

    yield from scored(chosen, results)
    yield from scored(chosen, no_crf, "--no-stability")
    yield from scored(chosen, equal_area, "--no-stability")


def one_shot(chosen: Settings, kind: str) -> Steps:
    """Propagate the first masks with the trained encoder, with both presets."""
    encoder = chosen.out / f"mug_{kind}" / "encoder.safetensors"
    for preset in ("mug", "mug-release"):
        results = chosen.out / f"mug_{kind}_one_shot_{preset}"
        propagate = ("densevos-eval", "propagate", "--preset", preset, "--encoder", str(encoder))
        yield (*propagate, *chosen.sequences, "--out", str(results), "--resume")
        yield from scored(chosen, results)


def transductive(chosen: Settings) -> Steps:
    """Train once more, with the frames of the evaluated sequences among the videos."""
    for kind in chosen.knowledge:
        frames, evaluated_frames = chosen.frames(kind), chosen.evaluated_frames(kind)
        yield from extracted(chosen.evaluated_list, evaluated_frames, EVERY[kind])
        videos = chosen.out / ("transductive.txt" if EVERY[kind] == 3 else "transductive_all.txt")
        folders = [*sorted(frames.iterdir()), *sorted(evaluated_frames.iterdir())]
        write_list(videos, iter(folders))

        # Maps of the videos are there; only those of the evaluated sequences have to be found.
        maps = chosen.out / f"maps_transductive_{kind}"
        if not maps.is_dir():
            shutil.copytree(chosen.out / f"maps_{kind}", maps)

        find = ("densevos", "data", "foreground", str(videos), "--method", kind)
        yield (*find, "--out", str(maps))
        yield from learned(chosen, f"mug_transductive_{kind}", videos=videos, maps=maps)


def scored(chosen: Settings, results: Path, *options: str) -> Steps:
    """Score masks; what was scored is kept."""
    if not (results / "results.json").is_file():
        score = ("densevos-eval", "score", *chosen.sequences)
        yield (*score, "--results", str(results), *options)
