"""Networks of others: each by its own rules, and one line for what cannot be used."""

import argparse
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ResNet18_Weights, WeightsEnum

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, normalise
from densevos_eval.adapters import own
from densevos_eval.adapters.encoder import Encoder, load_encoder
from densevos_eval.adapters.resnet import DenseStages

FRAMES = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def resnet(name: str = "resnet18", seed: int = 1) -> torchvision.models.ResNet:
    """A network whose BatchNorm statistics are not those of an untrained one."""
    torch.manual_seed(seed)
    network = torchvision.models.get_model(name, weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def layers(network: nn.Module, frames: Tensor) -> dict[str, Tensor]:
    x = network.maxpool(network.relu(network.bn1(network.conv1(frames))))
    found = {}
    for number in range(1, 5):
        x = found[f"res{number}"] = network.get_submodule(f"layer{number}")(x)
    return found


def as_crw(network: nn.Module, prefix: str = "encoder.") -> dict[str, Tensor]:
    """Weights as a CRW snapshot names and shapes them."""
    weights = {}
    for name, tensor in network.state_dict().items():
        inner = name.startswith("layer") and ".conv" in name
        name = name.replace(".weight", ".1.weight") if inner else name
        weights[prefix + name] = tensor[:, :, None] if tensor.ndim == 4 else tensor
    return {
        **weights,
        "selfsim_fc.0.weight": torch.zeros(128, 512),
        "selfsim_head.weight": torch.zeros(3),
    }


def reflecting(network: nn.Module) -> nn.Module:
    """The network with explicit reflection ahead of every padded convolution, layer3 and layer4
    without stride.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child.padding != (0, 0):
                pad = nn.ReflectionPad2d(child.padding[0])
                child.padding = (0, 0)
                setattr(parent, name, nn.Sequential(pad, child))
    for layer in (network.layer3, network.layer4):
        for module in layer.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
    return network


@pytest.mark.parametrize("prefix", ["encoder.", "module.encoder.model.", "model.encoder."])
def test_crw_snapshots_by_key_mapping(tmp_path: Path, prefix: str) -> None:
    network, path = resnet(), tmp_path / "crw.pth"
    torch.save(
        {"model": as_crw(network, prefix), "args": argparse.Namespace(lr=1e-4), "epoch": 24}, path
    )
    expected = layers(reflecting(network), normalise(FRAMES))
    for layer in (None, "res3", "res4"):
        encoder = load_encoder(str(path), layer=layer, device="cpu")
        assert (encoder.layer, encoder.stride) == (layer or "res3", 8)
        wanted = F.normalize(expected[encoder.layer], dim=1)
        torch.testing.assert_close(encoder(FRAMES), wanted, rtol=1e-4, atol=1e-5)


def test_crw_snapshots_without_layer4_and_broken_ones(tmp_path: Path) -> None:
    whole = as_crw(resnet())
    torch.save(
        {"model": {k: v for k, v in whole.items() if "layer4" not in k}}, tmp_path / "short.pth"
    )
    assert load_encoder(str(tmp_path / "short.pth"), device="cpu")(FRAMES).shape == (1, 256, 8, 12)
    with pytest.raises(InputError, match="no layer res4; choose --layer res2, res3"):
        load_encoder(str(tmp_path / "short.pth"), layer="res4", device="cpu")
    for name, weights in {
        "half": {k: v for k, v in whole.items() if "layer2.1" not in k},
        "deep": {k: v.repeat(1, 1, 2, 1, 1) if v.ndim == 5 else v for k, v in whole.items()},
        "none": {"encoder.conv.weight": torch.zeros(1)},
    }.items():
        torch.save({"model": weights}, tmp_path / f"{name}.pth")
        with pytest.raises(InputError, match=rf"{name}\.pth"):
            load_encoder(str(tmp_path / f"{name}.pth"), device="cpu")


def test_crw_wants_frames_of_two_cells(tmp_path: Path) -> None:
    torch.save({"model": as_crw(resnet())}, tmp_path / "crw.pth")
    encoder = load_encoder(str(tmp_path / "crw.pth"), device="cpu")
    assert encoder.of_frame(np.zeros((9, 30, 3), np.uint8)).shape == (256, 2, 4)
    with pytest.raises(
        InputError, match=r"crw\.pth: reflects borders, so frames must have more than 8 rows"
    ):
        encoder.of_frame(np.zeros((30, 8, 3), np.uint8))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_dilation_keeps_what_the_network_computes(name: str) -> None:
    network = resnet(name)
    with torch.no_grad():
        expected = layers(network, FRAMES)
        dense = DenseStages(network, dilated=True)
        for layer, every in (("res2", 1), ("res3", 2), ("res4", 4)):
            features = dense(FRAMES, layer)
            assert features.shape[2:] == (8, 12)
            torch.testing.assert_close(
                features[:, :, ::every, ::every], expected[layer], rtol=1e-3, atol=1e-4
            )


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvision_with_a_local_file(tmp_path: Path, suffix: str) -> None:
    network, path = resnet(), tmp_path / f"weights{suffix}"
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if suffix == ".pth":
        torch.save(
            {"state_dict": {f"module.encoder_q.{k}": v for k, v in state.items()}, "epoch": 200},
            path,
        )
    else:
        safetensors.torch.save_file(state, path)
    encoder = load_encoder(f"torchvision:resnet18@res2:{path}", device="cpu")
    expected = F.normalize(layers(network, normalise(FRAMES))["res2"], dim=1)
    torch.testing.assert_close(encoder(FRAMES), expected, rtol=1e-4, atol=1e-5)
    assert encoder.source is not None
    assert encoder.source.files == (path,)
    with pytest.raises(InputError, match=f"{path.name}.*resnet50"):
        load_encoder(f"torchvision:resnet50:{path}", device="cpu")


def test_torchvision_takes_the_query_encoder_and_the_teacher(tmp_path: Path) -> None:
    state, path = resnet().state_dict(), tmp_path / "weights.pth"
    torch.save(state, path)
    expected = load_encoder(f"torchvision:resnet18:{path}", device="cpu")(FRAMES)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    for main, other in (
        ("module.encoder_q.", "module.encoder_k."),
        ("teacher.backbone.", "student.backbone."),
    ):
        both = {other + k: v for k, v in zeros.items()} | {main + k: v for k, v in state.items()}
        torch.save({"state_dict": both}, path)
        assert torch.equal(
            load_encoder(f"torchvision:resnet18:{path}", device="cpu")(FRAMES), expected
        )
    torch.save(
        {**{f"a.{k}": v for k, v in state.items()}, **{f"b.{k}": v for k, v in zeros.items()}}, path
    )
    message = r"weights\.pth: holds several networks \(a, b\); say which one with --weights-of"
    with pytest.raises(InputError, match=message):
        load_encoder(f"torchvision:resnet18:{path}", device="cpu")
    chosen = load_encoder(f"torchvision:resnet18:{path}", weights_of="a", device="cpu")
    assert torch.equal(chosen(FRAMES), expected)


def test_plain_files_of_a_resnet_whatever_stands_before_its_names(tmp_path: Path) -> None:
    state = resnet().state_dict()
    named = [
        {prefix + name: tensor for name, tensor in state.items()}
        for prefix in ("model.encoder.", "encoder.")
    ]
    torch.save(
        {"state_dict": named[0], "pytorch-lightning_version": "2.4.0"}, tmp_path / "last.ckpt"
    )
    safetensors.torch.save_file(named[1], tmp_path / "model.safetensors")
    for name in ("last.ckpt", "model.safetensors"):
        source = load_encoder(tmp_path / name, device="cpu").source
        assert source is not None
        assert source.module is not None
        assert (source.kind, source.files) == ("torchvision", (tmp_path / name,))
        assert all(
            torch.equal(tensor, state[key]) for key, tensor in source.module.state_dict().items()
        )


def test_our_weights_without_a_card_are_not_taken_for_another_network(tmp_path: Path) -> None:
    weights = DenseEncoder(EncoderConfig()).state_dict()
    for name, content in {
        "best.pt": {"learner": {f"encoder.{k}": v for k, v in weights.items()}, "step": 3},
        "last.ckpt": {"state_dict": {f"model.{k}": v for k, v in weights.items()}},
    }.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(
            InputError,
            match=rf"{name}: holds weights of densevos without the card .*densevos export",
        ):
            load_encoder(tmp_path / name, device="cpu")


def test_files_of_several_networks_say_which_there_are(tmp_path: Path) -> None:
    state, path = resnet().state_dict(), tmp_path / "both.pth"
    torch.save({f"{name}.{k}": v for name in "ab" for k, v in state.items()}, path)
    with pytest.raises(
        InputError, match=r"several networks \(a, b\); say which one with --weights-of"
    ):
        load_encoder(path, device="cpu")
    assert load_encoder(path, weights_of="b", device="cpu").layer == "res4"
    torch.save({"model": as_crw(resnet())}, path)
    with pytest.raises(
        InputError, match=r"--weights-of b: .*both\.pth is a released snapshot of one network"
    ):
        load_encoder(path, weights_of="b", device="cpu")


def test_files_of_other_networks_say_what_they_hold(tmp_path: Path) -> None:
    torch.save({"model.stem.0.weight": torch.zeros(3)}, tmp_path / "last.ckpt")
    with pytest.raises(
        InputError,
        match=r"VFS \(but model\.stem\.0\.weight, \.\.\.\); name the network .*module:function",
    ):
        load_encoder(tmp_path / "last.ckpt", device="cpu")


def test_torchvision_with_published_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, state = [], resnet().state_dict()

    def fetch(self: WeightsEnum, **options: object) -> dict[str, Tensor]:
        asked.append(self)
        return state

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fetch)
    first, second = (
        load_encoder(f"torchvision:resnet18{w}", device="cpu") for w in ("", ":IMAGENET1K_V1")
    )
    assert asked == [ResNet18_Weights.DEFAULT, ResNet18_Weights.IMAGENET1K_V1]
    assert (first.layer, first.stride, first.std) == ("res4", 8, (0.229, 0.224, 0.225))
    assert torch.equal(first(FRAMES), second(FRAMES))

    def offline(self: WeightsEnum, **options: object) -> dict[str, Tensor]:
        raise URLError("no route")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", offline)
    with pytest.raises(
        InputError, match=r"cannot be fetched .*no route.*torchvision:resnet18:FILE\.pth"
    ):
        load_encoder("torchvision:resnet18", device="cpu")


MODULE = """
import torch
from torch import nn

class Means:
    mean, std = (0, 0, 0), (1, 1, 1)
    def __call__(self, frames):
        return nn.functional.avg_pool2d(frames, 4)

class Convolution(nn.Conv2d):
    pass

def means(): return Means()
def convolution(): return Convolution(3, 5, kernel_size=16, stride=16)
def wrong_stride(): m = Means(); m.stride = 8; return m
def number(): return 7
def flat(): return lambda frames: frames.mean((2, 3))
def uneven(): return lambda frames: frames[:, :, ::8, ::7]
def fixed(): return lambda frames: frames.view(1, 3, 32, 32)
def wants(argument): return None
def pair(): return lambda frames: [frames[:, :, ::8, ::8]]
class Pair:
    stride = 8
    def __call__(self, frames): return (frames[:, :, ::8, ::8],)
def late_pair(): return Pair()
def half(): return Convolution(3, 5, kernel_size=8, stride=8).half()
def holes(): n = Convolution(3, 5, kernel_size=8, stride=8); n.weight.data[0, 0, 0, 0] = float("nan"); return n
def picky(): return fit
def fit(frames):
    assert frames.shape[2] % 7 == 0, "height must be divisible by window"
    return frames[:, :, ::8, ::8]
def bad_mean(): m = Means(); m.mean = 3; return m
def tokens(): return lambda frames: frames[:, :, ::8, ::8].flatten(2).transpose(1, 2)
def named(): return lambda frames: {"res4": frames, "res5": frames}
made = convolution()
constant = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_networks.py").write_text(MODULE)
    (tmp_path / "broken_networks.py").write_text("import nothing_of_this_name")
    return tmp_path


def test_own_functions(here: Path) -> None:
    means = load_encoder("my_networks:means", device="cpu")
    assert (means.stride, means.layer) == (4, "output")
    torch.testing.assert_close(means(FRAMES), F.normalize(F.avg_pool2d(FRAMES, 4), dim=1))
    convolution = load_encoder("my_networks:convolution", device="cpu")
    assert load_encoder("my_networks:made", device="cpu").source is not None
    assert convolution.stride == 16
    assert convolution.of_frame(np.zeros((40, 50, 3), np.uint8)).shape == (5, 3, 4)
    assert convolution.source is not None
    assert convolution.source.architecture == "Convolution"


def test_a_network_of_ones_own_needs_no_file() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 5, kernel_size=8, stride=8)
    encoder = load_encoder(network, device="cpu")
    assert (encoder.name, encoder.layer, encoder.stride) == ("Conv2d", "output", 8)
    expected = F.normalize(network(normalise(FRAMES)), dim=1)
    torch.testing.assert_close(encoder(FRAMES), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(
        InputError, match=r"--encoder Conv2d: is a class; give a network, Conv2d\(\)"
    ):
        load_encoder(nn.Conv2d, device="cpu")
    with pytest.raises(InputError, match="returned features instead of a network"):
        load_encoder(torch.zeros(1, 5, 8, 12), device="cpu")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_networks:nothing", "AttributeError"),
        ("my_networks:wants", "take no arguments"),
        ("my_networks:number", "returned a int; must return a callable"),
        ("my_networks:flat", r"returns \[1, 3\].*must return features"),
        ("my_networks:uneven", "squares of whole pixels"),
        ("my_networks:fixed", "fails on a frame of 224x448"),
        ("my_networks:pair", r"returns a list for frames .*must return features"),
        (
            "my_networks:half",
            r"RuntimeError: .*Half.*its weights are float16 and frames are float32.*float\(\)",
        ),
        ("my_networks:tokens", r"returns \[1, 1568, 3\] .*of tokens .* leave out the class token"),
        ("my_networks:named", "returns a dict .*; pick one of res4, res5"),
        ("my_networks:constant", "is a int; name a function that returns a callable"),
        ("my_networks:bad_mean", "mean must be three numbers"),
        ("broken_networks:make", "nothing_of_this_name"),
        ("no_such_module:make", "no_such_module.*importable from the working directory"),
    ],
)
def test_functions_that_cannot_be_used(here: Path, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_encoder(spec, device="cpu")
    assert f"--encoder {spec}: " in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "late_pair",
            r"returns a tuple for frames \[1,3,64,96\]; it must return features \[1,C,h,w\]",
        ),
        (
            "picky",
            r"fails on a frame of 64x96 pixels \(AssertionError: height must be divisible by "
            r"window\)",
        ),
        (
            "holes",
            r"features of a frame that are not finite numbers \(NaN or infinity, in float32\)",
        ),
    ],
)
def test_networks_that_fail_at_a_frame_are_told_with_the_cause(
    here: Path, function: str, message: str
) -> None:
    encoder = load_encoder(f"my_networks:{function}", device="cpu")
    with pytest.raises(InputError, match=f"--encoder my_networks:{function}: .*{message}"):
        encoder(FRAMES)


