"""densevos train: a recipe's own options, which depend on the method."""

import functools
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

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
Options = TypeVar("Options")

# Options of a set are spelled without the name of their group, on every command line alike.
tyro.conf.configure(tyro.conf.OmitArgPrefixes)(SetOptions)
# This many skipped videos are listed at the end.
FEW = 10
SET_FLAGS = [field.name for field in fields(SetOptions)]


def train(arguments: list[str]) -> None:
    """Run `densevos train` with what follows it: a recipe or --config, and options."""
    parsed = parsed_arguments(arguments)
    # Imported here, so that a help page or a mistake in the options need not wait for them.
    from densevos.engine import distributed
    from densevos.training import train as run_training

    result = run_training(
        parsed.config,
        parsed.out,
        resume=parsed.resume,
        overwrite=parsed.overwrite,
        profile=parsed.profile,
    )
    # One process of each machine prints, not all of them.
    if distributed.local_rank() > 0:
        return

    for reason in result.skipped[:FEW]:
        print(f"skipped: {reason}", file=sys.stderr)

    if len(result.skipped) > FEW:
        print(
            f"skipped: {len(result.skipped) - FEW} more; skipped.txt in {parsed.out} lists all",
            file=sys.stderr,
        )

    skipped = f"; {len(result.skipped)} videos skipped" if result.skipped else ""
    print(f"{result.encoder}: {result.steps} steps in {result.seconds / 60:.1f} minutes{skipped}")


def parsed_arguments(arguments: list[str]) -> "_TrainArguments[RunConfig, object]":
    """The command line of `densevos train` as a configuration, which is not checked yet, and
    options of the run.
    """
    start = _starting_point(arguments)
    # The old name of these options had the group in front.
    console.refuse_old_spellings(
        start.arguments, {f"--sets.{flag}": f"--{flag}" for flag in SET_FLAGS}
    )

    # The first pass finds the recipe's own options; without any that changed it is also the last.
    parsed = _parsed(start, _from_recipe(start.recipe))
    chosen = vars(parsed.recipe)
    if chosen == vars(start.options()):
        return parsed

    # Options of the recipe change what all others default to.
    return _parsed(start, _from_recipe(start.recipe, **chosen))


def _parsed(start: "_Start", config: RunConfig) -> "_TrainArguments[RunConfig, object]":
    # tyro reads the options from a type, so the type variables are filled in at run time.
    generic: Any = _TrainArguments
    filled = generic[type(config), start.options]

    parsed: _TrainArguments[RunConfig, object] = parse(
        filled,
        start.arguments,
        program=f"densevos train {start.name}",
        default=_TrainArguments(config=config, recipe=start.options(), out=tyro.MISSING),
    )

    return parsed


@dataclass(frozen=True, kw_only=True)
class _TrainArguments(Generic[Config, Options]):
    """Train with the settings of this recipe, except for those that are given here."""

    # Types of both depend on the method and on the recipe.
    config: Annotated[Config, tyro.conf.arg(name="")]
    recipe: Annotated[Options, tyro.conf.arg(name="")]
    out: Path
    """Run folder to write."""
    resume: str = "never"
    """never; auto, to go on from the latest checkpoint in --out; or the path of a checkpoint."""
    overwrite: bool = False
    """Empty --out first if it holds files."""
    profile: bool = False
    """Print at the end which of data, transfer, network and loss a step waits for."""


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where a command line starts from."""

    recipe: Callable[..., RunConfig]
    name: str
    """What the user named it by."""
    arguments: list[str]
    """The words of the command line that follow it."""

    @functools.cached_property
    def options(self) -> type[Any]:
        """A dataclass of the recipe's own options: what it takes by keyword alone."""
        # Only keyword parameters with a default are the recipe's own options.
        options = []
        for name, parameter in inspect.signature(self.recipe).parameters.items():
            if (
                parameter.kind is parameter.KEYWORD_ONLY
                and parameter.default is not parameter.empty
            ):
                text = _help_on(self.recipe, name)
                options.append((name, Annotated[parameter.annotation, text], parameter.default))

        return make_dataclass("RecipeOptions", options, frozen=True, kw_only=True)


