"""Random initialisation against training, on DAVIS-2016 (scripts/davis_dev.sh)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from experiments import commands, settings
from experiments.jobs import Job, Steps, run_jobs


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/davis_dev.sh documents."""

    videos: str
    davis: str
    out: Path
    split: str = "dev"
    recipe: str = "dul_small"
    train_options: Sequence[str] = ()


def run(environ: settings.Environment, train_options: Sequence[str]) -> None:
    """Extract frames, train, evaluate both encoders, and gather the results.

    Raises:
        InputError: VIDEOS or DAVIS is not set.
    """
    chosen = Settings(
        videos=settings.required(environ, "VIDEOS", "a folder of videos to learn from"),
        davis=settings.required(environ, "DAVIS", "the root of DAVIS"),
        out=settings.working_folder(environ, "davis_dev"),
        split=settings.text(environ, "SPLIT", "dev"),
        recipe=settings.text(environ, "RECIPE", "dul_small"),
        train_options=train_options,
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    run_jobs([Job(name="davis_dev", steps=steps(chosen))])


def steps(chosen: Settings) -> Steps:
    """All commands; training goes on where it was stopped."""
    # A shorter side of 224 pixels: decoding once is quicker than decoding in every epoch.
    frames, model = chosen.out / "frames", chosen.out / "run"
    yield from commands.made(frames, "frames", chosen.videos, "--short-side", "224")
    yield commands.train(chosen.recipe, "--data", str(frames), out=model, more=chosen.train_options)
    yield from chain(
        evaluated(chosen, "random_init", "random:resnet18"),
        evaluated(chosen, "trained", str(model / "encoder.safetensors")),
        commands.gathered("davis_dev", chosen.out),
    )


def evaluated(chosen: Settings, name: str, encoder: str) -> Steps:
    """Propagate the first masks with an encoder, and score."""
    sequences = ("--dataset", "davis16", "--root", chosen.davis, "--split", chosen.split)
    results = str(chosen.out / name)
    propagate = ("densevos-eval", "propagate", "--encoder", encoder, *sequences)

    # Not --resume: the encoder may have been trained further since the last run.
    yield (*propagate, "--out", results, "--overwrite")
    yield ("densevos-eval", "score", *sequences, "--results", results)