def test_networks_of_half_precision_are_right_under_autocast(here: Path) -> None:
    assert load_encoder("my_networks:half", device="cpu", precision="bf16")(FRAMES).shape == (
        1,
        5,
        8,
        12,
    )


def test_frames_that_are_none_are_told() -> None:
    encoder = load_encoder("random:resnet18", device="cpu", layer="res3")
    for frames in (FRAMES[0], FRAMES.mul(255).int(), FRAMES.numpy(), FRAMES[:, :1], FRAMES[:0]):
        with pytest.raises(
            InputError,
            match=r"frames: must be a tensor \[B,3,H,W\] of RGB, floats in 0 to 1 or uint8",
        ):
            encoder(frames)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"frame: must be \[H,W,3\] uint8, is \[64, 96, 3\] float32"
    ):
        encoder.of_frame(FRAMES[0].permute(1, 2, 0).numpy())
    with pytest.raises(InputError, match="video: has no frames"):
        encoder.features([])


def test_frames_of_any_size_and_type_are_encoded_as_propagation_encodes_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 37, 50, 3), np.uint8)
    frames = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    for spec, cells in (("random:resnet18", (5, 7)), ("timm:vit_tiny_patch16_224:none", (3, 4))):
        encoder = load_encoder(spec, device="cpu")
        features = encoder(frames)
        assert features.shape[2:] == cells
        assert torch.equal(features, encoder(frames.float() / 255))
        assert torch.equal(features, encoder(frames.double() / 255))
        torch.testing.assert_close(features[1], encoder.of_frame(pixels[1]), rtol=1e-4, atol=1e-5)
        assert torch.equal(
            encoder.features(pixels), torch.stack([encoder.of_frame(frame) for frame in pixels])
        )