def _help_on(recipe: Callable[..., RunConfig], parameter: str) -> Any:
    """What the docstring of a recipe says of a parameter."""
    text = inspect.getdoc(recipe) or ""
    # The entry in the section Args: its line, and those that are indented further.
    entry = re.search(rf"^    {parameter}: (.*(?:\n {{8}}.*)*)", text, re.MULTILINE)
    return tyro.conf.arg(help=" ".join(entry[1].split()) if entry else None)


def _starting_point(arguments: list[str]) -> _Start:
    """The recipe that the command line names, or a file that stands for one."""
    first = arguments[0] if arguments else "--help"
    known = f"known are {', '.join(RECIPES)}, package.module:RECIPE of your own, or --config FILE"
    # Recipes that are known come first; then those of the user; then the configuration of a run.
    if first in RECIPES:
        return _Start(recipe=RECIPES[first], name=first, arguments=arguments[1:])
    if is_outside(first):
        return _Start(recipe=_from_outside(first), name=first, arguments=arguments[1:])
    if first == "--config" and len(arguments) > 1:
        config = read_config(Path(arguments[1]))
        return _Start(
            recipe=lambda: config, name=f"--config {arguments[1]}", arguments=arguments[2:]
        )

    if first in ("--help", "-h"):
        print(overview_page(OVERVIEW, "densevos train"))
        raise SystemExit(0)

    # None of the forms above: say which mistake it is, from the most specific to the least.
    if first == "--config":
        raise InputError("densevos train --config: has no value; name the config.json of a run")
    if first.startswith("-"):
        raise InputError(f"densevos train {first}: a recipe must come first; {known}")

    meant = "".join(f"; did you mean {near}?" for near in nearest(first, RECIPES))
    raise InputError(f"densevos train {first}: unknown recipe; {known}{meant}")


def _from_outside(spec: str) -> Callable[..., RunConfig]:
    """A recipe that lives outside the repository; InputError when it is none."""
    recipe: Callable[..., RunConfig] = from_outside(spec, "densevos train")
    # A first call shows whether it returns a configuration before the options are read.
    config = _from_recipe(recipe) if callable(recipe) else None
    if config is None or not hasattr(config, "METHOD"):
        raise InputError(
            f"densevos train {spec}: is no recipe; a recipe is a function that returns a "
            f"configuration"
        )

    return recipe


def _from_recipe(recipe: Callable[..., RunConfig], **options: object) -> RunConfig:
    """The recipe's configuration; parameters without a default become required options."""
    parameters = inspect.signature(recipe).parameters.values()
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    return recipe(**dict.fromkeys(required, tyro.MISSING), **options)


OVERVIEW = Overview(
    usage=(
        "RECIPE --data VIDEOS --out RUN [options]",
        "mug_RECIPE --data VIDEOS --foreground MAPS --out RUN [options]",
        "i2v_RECIPE --labelled SET:ROOT ... --unlabelled SET:ROOT ... --out RUN [options]",
        "package.module:RECIPE --out RUN [options]   (a recipe of your own)",
        "--config RUN/config.json --out RUN2 [options]",
    ),
    about="Train an encoder on videos without labels (dul, mug), or a segmentation model on "
    "labelled images and "
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
            "i2v_small_swin": "Train a small Swin + UperNet with two CPU cores: first on labels, "
            "then adapt it.",
            "i2v_small_cnn": "Train a small DeepLabV3 with two CPU cores: first on labels, then "
            "adapt it.",
            "i2v_cnn": "Adapt DeepLabV3-ResNet101 from COCO weights (Table 1 of the papers).",
            "i2v_swin": "Adapt Swin-T + UperNet from ADE20k weights (Table 2).",
            "i2v_videoswin": "Adapt Video Swin-T + UperNet on clips of four frames (Table 3).",
        },
    },
    examples=(
        "densevos train dul_small --data my_videos --out runs/mine",
        "densevos train dul_small --data my_videos --out runs/mine --resume auto",
    ),
    more="options of a recipe: densevos train RECIPE --help",
)
