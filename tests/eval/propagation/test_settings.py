"""Presets: published settings by name, and flags that win over them; `info` says what an encoder is."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.cli import dispatch
from densevos_eval.propagation.settings import PRESETS, PropagationConfig, PropagationOptions
from tests.eval.conftest import Benchmark


def test_without_a_preset_the_settings_are_the_defaults() -> None:
    assert PropagationOptions().config() == PropagationConfig() == PropagationOptions(preset="dul").config()


def test_presets_are_what_was_published() -> None:
    dino = PropagationOptions(preset="dino").config()
    assert (dino.context, dino.radius, dino.topk, dino.temperature) == (7, 12, 5, 0.1)
    assert (dino.window, dino.reference) == ("square", "near")
    crw = PropagationOptions(preset="crw").config()
    assert (crw.context, crw.radius, crw.topk, crw.temperature, crw.window) == (20, 12, 10, 0.05, "circle")
    mug = PropagationOptions(preset="mug").config()
    assert (mug.context, mug.radius, mug.topk, mug.reference, mug.labels) == (1, math.inf, "all", "none", "hard")
    release = PropagationOptions(preset="mug-release").config()
    assert (release.context, release.radius, release.topk, release.labels) == (1, math.inf, 5, "soft")
    layers = {name: preset.layer for name, preset in PRESETS.items()}
    assert layers == {"dul": "res4", "crw": "res3", "dino": None, "mug": "key", "mug-release": "x"}


def test_settings_are_recorded_as_strict_json() -> None:
    for preset in PRESETS.values():
        facts = json.loads(json.dumps(preset.config.facts(), allow_nan=False))
        assert PropagationConfig(**{**facts, "radius": float(facts["radius"])}) == preset.config


def test_flags_win_over_the_preset() -> None:
    mixed = PropagationOptions(preset="dino", topk=9, reference="everywhere", context=0).config()
    assert mixed == PropagationConfig(
        context=0, radius=12, window="square", reference="everywhere", topk=9, temperature=0.1
    )
    with pytest.raises(InputError, match="--topk"):
        PropagationOptions(preset="crw", topk=0).config()


@pytest.mark.parametrize("scale", [0, -1, float("nan"), 100])
def test_scales_that_cannot_work(scale: float) -> None:
    with pytest.raises(InputError, match="--scale"):
        EncoderOptions(encoder="random:resnet18", scale=scale)


def test_the_preset_chooses_the_layer_where_no_other_is_named() -> None:
    options = EncoderOptions(encoder="random:resnet18", device="cpu", scale=0.5)
    layers = [PropagationOptions(preset=preset).layer for preset in (None, "crw", "dino")]
    assert [options.load(preferred_layer=layer).layer for layer in layers] == ["res4", "res3", "res4"]
    assert EncoderOptions(encoder="random:resnet18@key", device="cpu").load(preferred_layer="res3").layer == "key"
    assert options.load().scale == 0.5


def test_info_tells_what_a_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, DenseEncoder(EncoderConfig(key_channels=16)), {"recipe": "dul_small"})
    dispatch(["info", str(tmp_path), "--layer", "res3", "--scale", "0.5"])
    text = " ".join(capsys.readouterr().out.split())
    for fact in (
        "kind densevos encoder",
        "architecture resnet18",
        "layer res3 (of res4, res3, key)",
        "channels 256",
        "stride 8 pixels",
        "mean 0.485 0.456 0.406",
        "features of 480x854 256x30x54",
        f"file {path}",
        f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}",
        '"recipe": "dul_small"',
    ):
        assert fact in text


def test_info_of_a_network_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["info", "torchvision:resnet18:none"])
    text = " ".join(capsys.readouterr().out.split())
    assert "kind torchvision architecture resnet18 parameters 11,176,512 layer res4 (of res2, res3, res4)" in text
    assert "sha256" not in text


def test_propagate_records_what_preset_and_flags_come_to(benchmark: Benchmark, tmp_path: Path) -> None:
    data = ["--dataset", "davis16", "--root", str(benchmark.root), "--sequences", "one"]
    method = ["--encoder", "random:resnet18", "--preset", "crw", "--topk", "3", "--scale", "2"]
    dispatch(["propagate", *data, *method, "--out", str(tmp_path / "out")])
    record = json.loads((tmp_path / "out" / "propagation.json").read_text())
    assert (record["layer"], record["scale"]) == ("res3", 2)
    assert record["propagation"] == {**asdict(PRESETS["crw"].config), "topk": 3}