def test_an_encoder_is_printed_in_a_line() -> None:
    text = repr(load_encoder("random:resnet18", device="cpu"))
    assert text == "Encoder('random:resnet18', layer='res4', stride=8, device='cpu')"


def test_options_out_of_range_are_told() -> None:
    with pytest.raises(InputError, match="precision: must be one of fp32, tf32, bf16, is fp16"):
        load_encoder("random:resnet18", precision="fp16")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be above 0"):
        load_encoder("random:resnet18", scale=0)


def test_a_stride_that_is_not_so_is_told(here: Path) -> None:
    encoder = load_encoder("my_networks:wrong_stride", device="cpu")
    with pytest.raises(
        InputError,
        match=r"gives 16x24 cells .* 64x96 pixels; at its stride of 8 there must be 8x12",
    ):
        encoder(FRAMES)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "none.pth",
            "no such encoder file; --encoder takes "
            ".*CRW.*torchvision:.*timm:.*random:.*module:function",
        ),
        ("folder/none:x/y", "no such encoder file"),
        ("torchvision:vgg16:none", r"choose resnet101.*timm:NAME"),
        ("torchvision:resnet18:NOPE", "no such weights; choose IMAGENET1K_V1, DEFAULT"),
        ("torchvision:resnet18:none.pth", r"none\.pth: no such weights file"),
        ("torchvision:resnet18@res7:none", "has no layer res7; choose --layer res2, res3, res4"),
        ("random:resnet18@layer4", "choose --layer res4, res3, key"),
    ],
)
def test_specs_that_name_nothing(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_encoder(spec, device="cpu")


def test_a_file_goes_before_a_function_of_the_same_name(here: Path) -> None:
    torch.save({"model": as_crw(resnet())}, "my_networks:means")
    assert load_encoder("my_networks:means", device="cpu").layer == "res3"


def test_layer_by_flag_then_by_name_then_by_preference() -> None:
    def chosen(spec: str, **options: str) -> str:
        return load_encoder(spec, device="cpu", **options).layer  # type: ignore[arg-type]

    assert chosen("random:resnet18") == "res4"
    assert chosen("random:resnet18", preferred_layer="res3") == "res3"
    assert chosen("random:resnet18", preferred_layer="11") == "res4"
    assert chosen("random:resnet18@key", preferred_layer="res3") == "key"
    assert chosen("random:resnet18@key:4", layer="res3", preferred_layer="res4") == "res3"


def test_strides_of_an_encoder_that_is_coarse() -> None:
    backbone = own.dense(DenseEncoder(EncoderConfig(stride=32)), kind="test")
    frames = torch.zeros(1, 3, 64, 64)
    for layer, stride in backbone.strides.items():
        assert stride
        assert backbone.features(frames, layer).shape[2] * stride == 64


def test_each_encoder_normalises_by_its_own_statistics() -> None:
    def encoder(**statistics: tuple[float, float, float]) -> Encoder:
        network: Callable[[Tensor], Tensor] = lambda frames: frames[:, :, ::8, ::8]  # noqa: E731
        return Encoder(
            name="n", layer="l", stride=8, network=network, device=torch.device("cpu"), **statistics
        )

    raw = encoder(mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1))(FRAMES)
    scaled = (FRAMES[:, :, ::8, ::8] - 0.5) / torch.tensor([0.25, 0.5, 1]).view(3, 1, 1)
    torch.testing.assert_close(raw, F.normalize(scaled, dim=1))
    assert not torch.allclose(raw, encoder()(FRAMES))
