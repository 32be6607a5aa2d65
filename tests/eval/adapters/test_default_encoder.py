"""The encoder that comes with the package: --encoder default, and what a command takes when none is
named.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from densevos.base.errors import InputError
from densevos.commands.models import export
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos.models.encoder import load_encoder as load_own
from densevos_eval.adapters import own
from densevos_eval.adapters.describe import facts
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.options import EncoderOptions

ABOUT = {"licence": "Apache-2.0", "data": ["a photograph (CC0 1.0)", "another one (CC BY 4.0)"]}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A small encoder file with a card."""
    torch.manual_seed(0)
    network = DenseEncoder(EncoderConfig(last="res3", key_channels=16))
    training = {"steps": 3, "config": {"data": str(tmp_path / "clips.txt")}}
    save_encoder(tmp_path / "encoder.safetensors", network, training)
    return tmp_path / "encoder.safetensors"


@pytest.fixture
def shipped(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the file in the package, exported as that one is."""
    about = tmp_path / "about.json"
    about.write_text(json.dumps(ABOUT))
    out = tmp_path / "default.safetensors"
    export(encoder, out, half=True, about=about)
    monkeypatch.setattr(own, "SHIPPED", out)
    return out


def test_no_encoder_named_means_the_one_of_the_package(shipped: Path) -> None:
    frames = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    named = load_encoder(str(shipped), device="cpu")(frames)
    for encoder in (
        load_encoder(device="cpu"),
        load_encoder("default", device="cpu"),
        EncoderOptions().load(),
    ):
        assert torch.equal(encoder(frames.to(encoder.device)).cpu(), named)
    assert facts(replace(encoder, device=torch.device("cpu")))["encoder"] == "default"


def test_facts_name_data_and_licences(shipped: Path) -> None:
    lines = facts(load_encoder("default", device="cpu"))
    assert lines["licence"] == "Apache-2.0"
    assert lines["data"].split("\n    ") == ["", *ABOUT["data"]]
    assert lines["kind"] == "densevos encoder"


def test_half_is_half_the_size_and_loads_as_float32(encoder: Path, shipped: Path) -> None:
    assert shipped.stat().st_size < 0.51 * encoder.stat().st_size
    whole, card = load_own(encoder)
    halved, about = load_own(shipped)
    assert about == json.loads(shipped.with_suffix(".json").read_text())
    card["training"]["config"]["data"] = "clips.txt"  # without the folder, which others do not have
    assert about == {**card, "about": ABOUT}
    for name, tensor in halved.state_dict().items():
        assert tensor.dtype == whole.state_dict()[name].dtype
        torch.testing.assert_close(tensor, whole.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_missing_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "SHIPPED", tmp_path / "default.safetensors")
    with pytest.raises(
        InputError, match=r"^--encoder default: .*default.safetensors; install densevos again.*$"
    ):
        load_encoder()


@pytest.mark.parametrize("text", ["{", "[]", '{"data": 3}', '{"data": [3]}'])
def test_unusable_facts_are_refused(encoder: Path, tmp_path: Path, text: str) -> None:
    about = tmp_path / "about.json"
    about.write_text(text)
    with pytest.raises(InputError, match=r"^--about .*about.json"):
        export(encoder, tmp_path / "out.safetensors", about=about)
    assert not (tmp_path / "out.safetensors").exists()


def test_the_file_in_the_package_is_small_and_says_what_it_learned_from() -> None:
    assert own.SHIPPED.stat().st_size < 12e6
    encoder = load_encoder(device="cpu")
    assert encoder.source is not None
    card = dict(encoder.source.card)
    assert card == json.loads(own.SHIPPED.with_suffix(".json").read_text())
    assert card["training"]["git_commit"]
    assert card["training"]["config"]["loop"]["seed"] == 0
    assert all("(CC" in line or "(public domain)" in line for line in card["about"]["photographs"])
    assert any(
        line.startswith("DAVIS-2016 sequences (10), this encoder: J ")
        for line in card["about"]["scores"]
    )
