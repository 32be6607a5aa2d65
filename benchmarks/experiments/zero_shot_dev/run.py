"""Objects found without a first mask or training, on DAVIS-2016 (scripts/zero_shot_dev.sh)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from experiments import commands, settings
from experiments.jobs import Job, Steps, run_jobs

METHODS = ("motion", "consensus")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/zero_shot_dev.sh documents."""

    davis: str
    out: Path
    split: str = "dev"
    encoder: str | None = None


def run(environ: settings.Environment, more: Sequence[str]) -> None:
    """Segment with every method, score, and gather the results.

    Raises:
        InputError: DAVIS is not set, or there are options, which this experiment has none of.
    """
    if more:
        raise InputError(f"{more[0]}: zero_shot_dev takes no options, since it trains nothing")

    chosen = Settings(
        davis=settings.required(environ, "DAVIS", "the root of DAVIS"),
        out=settings.working_folder(environ, "zero_shot_dev"),
        split=settings.text(environ, "SPLIT", "dev"),
        encoder=settings.text(environ, "ENCODER", "") or None,
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    run_jobs([Job(name="zero_shot_dev", steps=steps(chosen))])


def steps(chosen: Settings) -> Steps:
    """All commands; sequences that are done are not done again."""
    for method in METHODS:
        yield from found(chosen, method, "--method", method)

    if chosen.encoder:
        yield from found(
            chosen, "consensus_encoder", "--method", "consensus", "--encoder", chosen.encoder
        )

    yield from commands.gathered("zero_shot_dev", chosen.out)


def found(chosen: Settings, name: str, *options: str) -> Steps:
    """Segment with one method, and score its masks with the CRF and without."""
    sequences = ("--dataset", "davis16", "--root", chosen.davis, "--split", chosen.split)
    results = chosen.out / name
    yield ("densevos-eval", "zeroshot", *options, *sequences, "--out", str(results), "--resume")

    # The command writes masks without the CRF into a folder of their own below.
    for masks in (results, results / "no-crf"):
        if not (masks / "results.json").is_file():
            yield ("densevos-eval", "score", *sequences, "--results", str(masks))
