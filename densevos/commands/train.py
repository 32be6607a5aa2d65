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
from densevos.commands.mistakes import nearest
from densevos.commands.parsing import parse
from densevos.config import RunConfig, SetOptions
from densevos.methods.registry import read_config
from densevos.recipes import RECIPES

Config = TypeVar("Config")

# Options of a set are spelled without the name of their group, on every command line alike.
tyro.conf.configure(tyro.conf.OmitArgPrefixes)(SetOptions)
FEW = 10  # So many videos that were skipped are told at the end.
SET_FLAGS = [one.name for one in fields(SetOptions)]


def train(arguments: list[str]) -> None:
    """Learn an encoder from unlabelled videos (`densevos train --help` lists the recipes)."""
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
    config: Annotated[Config, tyro.conf.arg(name="")]
    out: Path
    """Run folder to write."""
    resume: str = "never"
    """never, auto (go on from the latest checkpoint in --out) or the path of a checkpoint."""
    overwrite: bool = False
    """Empty --out first when it holds files."""
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
        print(_train_usage())
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


def _train_usage() -> str:
    recipes = "\n".join(f"  {name:16} {(recipe.__doc__ or '').splitlines()[0]}" for name, recipe in RECIPES.items())
    return (
        "usage: densevos train RECIPE --data ROOT --out RUN [--resume never|auto|PATH] [--overwrite]"
        " [--any.option value]\n"
        "       densevos train i2v_RECIPE --labelled SET:ROOT ... --unlabelled SET:ROOT ... --out RUN"
        " [--loss none|general|clustered] [--placement spatial|global|stageK] [...]\n"
        "       densevos train package.module:RECIPE --out RUN [...]   (a recipe of your own)\n"
        "       densevos train --config RUN/config.json --out RUN2 [...]\n\n"
        f"recipes:\n{recipes}\n\nall options of one: densevos train RECIPE --help"
    )
