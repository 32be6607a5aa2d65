"""Files with the names of earlier versions load as before."""

import torch

from densevos.config import EncoderConfig
from densevos.learners.image_to_video import ImageToVideo
from densevos.models.card import initial_weights
from densevos.models.encoder import DenseEncoder
from densevos.models.mug import MugNetwork
from tests.densevos.learners.test_image_to_video import config_of

SMALL = EncoderConfig(last="res3", key_channels=8)


def test_state_dicts_call_the_backbone_trunk() -> None:
    network = MugNetwork(SMALL, "conv", 1.0)
    names = [
        name.replace("encoder.backbone.", "encoder.trunk.")
        for name, _ in network.named_parameters()
    ]
    assert "encoder.trunk.conv1.weight" in names
    # In the order of the parameters, as earlier versions wrote them.
    assert [name for name in network.state_dict() if name in names] == names


def test_a_state_dict_loads_with_either_name_of_the_backbone() -> None:
    saved = DenseEncoder(SMALL).state_dict()
    renamed = {name.replace("trunk.", "backbone."): tensor for name, tensor in saved.items()}
    for state in (saved, renamed):
        names = list(state)
        encoder = DenseEncoder(SMALL)
        encoder.load_state_dict(state)
        assert list(state) == names
        for name, tensor in encoder.state_dict().items():
            assert torch.equal(tensor, saved[name])


def test_initial_weights_were_called_began() -> None:
    assert initial_weights({"initial_weights": "a.pth"}) == "a.pth"
    assert initial_weights({"began": "at random"}) == "at random"
    assert initial_weights({}) == "unknown"


def test_a_checkpoint_that_says_began_keeps_its_initial_weights() -> None:
    learner = ImageToVideo(config_of(loss="none"), ("sky", "road"))
    state = learner.state_dict()
    state["_extra_state"] = {"classes": ["sky", "road"], "began": "coco.pth"}
    learner.load_state_dict(state)
    assert learner.get_extra_state()["initial_weights"] == "coco.pth"
