"""An encoder's features in the place of colours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.data.foreground.features import pixel_features
from densevos.data.foreground.maps import make_maps
from densevos.data.foreground.probability import ForegroundConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from tests.densevos.conftest import write_frames

SMALL = EncoderConfig(
    architecture="resnet18", stride=8, last="res3", channels=16, key_channels=8, head="linear"
)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_encoder(tmp_path / "encoder.safetensors", DenseEncoder(SMALL), {})
    return tmp_path / "encoder.safetensors"


def test_every_pixel_has_a_feature_of_unit_length(encoder: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    features = pixel_features(str(encoder))(frame)
    assert features.shape == (50, 70, 8)
    assert np.linalg.norm(features, axis=2) == pytest.approx(1, abs=1e-5)


def test_maps_by_votes_between_features(encoder: Path, tmp_path: Path) -> None:
    write_frames(tmp_path / "data" / "one", 3)
    config = ForegroundConfig(method="consensus", crf=None, encoder=str(encoder))
    assert make_maps(tmp_path / "data", tmp_path / "maps", config, workers=1).written == 3


def test_an_encoder_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    write_frames(tmp_path / "data" / "one", 3)
    config = ForegroundConfig(
        method="consensus", crf=None, encoder=str(tmp_path / "none.safetensors")
    )
    with pytest.raises(InputError, match=r"none\.safetensors"):
        make_maps(tmp_path / "data", tmp_path / "maps", config, workers=1)
    assert not (tmp_path / "maps").exists()
