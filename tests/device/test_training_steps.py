"""Training steps of every learner on a simulated GPU: no tensor on the wrong device, and nobody waits.

A step that waits for the device leaves it idle until the host has queued more work. The loop reads its losses once a
step; the table says what the learners may add to that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from densevos.config import (
    EncoderConfig,
    MugObjectiveConfig,
    OptimiserConfig,
    SelfTrainingConfig,
    ViewConfig,
)
from densevos.data.clips import ClipBatch
from densevos.data.video_samples import SHORT, VideoBatch
from densevos.engine.learner import Learner
from densevos.engine.optimisation import make_optimiser
from densevos.learners.mug import Mug
from densevos.learners.self_training import SelfTraining
from densevos.models.encoder import DenseEncoder
from tests.densevos.learners.test_image_to_video import CNN, PAIRS, SWIN, VIDEO, batch_of, config_of, learner_of
from tests.device.simulated_gpu import OnDevice, SimulatedGpu, simulated_gpu


@dataclass(frozen=True, kw_only=True)
class Case:
    """One learner with a batch."""

    make: Callable[[], tuple[Learner[Any], Any]]
    precision: torch.dtype = torch.float32
    waits: int = 0
    """Times that a step waits for the device besides reading its losses once."""
    copies: int = 0
    """Blocking copies of pageable memory to the device in a step."""


def dul(**changes: Any) -> tuple[Learner[Any], Any]:
    objective = SelfTrainingConfig(anchor_grid=2, cross_view_grid=2, **changes)
    encoder = DenseEncoder(EncoderConfig(key_channels=16, last="res3"))
    frames = torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    return SelfTraining(encoder, objective, ViewConfig()), ClipBatch(frames=frames, names=("a", "b"), skipped=())


def mug(**changes: Any) -> tuple[Learner[Any], Any]:
    encoder = EncoderConfig(stride=8, last="res3", channels=24, key_channels=8, head="linear")
    frames = torch.randint(0, 256, (2, 4 + SHORT, 3, 96, 96), dtype=torch.uint8)
    maps = torch.randint(0, 2, (2, 4 + SHORT, 96, 96), dtype=torch.uint8)
    batch = VideoBatch(
        frames=frames,
        initial=maps,
        predicted=maps,
        pairs=torch.tensor([[0, 3], [3, 0]]),
        videos=torch.tensor([0, 1]),
        dropped=0,
        names=("a", "b"),
        skipped=(),
    )
    return Mug(encoder, MugObjectiveConfig(patch=32, match_size=12, **changes)), batch


def image_to_video(network: Any, **changes: Any) -> tuple[Learner[Any], Any]:
    config = config_of(network, **changes)
    config.check()
    return learner_of(config), batch_of(config)


CASES = {
    "DUL fp32": Case(make=dul),
    "DUL bf16": Case(make=dul, precision=torch.bfloat16),
    "DUL fp16": Case(make=dul, precision=torch.float16),
    "DUL without gradient of the second view": Case(make=lambda: dul(regularising_gradient=False)),
    "MuG conv": Case(make=lambda: mug(readout="conv"), precision=torch.bfloat16),
    "MuG refine": Case(make=lambda: mug(readout="refine"), precision=torch.bfloat16),
    "MuG fine, crops of features": Case(make=lambda: mug(readout="fine", crop="feature")),
    "MuG round robin": Case(make=lambda: mug(round_robin=True)),
    "i2v CNN general": Case(make=lambda: image_to_video(CNN, loss="general")),
    "i2v Swin clustered": Case(make=lambda: image_to_video(SWIN, loss="clustered"), precision=torch.bfloat16),
    "i2v Swin tokens, ramp": Case(
        make=lambda: image_to_video(
            SWIN, loss="general", adversarial=replace(PAIRS, unit="tokens", ramp_batches=9)
        )
    ),
    "i2v Video Swin general": Case(make=lambda: image_to_video(VIDEO, loss="general")),
    "i2v Video Swin clips": Case(
        make=lambda: image_to_video(
            VIDEO, loss="general", adversarial=replace(PAIRS, discriminator="patch3d", padded="literal")
        )
    ),
    "i2v Video Swin clustered": Case(make=lambda: image_to_video(VIDEO, loss="clustered")),
}


def forward(learner: Learner[Any], batch: Any, precision: torch.dtype, device: str) -> dict[str, Tensor]:
    torch.manual_seed(0)
    learner.begin_step(1)
    with torch.autocast(device, precision, enabled=precision != torch.float32):
        return learner(batch, torch.Generator().manual_seed(0))


def step(gpu: SimulatedGpu, learner: Learner[Any], batch: Any, precision: torch.dtype) -> dict[str, Tensor]:
    """A whole step but for reading the losses."""
    optimiser = make_optimiser(learner, OptimiserConfig())
    losses = forward(learner, batch, precision, "cuda")
    losses["loss"].backward()
    optimiser.step()
    return losses


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_step_waits_as_often_as_allowed(case: Case) -> None:
    torch.manual_seed(0)
    learner, batch = case.make()
    learner.train()
    state = {name: value.clone() for name, value in learner.state_dict().items() if isinstance(value, Tensor)}
    expected = forward(learner, batch, case.precision, "cpu")
    learner.load_state_dict({**learner.state_dict(), **state})

    with simulated_gpu() as gpu:
        gpu.moved(learner)
        step(gpu, learner, batch, case.precision)  # the first step of a run may ask what a checkpoint held
        gpu.clear()
        step(gpu, learner, batch, case.precision)
        assert len(gpu.waits) <= case.waits, gpu.waits
        assert len(gpu.copies) <= case.copies, gpu.copies
    del expected
