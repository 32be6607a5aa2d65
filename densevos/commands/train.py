"""densevos train: a recipe's own options, which depend on the method."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import tyro

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos.commands.help import Overview, overview_page
from densevos.commands.mistakes import nearest
from densevos.commands.parsing import parse
from densevos.config import RunConfig, SetOptions
from densevos.methods.registry import read_config
from densevos.recipes import RECIPES

Config = TypeVar("Config")

# Options of a set are spelled without the name of their group, on every command line alike.
tyro.conf.configure(tyro.conf.OmitArgPrefixes)(SetOptions)
FEW = 10  # So many videos that were skipped are listed at the end.
SET_FLAGS = [one.name for one in fields(SetOptions)]


def train(arguments: list[str]) -> None:
    """Run `densevos train` with what follows it: a recipe or --config, and options."""
    config, name, rest = _starting_point(arguments)
    console.refuse_old_spellings(rest, {f"--sets.{flag}": f"--{flag}" for flag in SET_FLAGS})
    parsed = parse(
        _TrainArguments.__class_getitem__(type(config)),  # type: ignore[attr-defined]  # options depend on the method
        rest,
        program=f"densevos train {name}",
        default=_TrainArguments(config=config, out=tyro.MISSING),
    )
    from densevos.engine import distributed
    from densevos.training import train as run_training

    result = run_training(
        parsed.config, parsed.out, resume=parsed.resume, overwrite=parsed.overwrite, profile=parsed.profile
    )
    if distributed.local_rank() > 0:
        return
    for reason in result.skipped[:FEW]:
        print(f"skipped: {reason}", file=sys.stderr)
    if len(result.skipped) > FEW:
        print(f"skipped: {len(result.skipped) - FEW} more; skipped.txt in {parsed.out} lists all", file=sys.stderr)
    skipped = f"; {len(result.skipped)} videos skipped" if result.skipped else ""
    print(f"{result.encoder}: {result.steps} steps in {result.seconds / 60:.1f} minutes{skipped}")


@dataclass(frozen=True, kw_only=True)
class _TrainArguments(Generic[Config]):
    """Train with the settings of this recipe, except for those that are given here."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    out: Path
    """Run folder to write."""
    resume: str = "never"
    """never; auto, to go on from the latest checkpoint in --out; or the path of a checkpoint."""
    overwrite: bool = False
    """Empty --out first if it holds files."""
    profile: bool = False
    """Print at the end which of data, transfer, network and loss a step waits for."""


def _starting_point(arguments: list[str]) -> tuple[RunConfig, str, list[str]]:
    """The configuration to start from, what it was named by, and the arguments that are left."""
    first = arguments[0] if arguments else "--help"
    known = f"known are {', '.join(RECIPES)}, package.module:RECIPE of your own, or --config FILE"
    if first in RECIPES:
        return _from_recipe(RECIPES[first]), first, arguments[1:]
    if is_outside(first):
        return _from_outside(first), first, arguments[1:]
    if first == "--config" and len(arguments) > 1:
        return read_config(Path(arguments[1])), f"--config {arguments[1]}", arguments[2:]
    if first in ("--help", "-h"):
        print(overview_page(OVERVIEW, "densevos train"))
        raise SystemExit(0)
    if first == "--config":
        raise InputError("densevos train --config: has no value; name the config.json of a run")
    if first.startswith("-"):
        raise InputError(f"densevos train {first}: a recipe must come first; {known}")
    meant = "".join(f"; did you mean {near}?" for near in nearest(first, RECIPES))
    raise InputError(f"densevos train {first}: unknown recipe; {known}{meant}")


def _from_outside(spec: str) -> RunConfig:
    """The configuration of a recipe that lives outside the repository; InputError when it is no recipe."""
    recipe = from_outside(spec, "densevos train")
    config = _from_recipe(recipe) if callable(recipe) else None
    if config is None or not hasattr(config, "METHOD"):
        raise InputError(f"densevos train {spec}: is no recipe; a recipe is a function that returns a configuration")
    return config


def _from_recipe(recipe: Callable[..., RunConfig]) -> RunConfig:
    """The recipe's configuration; what the recipe takes becomes a required option."""
    parameters = inspect.signature(recipe).parameters.values()
    asked_for = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    return recipe(**dict.fromkeys(asked_for, tyro.MISSING))


OVERVIEW = Overview(
    usage=(
        "RECIPE --data VIDEOS --out RUN [options]",
        "mug_RECIPE --data VIDEOS --foreground MAPS --out RUN [options]",
        "i2v_RECIPE --labelled SET:ROOT ... --unlabelled SET:ROOT ... --out RUN [options]",
        "package.module:RECIPE --out RUN [options]   (a recipe of your own)",
        "--config RUN/config.json --out RUN2 [options]",
    ),
    about="Train an encoder on videos without labels (dul, mug), or a segmentation model on labelled images and "
    "unlabelled videos (i2v). A recipe sets every option; the command line changes single ones.",
    groups={
        "DUL: an encoder for label propagation": {
            "dul_small": "Train on some dozens of videos with two CPU cores, in 45 minutes.",
            "dul_default": "Train the encoder `default` again, in 15 minutes on one CPU core.",
            "dul_ytvos": "Train on YouTube-VOS for 500 epochs, as in the paper.",
            "dul_oxuva": "Train on OxUvA for 500 epochs, as in the paper.",
            "dul_kinetics": "Train on Kinetics-400 for 80 epochs, as in the paper.",
            "dul_trackingnet": "Train on TrackingNet for 250 epochs, as in the paper.",
            "demo": "Train as `densevos demo` does, in two minutes on two CPU cores.",
        },
        "MuG: an encoder that also finds the primary objects": {
            "mug_small": "Train on some dozens of videos with two CPU cores, in an hour.",
            "mug_oxuva": "Train on OxUvA for two rounds of 20,000 steps, as in the paper.",
        },
        "image-to-video: a segmentation model that is adapted to video": {
            "i2v_small_swin": "Train a small Swin + UperNet from scratch with two CPU cores.",
            "i2v_small_cnn": "Train a small DeepLabV3 from scratch with two CPU cores.",
            "i2v_cnn": "Train DeepLabV3-ResNet101 from COCO weights (Table 1 of the papers).",
            "i2v_swin": "Train Swin-T + UperNet from ADE20k weights (Table 2).",
            "i2v_videoswin": "Train Video Swin-T + UperNet on clips of four frames (Table 3).",
        },
    },
    examples=(
        "densevos train dul_small --data my_videos --out runs/mine",
        "densevos train dul_small --data my_videos --out runs/mine --resume auto",
    ),
    more="options of a recipe: densevos train RECIPE --help",
)
