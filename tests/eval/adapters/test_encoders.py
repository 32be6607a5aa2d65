"""Every kind of encoder behind one interface; files that cannot be used are refused, code in them
never runs.
"""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, normalise, save_encoder
from densevos_eval.adapters.encoder import load_encoder
from tests.eval.adapters.releases import NEW_NUMPY, OLD_NUMPY, optimiser_state, save_with_numpy

FRAMES = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> DenseEncoder:
    torch.manual_seed(3)
    return DenseEncoder(EncoderConfig(key_channels=16)).eval()


def released(network: DenseEncoder, prefix: str = "") -> dict[str, torch.Tensor]:
    """The network's weights under the names of the authors' snapshots."""
    names = {"trunk.": "fast_net.backbone.", "head.": "fast_net.emb_q."}
    weights = {}
    for name, tensor in network.state_dict().items():
        part = next(p for p in names if name.startswith(p))
        weights[prefix + names[part] + name.removeprefix(part)] = tensor
    return {**weights, prefix + "fast_net.backbone.fc.weight": torch.zeros(10, 512)}


@pytest.mark.parametrize("layer", ["res3", "res4", "key"])
def test_own_files_and_run_folders(network: DenseEncoder, tmp_path: Path, layer) -> None:
    save_encoder(tmp_path / "encoder.safetensors", network, {})
    with torch.no_grad():
        expected = torch.nn.functional.normalize(
            network.features(normalise(FRAMES), layer).float(), dim=1
        )
    for spec in (tmp_path / "encoder.safetensors", tmp_path):
        encoder = load_encoder(str(spec), layer=layer, device="cpu")
        assert encoder.stride == 8
        torch.testing.assert_close(encoder(FRAMES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_snapshots_by_key_mapping(
    network: DenseEncoder, tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "snapshot.pth"
    torch.save({"model": released(network, prefix), "epoch": 60}, path)
    save_encoder(tmp_path / "encoder.safetensors", network, {})
    for layer in ("res4", "key"):
        snapshot = load_encoder(str(path), layer=layer, device="cpu")
        own = load_encoder(str(tmp_path / "encoder.safetensors"), layer=layer, device="cpu")
        assert torch.equal(snapshot(FRAMES), own(FRAMES))


@pytest.mark.parametrize("module", [NEW_NUMPY, OLD_NUMPY])
@pytest.mark.parametrize("zipped", [True, False])
def test_snapshots_as_the_release_of_dul_writes_them(
    network: DenseEncoder, tmp_path: Path, module: str, zipped: bool
) -> None:
    """utils/checkpoints.py of the release: the score is the mean of J and F, a number of
    NumPy's.
    """
    path, score = tmp_path / "epoch060_score0.612_res4.pth", np.float64(0.612)
    content = {
        "model": released(network),
        "opt": optimiser_state(network),
        "score": score,
        "epoch": 60,
    }
    save_with_numpy(content, path, module, zipped=zipped)
    assert module.encode() in path.read_bytes()
    torch.save({"model": released(network)}, tmp_path / "weights.pth")
    snapshot, weights = (
        load_encoder(file, device="cpu") for file in (path, tmp_path / "weights.pth")
    )
    assert torch.equal(snapshot(FRAMES), weights(FRAMES))


class Command:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        return (os.system, ("touch exploded",))


class Loader:
    """Calls a function of NumPy's that reads files where it is unpickled."""

    def __reduce__(self):
        return (np.fromfile, ("whole.pth",))


@pytest.mark.parametrize("stranger", [Command(), Loader()])
def test_snapshots_with_code_beside_the_score_are_refused_and_not_run(
    network: DenseEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: object
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(
        {"model": released(network), "score": np.float64(0.6), "opt": stranger}, "snapshot.pth"
    )
    with pytest.raises(
        InputError, match=r"snapshot\.pth: .*holds pickled code .*, which is not run"
    ):
        load_encoder("snapshot.pth", device="cpu")
    assert not Path("exploded").exists()


def test_random_encoders_follow_their_seed() -> None:
    first, again, other = (
        load_encoder(f"random:resnet18{seed}", device="cpu")(FRAMES) for seed in ("", ":0", ":1")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert load_encoder("random:resnet50", device="cpu")(FRAMES).shape == (1, 2048, 4, 6)


def test_bf16_is_close_to_fp32() -> None:
    exact, rough = (
        load_encoder("random:resnet18", device="cpu", precision=p)(FRAMES) for p in ("fp32", "bf16")
    )
    assert rough.dtype == torch.float32
    assert float((exact * rough).sum(1).min()) > 0.995


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_files_that_cannot_be_used(
    network: DenseEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.pth"
    torch.save({"model": released(network)}, whole)
    files = {
        "cut.pth": whole.read_bytes()[:5000],
        "text.pth": b"no weights at all",
        "bomb.pth": pickle.dumps({"model": Bomb()}),
        "cut.safetensors": b"\x00" * 20,
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
    torch.save({"model": Bomb()}, "bomb2.pth")
    torch.save({"state_dict": {}}, "other.pth")
    torch.save({"model": {"conv.weight": torch.zeros(1)}}, "foreign.pth")
    torch.save({"model": {k: v[:1] for k, v in released(network).items() if v.ndim}}, "shapes.pth")
    for name in [
        *files,
        "bomb2.pth",
        "other.pth",
        "foreign.pth",
        "shapes.pth",
        "none.pth",
        "none.safetensors",
    ]:
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            load_encoder(name, device="cpu")
    assert not Path("exploded").exists()


@pytest.mark.parametrize("spec", ["random:vgg", "random:resnet18:x", "random:resnet18:1:2"])
def test_unknown_random_networks(spec: str) -> None:
    with pytest.raises(InputError, match=spec):
        load_encoder(spec, device="cpu")


@pytest.mark.parametrize("device", ["foo", "cuda:99", "cuda:x"])
def test_devices_that_are_not_there_are_told_in_one_line(device: str) -> None:
    with pytest.raises(
        InputError, match=f"--device {device}: cannot be used .*; take cpu, cuda, mps or auto"
    ):
        load_encoder("random:resnet18", device=device)
