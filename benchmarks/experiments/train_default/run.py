"""The encoder that comes with the package, trained and compared (scripts/train_default.sh)."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import commands, settings
from experiments.jobs import Job, Steps, run_jobs

HERE = Path(__file__).resolve().parent
CLIPS_TEXT = """
--train 192 --val 8 --seed 1 --frames 16 --blur-steps 1 --smallest-crop 0.15
--min-area 0.03 --max-area 0.25 --max-objects 4 --speed 0.02 --dashes 0.25
--turn 0.06 --stretch 0.03 --ripple 0.01 --pan 0.015 --light 0.03
"""
CLIPS = tuple(shlex.split(CLIPS_TEXT))
"""Options of `densevos data synth`.

Objects, camera and light change about twice as fast as in the demo's clips.
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/train_default.sh documents."""

    out: Path
    davis: str = ""
    split: str = "dev"
    objects: str = ""
    others: Sequence[str] = ()
    train_options: Sequence[str] = ()


def run(environ: settings.Environment, options: Sequence[str]) -> None:
    """Copy photographs, make clips, train, and write OUT/default.safetensors.

    Where DAVIS is given, the encoder is evaluated as well. With --dry-run among the options, the
    commands are printed instead.
    """
    chosen = Settings(
        out=settings.working_folder(environ, "train_default"),
        davis=settings.text(environ, "DAVIS", ""),
        split=settings.text(environ, "SPLIT", "dev"),
        objects=settings.text(environ, "OBJECTS", ""),
        others=settings.words(environ, "OTHERS", "random=random:resnet18"),
        train_options=[option for option in options if option != "--dry-run"],
    )
    if "--dry-run" in options:
        print(*map(shlex.join, steps(chosen)), sep="\n")
        return

    chosen.out.mkdir(parents=True, exist_ok=True)
    run_jobs([Job(name="train_default", steps=steps(chosen))])


def steps(chosen: Settings) -> Steps:
    """All commands; what is finished is kept, and training goes on where it was stopped."""
    stills, clips, model = chosen.out / "stills", chosen.out / "clips", chosen.out / "run"

    # The list is written last, so the clips are complete where it is there.
    listed = clips / "train_videos.txt"

    if not listed.exists():
        yield ("python", str(HERE / "stills.py"), str(stills))
        synth = ("densevos", "data", "synth", "--photographs", str(stills), *CLIPS)
        yield (*synth, "--out", str(clips), "--overwrite")

    yield commands.train("dul_default", "--data", str(listed), out=model, more=chosen.train_options)

    # Half precision: a file of half the size comes with the package.
    export = ("densevos", "export", str(model / "encoder.safetensors"), "--half")
    if chosen.davis:
        # The exported weights are evaluated, not those of the run: they are what users get.
        measured = str(chosen.out / "measured.safetensors")
        yield (*export, "--out", measured)
        for pair in (f"default={measured}", *chosen.others):
            yield from evaluated(chosen, *pair.split("=", 1))

        yield from commands.gathered("train_default", chosen.out)

    # Scores, where there are any, become part of the card, so the file is exported once more.
    about = str(chosen.out / "about.json")
    yield ("python", str(HERE / "about.py"), str(chosen.out), about)
    yield (*export, "--about", about, "--out", str(chosen.out / "default.safetensors"))


def evaluated(chosen: Settings, name: str, encoder: str) -> Steps:
    """Propagate the first masks with an encoder, and score; on OBJECTS too, where that is given."""
    sets = {"davis": ("--dataset", "davis16", "--root", chosen.davis, "--split", chosen.split)}
    if chosen.objects:
        sets["objects"] = ("--dataset", "folder", "--root", chosen.objects)

    for title, sequences in sets.items():
        results = str(chosen.out / title / name)
        propagate = ("densevos-eval", "propagate", "--encoder", encoder, *sequences)
        yield (*propagate, "--out", results, "--resume")
        yield ("densevos-eval", "score", *sequences, "--results", results)
