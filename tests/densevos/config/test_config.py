"""Strict JSON round trip, cross-field checks, and every shipped recipe."""

import dataclasses
import inspect
import json
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from densevos.config import TrainConfig, from_dict, to_dict
from densevos.methods import mug, self_training
from densevos.methods.registry import read_config, write_config
from densevos.recipes import RECIPES


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith("i2v")])
def test_every_recipe_builds_and_survives_the_round_trip(name: str, tmp_path: Path) -> None:
    folders = len(inspect.signature(RECIPES[name]).parameters)
    config = RECIPES[name](*[Path("somewhere")] * folders)
    config.check()
    write_config(tmp_path / "config.json", config)
    assert read_config(tmp_path / "config.json") == config
    methods = {method.METHOD.name: method for method in (self_training, mug)}
    learner = methods[config.METHOD].make_learner(config)
    assert learner.encoder.config == config.encoder


def test_recipes_are_the_published_ones() -> None:
    def row(name: str) -> tuple:
        config = RECIPES[name](Path("x"))
        o = config.optimiser
        return (
            o.name,
            o.lr,
            o.weight_decay,
            o.decay_every,
            o.decay_factor,
            config.loop.epochs,
            config.clips.gap,
        )

    assert row("dul_ytvos") == ("adam", 1e-4, 5e-4, 100, 0.5, 500, 2)
    assert row("dul_oxuva") == ("adam", 1e-4, 5e-4, 100, 0.5, 500, 10)
    assert row("dul_kinetics") == ("sgd", 1e-3, 5e-4, 20, 0.5, 80, 10)
    assert row("dul_trackingnet") == ("sgd", 1e-3, 5e-4, 20, 0.9, 250, 10)
    for name in ("dul_ytvos", "dul_oxuva", "dul_kinetics", "dul_trackingnet"):
        config = RECIPES[name](Path("x"))
        assert (config.loop.batch, config.clips.frames, config.clips.size) == (16, 5, 256)
        assert config.optimiser.betas == (0.5, 0.999)
        objective = config.objective
        assert (objective.anchor_grid, objective.cross_view_grid) == (8, 4)
        assert (objective.temperature, objective.cross_view_weight) == (0.05, 0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["clips"].update(sizes=3), "unknown key clips.sizes; known are frames"),
        (lambda d: d.update(extra=1), "unknown key extra"),
        (lambda d: d["loop"].pop("seed"), "key loop.seed is missing"),
        (lambda d: d["clips"].update(size="big"), "clips.size: 'big' is not int"),
        (lambda d: d["clips"].update(flip=1), "clips.flip: 1 is not bool"),
        (lambda d: d["encoder"].update(architecture="vgg"), "encoder.architecture: 'vgg' is not"),
        (lambda d: d["views"].update(zoom=[0.5]), "views.zoom"),
        (lambda d: d.update(loop=3), "loop: must be an object"),
    ],
)
def test_a_configuration_that_does_not_fit_names_the_key(
    tiny: TrainConfig, tmp_path: Path, change, reason
) -> None:
    values = to_dict(tiny)
    change(values)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_missing_and_broken_configuration_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such configuration file"):
        read_config(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_config(tmp_path / "broken.json")


def test_numbers_keep_their_kind(tiny: TrainConfig) -> None:
    values = to_dict(tiny)
    values["optimiser"]["lr"] = 1
    values["optimiser"]["clip_gradient"] = 2.5
    del values["loop"]["accumulate"]  # files of older runs lack it
    config = from_dict(TrainConfig, values)
    assert config.loop.accumulate == 1
    assert isinstance(config.optimiser.lr, float)
    assert config.optimiser.clip_gradient == 2.5


@pytest.mark.parametrize(
    ("part", "values", "flag"),
    [
        ("clips", {"frames": 1}, "--clips.frames"),
        ("clips", {"size": 36}, "--clips.size"),
        ("clips", {"short_side": (16, 40)}, "--clips.short-side"),
        ("views", {"zoom": (0.0, 1.0)}, "--views.zoom"),
        ("objective", {"anchor_grid": 5}, "--objective.anchor-grid"),
        ("objective", {"cross_view_grid": 9}, "--objective.cross-view-grid"),
        ("encoder", {"key_channels": 0}, "--encoder.key-channels"),
        ("optimiser", {"betas": (0.9, 1.0)}, "--optimiser.betas"),
        ("optimiser", {"weight_decay": -1.0}, "--optimiser.weight-decay"),
        ("optimiser", {"clip_gradient": 0.0}, "--optimiser.clip-gradient"),
        ("loop", {"seed": -1}, "--loop.seed"),
        ("loop", {"batch": 0}, "--loop.batch"),
    ],
)
def test_values_that_cannot_work_name_their_flag(
    tiny: TrainConfig, part: str, values: dict, flag: str
) -> None:
    tiny.check()
    broken = dataclasses.replace(tiny, **{part: dataclasses.replace(getattr(tiny, part), **values)})
    with pytest.raises(InputError, match=flag):
        broken.check()
