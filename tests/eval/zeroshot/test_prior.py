"""A trained model's foreground averaged with that of a method without training."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.mug import MugNetwork, save_model
from densevos_eval.sequences.sequence import Sequence
from densevos_eval.zeroshot.foreground import WithoutTraining, WithPrior, load_foreground
from densevos_eval.zeroshot.options import ZeroShotOptions

SMALL = EncoderConfig(architecture="resnet18", stride=8, last="res3", channels=16, key_channels=8, head="linear")


@dataclass(frozen=True)
class Constant:
    """Each frame has one probability everywhere."""

    values: tuple[float, ...]
    inputs: list[Path] = field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        return {"values": list(self.values)}

    def title(self) -> str:
        return f"constant {self.values[0]}"

    def __call__(self, sequence: Sequence) -> Iterator[np.ndarray]:
        yield from (np.full((2, 3), value, np.float32) for value in self.values)


def test_the_prior_has_its_weight_in_the_mean() -> None:
    sequence = Sequence(name="boat", source=Path("boat"), frame_names=("0", "1"))
    source = WithPrior(model=Constant((0.9, 0.2)), prior=Constant((0.1, 1.0)), weight=0.25)
    assert [probability[0, 0] for probability in source(sequence)] == pytest.approx([0.7, 0.4])
    assert source.settings() == {"values": [0.9, 0.2], "prior": {"values": [0.1, 1.0], "weight": 0.25}}
    assert source.title() == "constant 0.9, averaged with constant 0.1"


def test_a_model_is_loaded_with_the_prior_that_is_named(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", MugNetwork(SMALL, "fine", 0.07), size=64, segments=3, training={})
    options = ZeroShotOptions(model=tmp_path, prior="motion", prior_weight=0.3)
    torch.manual_seed(0)
    source = load_foreground(options, "cpu")
    assert isinstance(source, WithPrior)
    assert source.prior == WithoutTraining(method="motion")
    assert source.weight == 0.3
    assert source.inputs == [tmp_path / "model.safetensors"]


def test_a_prior_is_for_a_model_and_its_weight_is_a_share() -> None:
    with pytest.raises(InputError, match=r"--prior: is for a trained model, not for --method consensus; leave it out"):
        ZeroShotOptions(prior="motion")
    with pytest.raises(InputError, match="--prior-weight: must lie between 0 and 1, is 1"):
        ZeroShotOptions(model=Path("m"), prior="motion", prior_weight=1)
