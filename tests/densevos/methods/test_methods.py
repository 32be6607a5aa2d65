"""The registry of methods, and what the engine takes from a method: losses to show, and the one
that picks the best.
"""

import json
from pathlib import Path

import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import LoopConfig, OptimiserConfig
from densevos.data.clips import ClipBatch, ClipSampler
from densevos.engine.learner import Learner, Losses
from densevos.engine.optimisation import optimise
from densevos.engine.reporter import Reporter
from densevos.engine.run import Run
from densevos.methods.registry import find_method, known_methods, read_config
from densevos.recipes import RECIPES


def test_methods_are_found_by_the_names_of_their_configurations() -> None:
    methods = known_methods()
    assert list(methods) == ["dul", "i2v", "mug"]
    assert all(method.config.METHOD == method.name == name for name, method in methods.items())
    assert {name: (method.best, method.file) for name, method in methods.items()} == {
        "dul": ("loss", "encoder.safetensors"),
        "mug": ("loss", "encoder.safetensors"),
        "i2v": ("segmentation", "model.safetensors"),
    }


def test_every_recipe_has_a_method() -> None:
    configs = {method.config for method in known_methods().values()}
    for recipe in RECIPES.values():
        assert recipe.__annotations__["return"] in configs


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dull", "method 'dull' is unknown; known are dul, i2v, mug"),
        ("nowhere_at_all:METHOD", "method nowhere_at_all:METHOD: cannot be imported"),
        ("densevos.recipes:demo", "method densevos.recipes:demo: is function, not a Method"),
        ("densevos.methods.mug:METHOD", "method densevos.methods.mug:METHOD: calls itself mug"),
    ],
)
def test_an_unknown_method_names_the_file(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"method": name}))
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    with pytest.raises(InputError, match="method"):
        find_method(name)


class Two(Learner[ClipBatch]):
    """One weight; nothing is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, batch: ClipBatch, generator: torch.Generator) -> Losses:
        return {"loss": self.weight.sum()}


def test_the_reporter_shows_and_judges_by_what_it_is_told(tmp_path: Path) -> None:
    learner = Two()
    parts = optimise(learner, {"": OptimiserConfig()}, 1, 3)
    run = Run(learner, parts, torch.amp.GradScaler("cpu", enabled=False))
    loop = LoopConfig(log_every=1, checkpoint_every=1, epochs=1)
    batch = ClipBatch(torch.zeros(2, 1, 3, 4, 4), ("a", "b"))

    best_steps = []
    with Reporter(
        run, loop, tmp_path, ClipSampler(6, 2, 1, 0), shown=("b", "loss", "absent"), best="b"
    ) as reporter:
        for step, (loss, b) in enumerate([(3.0, 0.5), (2.0, 0.25), (1.0, 0.75)], start=1):
            run.step = step
            reporter.after_step([batch], {"loss": loss, "b": b, "hidden": 0.0})
            best_steps.append(
                torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["step"]
            )
        status = reporter.bar.tasks[0].fields["status"]
        reporter.leave_out(["c: cannot be read"])

    assert status.startswith("b 0.750  loss 1.000  ")
    assert "hidden" not in status
    assert best_steps == [1, 2, 2]
    assert run.skipped == {"c: cannot be read"}
