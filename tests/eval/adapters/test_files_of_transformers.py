"""Vision transformers from the files of their authors: MAE, CropMAE, DINO, iBOT, MoCo v3, DINOv2,
DINOv3.
"""

import argparse
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.encoder import normalise
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.cli import dispatch
from tests.eval.adapters.plain_vit import forward, make_weights
from tests.eval.adapters.releases import before

timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'densevos[timm]'")

TINY = "vit_tiny_patch16_224"
FRAMES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
WEIGHTS = make_weights()
OTHER = {name: tensor.flip(0) for name, tensor in WEIGHTS.items()}
DECODER = {
    "mask_token": torch.zeros(1, 1, 8),
    "decoder_embed.weight": torch.zeros(8, 192),
    "decoder_pos_embed": torch.zeros(1, 197, 8),
    "decoder_blocks.0.norm1.weight": torch.zeros(8),
    "decoder_blocks.0.attn.qkv.weight": torch.zeros(24, 8),
    "decoder_norm.weight": torch.zeros(8),
    "decoder_pred.weight": torch.zeros(768, 8),
}
HEAD = {"head.mlp.0.weight": torch.zeros(8, 192), "head.last_layer.weight_g": torch.zeros(8, 1)}
ARGS = argparse.Namespace(output_dir=Path("runs/7"), lr=1e-4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


FILES = {
    "mae": {"model": WEIGHTS},
    "mae with decoder": {"model": WEIGHTS | DECODER},
    "cropmae": {
        "model": WEIGHTS | DECODER,
        "optimizer": {},
        "epoch": 399,
        "scaler": {"scale": 1.0},
        "args": ARGS,
    },
    "dino": WEIGHTS,
    "dino full": {
        "student": before("module.backbone.", OTHER) | before("module.", HEAD),
        "teacher": before("backbone.", WEIGHTS) | HEAD,
        "optimizer": {"state": {}, "param_groups": []},
        "epoch": 100,
        "args": ARGS,
        "dino_loss": {"center": torch.zeros(1, 8)},
    },
    "ibot": {"state_dict": WEIGHTS | {"masked_embed": torch.zeros(1, 192)}},
    "moco v3": {
        "epoch": 300,
        "arch": "vit_small",
        "state_dict": before(
            "module.base_encoder.", WEIGHTS | {"head.0.weight": torch.zeros(8, 192)}
        )
        | before("module.momentum_encoder.", OTHER | {"head.0.weight": torch.zeros(8, 192)})
        | {"module.predictor.0.weight": torch.zeros(8, 8)},
    },
    "average": {"model": before("module.", WEIGHTS), "model_ema": before("module.", OTHER)},
    "lightning": {"state_dict": before("model.encoder.", WEIGHTS), "hyper_parameters": {"lr": 0.1}},
    "half": {name: tensor.half().float().half() for name, tensor in WEIGHTS.items()},
}


@pytest.mark.parametrize("kind", FILES)
def test_files_give_what_their_authors_network_gives(tmp_path: Path, kind: str) -> None:
    """Frames are normalised by ImageNet's statistics, and positions interpolated as in the authors'
    programs.
    """
    path = tmp_path / "weights.pth"
    torch.save(FILES[kind], path)
    encoder = load_encoder(f"timm:{TINY}:{path}", positions="dino", device="cpu")
    weights = (
        {name: tensor.half().float() for name, tensor in WEIGHTS.items()}
        if kind == "half"
        else WEIGHTS
    )
    torch.testing.assert_close(
        encoder(FRAMES), forward(weights, normalise(FRAMES)), rtol=1e-3, atol=2e-5
    )
    assert encoder(FRAMES).dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "of"),
    [("dino full", "student"), ("moco v3", "momentum_encoder"), ("average", "model_ema")],
)
def test_another_of_the_networks_in_a_file(tmp_path: Path, kind: str, of: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(FILES[kind], path)
    encoder = load_encoder(f"timm:{TINY}:{path}", weights_of=of, positions="dino", device="cpu")
    torch.testing.assert_close(
        encoder(FRAMES), forward(OTHER, normalise(FRAMES)), rtol=1e-3, atol=2e-5
    )


def test_networks_that_a_file_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(FILES["moco v3"], path)
    message = r"weights\.pth: holds no network teacher; it has base_encoder, momentum_encoder"
    with pytest.raises(InputError, match=message):
        load_encoder(f"timm:{TINY}:{path}", weights_of="teacher", device="cpu")
    torch.save(WEIGHTS, path)
    with pytest.raises(
        InputError, match=r"holds no network teacher; it has one network, so leave --weights-of out"
    ):
        load_encoder(f"timm:{TINY}:{path}", weights_of="teacher", device="cpu")
    for spec in ("random:resnet18", f"timm:{TINY}:none", f"timm:{TINY}"):
        with pytest.raises(
            InputError, match="--weights-of teacher: is for FILE, torchvision:NAME:FILE"
        ):
            load_encoder(spec, weights_of="teacher", device="cpu")


@pytest.mark.parametrize("grid", [14, 10])
def test_tables_of_other_sizes_are_interpolated_once(tmp_path: Path, grid: int) -> None:
    weights, path = make_weights(grid=grid), tmp_path / "weights.safetensors"
    safetensors.torch.save_file(weights, path)
    encoder = load_encoder(f"timm:{TINY}:{path}", positions="dino", device="cpu")
    for height, width in ((160, 160), (224, 224), (112, 320)):
        frames = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(
            encoder(frames), forward(weights, normalise(frames)), rtol=1e-3, atol=2e-5
        )


def test_positions_by_timm_are_the_default_and_other_features(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WEIGHTS, path)
    spec = f"timm:{TINY}:{path}"
    default, by_timm, by_dino, preferred = (
        load_encoder(spec, device="cpu", **options)
        for options in (
            {},
            {"positions": "timm"},
            {"positions": "dino"},
            {"preferred_positions": "dino"},
        )
    )
    assert [encoder.positions for encoder in (default, by_timm, by_dino, preferred)] == [
        "timm",
        "timm",
        "dino",
        "dino",
    ]
    assert torch.equal(default(FRAMES), by_timm(FRAMES))
    assert torch.equal(preferred(FRAMES), by_dino(FRAMES))
    assert not torch.allclose(by_timm(FRAMES), by_dino(FRAMES), atol=1e-3)
    whole = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert torch.equal(by_timm(whole), by_dino(whole))  # nothing to interpolate


def test_networks_without_a_table_of_positions_have_no_choice() -> None:
    assert (
        load_encoder("random:resnet18", preferred_positions="dino", device="cpu").positions is None
    )
    with pytest.raises(
        InputError, match=r"cannot interpolate positions by dino.*leave --positions out"
    ):
        load_encoder("random:resnet18", positions="dino", device="cpu")


def dinov2(registers: int) -> dict[str, Tensor]:
    weights = make_weights(width=384, patch=14, grid=37, scaled=True, registers=registers)
    return weights | {"mask_token": torch.zeros(1, 384)}


@pytest.mark.parametrize(("name", "registers"), [("dinov2", 0), ("reg4_dinov2", 4)])
def test_dinov2_from_its_hub(tmp_path: Path, name: str, registers: int) -> None:
    weights, path = dinov2(registers), tmp_path / f"{name}_pretrain.pth"
    torch.save(weights, path)
    spec = f"timm:vit_small_patch14_{name}:{path}"
    source = load_encoder(path, device="cpu").source
    assert source is not None
    assert source.architecture == f"vit_small_patch14_{name}"
    encoder = load_encoder(spec, positions="dino", device="cpu")
    frames = FRAMES[..., :56, :84].contiguous()
    torch.testing.assert_close(
        encoder(frames), forward(weights, normalise(frames), heads=6), rtol=1e-3, atol=5e-5
    )


def dinov3(network: torch.nn.Module, *, bias: float) -> dict[str, Tensor]:
    """Weights of a timm network under the names of the authors' hub."""
    weights = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(("q_bias", "k_bias", "v_bias")):
            continue
        for timms, theirs in (
            ("gamma_1", "ls1.gamma"),
            ("gamma_2", "ls2.gamma"),
            ("reg_token", "storage_tokens"),
        ):
            name = name.replace(timms, theirs)
        weights[name] = tensor
        if name.endswith("attn.qkv.weight"):
            channels = tensor.shape[1]
            mask = torch.cat([torch.ones(channels), torch.zeros(channels), torch.ones(channels)])
            weights[name.replace("weight", "bias")] = torch.full((3 * channels,), bias) * mask
            weights[name.replace("weight", "bias_mask")] = mask
    return weights | {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.ones(16)}


@pytest.mark.parametrize(
    ("bias", "name", "wrapped"),
    [(0.0, "vit_small_patch16_dinov3", True), (0.3, "vit_small_patch16_dinov3_qkvb", False)],
)
def test_dinov3_from_its_hub(tmp_path: Path, capsys, bias: float, name: str, wrapped: bool) -> None:
    torch.manual_seed(3)
    network = timm.create_model(name, pretrained=False, dynamic_img_size=True).eval()
    for key, parameter in network.named_parameters():
        if key.endswith(("q_bias", "v_bias")):
            parameter.data.fill_(bias)
    weights, path = dinov3(network, bias=bias), tmp_path / "dinov3_vits16_pretrain.pth"
    torch.save({"teacher": before("backbone.", weights)} if wrapped else weights, path)

    spec = f"timm:{name}:{path}"
    encoder = load_encoder(path, device="cpu")
    assert torch.equal(encoder(FRAMES), load_encoder(spec, device="cpu")(FRAMES))
    assert (encoder.stride, encoder.positions) == (16, None)
    with torch.no_grad():
        tokens = network.forward_features(normalise(FRAMES))[:, 5:]
    expected = torch.nn.functional.normalize(tokens.transpose(1, 2).unflatten(2, (4, 6)), dim=1)
    torch.testing.assert_close(encoder(FRAMES), expected, rtol=1e-3, atol=2e-5)
    assert capsys.readouterr().out == ""


def test_biases_that_timm_would_drop_are_not_lost(tmp_path: Path) -> None:
    network = timm.create_model("vit_small_patch16_dinov3", pretrained=False)
    path = tmp_path / "weights.pth"
    torch.save(dinov3(network, bias=0.5), path)
    with pytest.raises(
        InputError, match=rf"adds biases .* load it with timm:vit_small_patch16_dinov3_qkvb:{path}"
    ):
        load_encoder(f"timm:vit_small_patch16_dinov3:{path}", device="cpu")


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "half"])
def test_plain_files_are_loaded_into_the_network_that_their_names_tell(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(FILES[kind], path)
    expected = load_encoder(f"timm:{TINY}:{path}", device="cpu")(FRAMES)
    assert torch.equal(load_encoder(path, device="cpu")(FRAMES), expected)


def test_plain_files_of_unusual_networks(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for options in (
        {"width": 48, "depth": 2},
        {"width": 192, "depth": 3},
        {"width": 192, "patch": 9},
    ):
        torch.save(make_weights(**options), path)
        with pytest.raises(InputError, match="name the network they belong to, timm:NAME:FILE"):
            load_encoder(path, device="cpu")


def test_files_that_fit_in_part_say_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(
        {name: tensor for name, tensor in WEIGHTS.items() if not name.startswith("blocks.11.")},
        path,
    )
    message = (
        r"do not fit \(12 of 150 names are missing: blocks\.11\.norm1\.weight, "
        r"blocks\.11\.norm1\.bias, "
    )
    with pytest.raises(InputError, match=message):
        load_encoder(f"timm:{TINY}:{path}", device="cpu")
    torch.save(WEIGHTS | {"blocks.12.norm1.weight": torch.zeros(192)}, path)
    with pytest.raises(
        InputError, match=r"do not fit \(others are there: blocks\.12\.norm1\.weight\)"
    ):
        load_encoder(f"timm:{TINY}:{path}", device="cpu")


def test_frames_are_normalised_as_the_weights_were_trained(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WEIGHTS, path)
    imagenet, half = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,) * 3, (0.5,) * 3)
    for spec, expected in {
        f"timm:{TINY}:{path}": imagenet,
        f"timm:{TINY}.augreg_in21k:{path}": half,
        f"timm:{TINY}:none": half,
        "timm:vit_small_patch14_dinov2:none": imagenet,
    }.items():
        encoder = load_encoder(spec, device="cpu")
        assert (encoder.mean, encoder.std) == expected


