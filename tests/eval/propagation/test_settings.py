"""Presets: published settings by name, and flags that win over them; `info` says what an encoder
is.
"""

import hashlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.cli import dispatch
from densevos_eval.presets.options import PropagationOptions
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.settings import PropagationConfig, Setup
from tests.eval.conftest import Benchmark


def propagation_of(**options: Any) -> PropagationConfig:
    return PropagationOptions(**options).setup().propagation


def test_without_a_preset_the_settings_are_the_defaults() -> None:
    assert propagation_of() == PropagationConfig() == propagation_of(preset="dul")
    assert PropagationOptions().setup() == Setup()


def test_presets_are_what_was_published() -> None:
    dino = propagation_of(preset="dino")
    assert (dino.context, dino.radius, dino.topk, dino.temperature) == (7, 12, 5, 0.1)
    assert (dino.window, dino.reference, dino.early_context, dino.ties) == (
        "square",
        "near",
        "none",
        "all",
    )
    crw = propagation_of(preset="crw")
    assert (crw.context, crw.radius, crw.topk, crw.temperature, crw.window) == (
        20,
        12,
        10,
        0.05,
        "circle",
    )
    mug = propagation_of(preset="mug")
    assert (mug.context, mug.radius, mug.topk, mug.reference, mug.labels) == (
        1,
        math.inf,
        "all",
        "none",
        "hard",
    )
    release = propagation_of(preset="mug-release")
    assert (release.context, release.radius, release.topk, release.labels) == (
        1,
        math.inf,
        5,
        "soft",
    )
    layers = {name: preset.setup.layer for name, preset in PRESETS.items()}
    assert layers == {
        **{
            "crw": "res3",
            "dul": "res4",
            "mug": "key",
            "mug-release": "x",
            "uvc": "res4",
            "vfs": "res3",
        },
        **dict.fromkeys(("cropmae", "dino", "dinov3", "rsp")),
        "vfs-r50": "res3",
    }


def test_settings_are_recorded_as_strict_json() -> None:
    for preset in PRESETS.values():
        for one in (preset, *preset.variants.values()):
            facts = json.loads(json.dumps(one.setup.propagation.facts(), allow_nan=False))
            assert (
                PropagationConfig(**{**facts, "radius": float(facts["radius"])})
                == one.setup.propagation
            )
            for config in (one.setup.frames, one.setup.masks):
                assert (
                    type(config)(**json.loads(json.dumps(asdict(config), allow_nan=False)))
                    == config
                )


def test_flags_win_over_the_preset() -> None:
    options = PropagationOptions(
        preset="dino", topk=9, reference="everywhere", context=0, long_side=320, stretched=False
    )
    setup, preset = options.setup(), PRESETS["dino"].setup
    assert setup.propagation == replace(
        preset.propagation, context=0, reference="everywhere", topk=9
    )
    assert setup.frames == replace(preset.frames, short_side=None, long_side=320)
    assert setup.masks == replace(preset.masks, stretched=False)
    with pytest.raises(InputError, match="--topk"):
        PropagationOptions(preset="crw", topk=0).setup()
    with pytest.raises(InputError, match="--short-side and --long-side: give one of them"):
        PropagationOptions(preset="crw", short_side=3, long_side=4).setup()
    with pytest.raises(
        InputError, match="--frame-size 480: must be HEIGHTxWIDTH in pixels, such as 480x880"
    ):
        PropagationOptions(frame_size="480").setup()


def test_a_preset_has_variants_for_benchmarks() -> None:
    crw, jhmdb = PropagationOptions(preset="crw"), PropagationOptions(preset="crw").setup("jhmdb")
    assert crw.setup("davis17") == crw.setup() != jhmdb
    assert (jhmdb.frames.frame_size, jhmdb.masks.joints, jhmdb.masks.joint_cells) == (
        "320x320",
        "cells",
        3,
    )
    assert PropagationOptions(preset="uvc").setup("vip").propagation.context == 1


@pytest.mark.parametrize("scale", [0, -1, float("nan"), 100])
def test_scales_that_cannot_work(scale: float) -> None:
    with pytest.raises(InputError, match="--scale"):
        EncoderOptions(encoder="random:resnet18", scale=scale)


def test_the_preset_chooses_the_layer_where_no_other_is_named() -> None:
    options = EncoderOptions(encoder="random:resnet18", device="cpu", scale=0.5)
    layers = [PropagationOptions(preset=preset).setup().layer for preset in (None, "crw", "dino")]
    assert [options.load(preferred_layer=layer).layer for layer in layers] == [
        "res4",
        "res3",
        "res4",
    ]
    assert (
        EncoderOptions(encoder="random:resnet18@key", device="cpu")
        .load(preferred_layer="res3")
        .layer
        == "key"
    )
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
    assert (
        "kind torchvision architecture resnet18 parameters 11,176,512 layer res4 (of res2, res3, "
        "res4)" in text
    )
    assert "sha256" not in text


def test_propagate_records_what_preset_and_flags_come_to(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    data = ["--dataset", "davis16", "--root", str(benchmark.root), "--sequences", "one"]
    method = ["--encoder", "random:resnet18", "--preset", "crw", "--topk", "3", "--scale", "2"]
    dispatch(["propagate", *data, *method, "--out", str(tmp_path / "out")])
    record = json.loads((tmp_path / "out" / "propagation.json").read_text())
    assert (record["layer"], record["scale"]) == ("res3", 2)
    assert record["propagation"] == {**asdict(PRESETS["crw"].setup.propagation), "topk": 3}
