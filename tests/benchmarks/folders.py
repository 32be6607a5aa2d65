"""What trainings, evaluations and commands leave behind: for tests that run neither."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from densevos.config import I2VConfig
from densevos.methods.registry import write_config
from densevos.recipes import RECIPES
from experiments import reports
from experiments.jobs import Command, Job


class Pretended:
    """Instead of `run_jobs`: writes down every command, and leaves what `leave` makes of it."""

    def __init__(self, leave: Callable[[Command], None]):
        self.leave = leave
        self.called: list[str] = []
        self.at_once: list[int] = []

    def __call__(self, jobs: Iterable[Job], *, at_once: int = 1) -> None:
        self.at_once.append(at_once)
        for job in jobs:
            for command in job.steps:
                self.called.append(" ".join(command))
                self.leave(command)

    def starting(self, start: str) -> list[str]:
        """The commands that start so."""
        return [command for command in self.called if command.startswith(start)]


def option(command: Command, name: str) -> Path:
    """The value of an option that is a path."""
    return Path(command[command.index(name) + 1])


def leave_of_segmentation(command: Command) -> None:
    """The files by which trained, segmented and scored is known."""
    match command[:2]:
        case ("densevos", "data"):
            if "--write-names" in command:
                option(command, "--write-names").touch()
            else:
                option(command, "--out").mkdir(parents=True)
        case ("densevos", "train"):
            option(command, "--out").mkdir(parents=True, exist_ok=True)
            (option(command, "--out") / "model.safetensors").touch()
        case ("densevos-eval", "segment"):
            option(command, "--out").mkdir(parents=True, exist_ok=True)
            (option(command, "--out") / "segment.json").touch()
        case ("densevos-eval", "zeroshot"):
            option(command, "--out").mkdir(parents=True, exist_ok=True)
            (option(command, "--out") / "propagation.json").touch()
        case ("densevos-eval", "score"):
            (option(command, "--results") / "results.json").touch()


def gathered(
    capsys: pytest.CaptureFixture, name: str, *arguments: str, result: str | None = None
) -> tuple[str, Any]:
    """What gathering prints, and the JSON of its last line."""
    reports.gather(name, *arguments, result=result)
    said = capsys.readouterr().out
    return said, json.loads(said.splitlines()[-1])


def make_config(recipe: str, seed: int, epochs: int = 30, **options: Any) -> I2VConfig:
    config = RECIPES[recipe](("coco:COCO",))
    assert isinstance(config, I2VConfig)
    loop = dataclasses.replace(config.loop, seed=seed, epochs=epochs)
    return dataclasses.replace(config, loop=loop, **options)


def write_trained(folder: Path, config: I2VConfig) -> None:
    """What a run of 40 steps leaves behind, but for its log and weights."""
    folder.mkdir(parents=True)
    write_config(folder / "config.json", config)
    (folder / "model.json").write_text(
        json.dumps({"training": {"steps": 40, "seconds": 90, "began": "at random"}})
    )
    record = {
        "git_commit": folder.parent.name,
        "machine": {"processor": "abacus"},
        "versions": {"torch": "2"},
    }
    (folder / "provenance.json").write_text(json.dumps(record))


def write_results(folder: Path, miou: float) -> None:
    folder.mkdir(parents=True)
    classes = {"sky": {"IoU": miou}, "sign": {"IoU": None}}
    (folder / "results.json").write_text(
        json.dumps({"overall": {"mIoU": miou}, "classes": classes})
    )


def write_run(
    folder: Path, scores: dict[str, float], config: I2VConfig, metrics: dict[str, list[float]]
) -> None:
    """A run of 40 steps, scored: metrics that hold at first, and, if there are two, in the last
    tenth.
    """
    for judged, score in scores.items():
        write_results(folder / judged, score)
    write_trained(folder / "run", config)
    lines = [
        {"step": k, **{name: one[0 if k <= 36 else -1] for name, one in metrics.items()}}
        for k in range(1, 41)
    ]
    (folder / "run" / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