def test_info_prints_what_holds_and_what_is_asked_for(tmp_path: Path, capsys) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(FILES["dino full"], path)
    info = ["info", f"timm:{TINY}:{path}"]
    dispatch(info)
    shown = capsys.readouterr().out
    assert "mean 0.485 0.456 0.406, std 0.229 0.224 0.225 of RGB in 0 to 1" in shown
    assert re.search(r"positions +timm \(of timm, dino\)", shown)
    options = ["--std", "0.228", "0.224", "0.225", "--positions", "dino", "--weights-of", "student"]
    dispatch([*info, *options])
    shown = capsys.readouterr().out
    assert "mean 0.485 0.456 0.406, std 0.228 0.224 0.225 of RGB in 0 to 1" in shown
    assert re.search(r"positions +dino \(of timm, dino\)", shown)


def test_a_normalisation_asked_for_goes_before_a_preferred_one_and_that_before_the_weights() -> (
    None
):
    dino = Normalisation(std=(0.228, 0.224, 0.225))
    encoder = load_encoder("random:resnet18", preferred_normalisation=dino, device="cpu")
    assert (encoder.mean, encoder.std) == ((0.485, 0.456, 0.406), (0.228, 0.224, 0.225))
    raw = Normalisation(mean=(0, 0, 0), std=(1, 1, 1))
    encoder = load_encoder(
        "random:resnet18", normalisation=raw, preferred_normalisation=dino, device="cpu"
    )
    assert (encoder.mean, encoder.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("std", [(0.2, 0.0, 0.2), (0.2, -1.0, 0.2), (float("nan"), 1.0, 1.0)])
def test_a_standard_deviation_must_be_positive(std: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="--std: must be three numbers above 0"):
        Normalisation(std=std)
