"""Where scalars and pictures of a run go."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from densevos.base.errors import InputError
from densevos.engine.logging import MetricsLog


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=True)
    accumulator.Reload()
    return accumulator


def test_a_resumed_run_has_every_step_once(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": float(step), "clips_per_second": 9.0})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    with MetricsLog(tmp_path, first_step=2) as log:
        log.write(3, {"loss": 30.0})

    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    scalars = events(tmp_path).Scalars("loss")
    assert [(scalar.step, scalar.value) for scalar in scalars] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_pictures_are_in_tensorboard(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.show(7, {"labels": torch.rand(3, 8, 24)})
    (image,) = events(tmp_path).Images("panels/labels")
    assert (image.step, image.height, image.width) == (7, 8, 24)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


class FakeRun:
    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.finished = False

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished = True


def test_weights_and_biases_gets_what_the_others_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[dict[str, Any], FakeRun]] = []

    def init(**options: Any) -> FakeRun:
        runs.append((options, FakeRun()))
        return runs[-1][1]

    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(init=init, Image=lambda pixels: pixels)
    )
    for folder in ("one", "one", "two"):
        (tmp_path / folder).mkdir(exist_ok=True)
        with MetricsLog(tmp_path / folder, wandb="videos") as log:
            log.write(3, {"loss": 0.5})
            log.show(3, {"labels": torch.ones(3, 4, 6)})

    options, run = runs[0]
    assert (options["project"], options["name"], options["resume"]) == ("videos", "one", "allow")
    first, again, other = (options["id"] for options, _ in runs)
    assert first == again != other
    assert run.logged[0] == (3, {"loss": 0.5})
    pixels = run.logged[1][1]["panels/labels"]
    np.testing.assert_array_equal(pixels, np.full((4, 6, 3), 255, np.uint8))
    assert run.finished


def test_without_wandb_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"pip install 'densevos\[wandb\]'"):
        MetricsLog(tmp_path, wandb="videos")


def test_without_tensorboard_a_note_says_so_and_losses_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # Its import fails.
    with MetricsLog(tmp_path) as log:
        log.write(1, {"loss": 0.5})
        log.show(1, {"frames": torch.zeros(3, 4, 4)})
    assert "pip install 'densevos[tensorboard]'" in capsys.readouterr().err
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5}
    assert not (tmp_path / "tensorboard").exists()
