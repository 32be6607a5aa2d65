"""Two encoders under every published protocol, on DAVIS-2016 (scripts/protocol_effects.sh)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.base.sizes import size_text
from densevos_eval.presets.registry import PRESETS
from experiments import commands, settings
from experiments.jobs import Job, Steps, run_jobs

LAYER = "res4"  # The same features under every protocol, whichever layer a preset compares.
UNTRAINED = "random:resnet18"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/protocol_effects.sh documents."""

    davis: str
    encoder: str
    out: Path
    split: str = "dev"
    sequences: Sequence[str] = ()
    presets: Sequence[str] = ()


def of_programs() -> str:
    """The names of all presets of a published program."""
    return " ".join(name for name, preset in PRESETS.items() if preset.program)


def run(environ: settings.Environment, more: Sequence[str]) -> None:
    """Propagate and score with both encoders under every protocol, and gather the results.

    Raises:
        InputError: DAVIS or ENCODER is not set, PRESETS names an unknown one, or there are options.
    """
    if more:
        raise InputError(f"{more[0]}: protocol_effects takes no options, since it trains nothing")

    chosen = Settings(
        davis=settings.required(environ, "DAVIS", "the root of DAVIS"),
        encoder=settings.required(environ, "ENCODER", "a trained encoder"),
        out=settings.working_folder(environ, "protocol_effects"),
        split=settings.text(environ, "SPLIT", "dev"),
        sequences=settings.words(environ, "SEQUENCES", ""),
        presets=settings.words(environ, "PRESETS", of_programs()),
    )
    settings.check_known("PRESETS", chosen.presets, PRESETS)
    chosen.out.mkdir(parents=True, exist_ok=True)
    run_jobs([Job(name="protocol_effects", steps=steps(chosen))])


def steps(chosen: Settings) -> Steps:
    """All commands; sequences and scores that are done are not done again."""
    for preset in chosen.presets:
        for name, encoder in (("random", UNTRAINED), ("trained", chosen.encoder)):
            yield from scored(chosen, preset, encoder, chosen.out / name / preset)

    yield from commands.gathered("protocol_effects", chosen.out)


def scored(chosen: Settings, preset: str, encoder: str, results: Path) -> Steps:
    """Propagate the first masks under one protocol, and score."""
    sequences = ["--dataset", "davis16", "--root", chosen.davis, "--split", chosen.split]
    if chosen.sequences:
        sequences += ["--sequences", *chosen.sequences]

    method = ("--encoder", encoder, "--layer", LAYER, "--preset", preset)
    yield ("densevos-eval", "propagate", *method, *sequences, "--out", str(results), "--resume")
    if not (results / "results.json").is_file():
        # Some programs score at another size than that of the annotations.
        size = PRESETS[preset].annotation_size
        at_size = ("--annotation-size", size_text(size)) if size else ()
        options = ("--no-stability", "--results", str(results))
        yield ("densevos-eval", "score", *sequences, *at_size, *options)
