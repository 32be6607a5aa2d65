"""Training steps of every learner on a simulated GPU: no tensor on the wrong device, and nobody
waits.

A step that waits for the device leaves it idle until the host has queued more work. The loop reads
its losses once a step; the table says what the learners may add to that.
"""

import copy
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
from densevos.engine.loop import train_step
from densevos.engine.optimisation import optimise
from densevos.engine.run import Run
from densevos.learners.mug import Mug
from densevos.learners.self_training import SelfTraining
from densevos.models.encoder import DenseEncoder
from tests.densevos.learners.test_image_to_video import (
    CNN,
    PAIRS,
    SWIN,
    VIDEO,
    batch_of,
    config_of,
    learner_of,
)
from tests.device.simulated_gpu import OnDevice, simulated_gpu


@dataclass(frozen=True, kw_only=True)
class Case:
    """One learner with a batch."""

    make: Callable[[], tuple[Learner[Any], Any]]
    precision: torch.dtype = torch.float32
    waits: int = 0
    """Times that a step waits for the device besides reading its losses once."""
    copies: int = 0
    """Blocking copies of pageable memory to the device in a step."""
    close: float = 1e-4
    """How far losses and weights may be from those of a step on the CPU."""


def dul(**changes: Any) -> tuple[Learner[Any], Any]:
    objective = SelfTrainingConfig(anchor_grid=2, cross_view_grid=2, **changes)
    encoder = DenseEncoder(EncoderConfig(key_channels=16, last="res3"))
    frames = torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    return SelfTraining(encoder, objective, ViewConfig()), ClipBatch(
        frames=frames, names=("a", "b"), skipped=()
    )


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
    "i2v Swin clustered": Case(
        make=lambda: image_to_video(SWIN, loss="clustered"), precision=torch.bfloat16
    ),
    "i2v Swin tokens, ramp": Case(
        make=lambda: image_to_video(
            SWIN, loss="general", adversarial=replace(PAIRS, unit="tokens", ramp_batches=9)
        )
    ),
    "i2v Video Swin general": Case(make=lambda: image_to_video(VIDEO, loss="general")),
    "i2v Video Swin clips": Case(
        make=lambda: image_to_video(
            VIDEO,
            loss="general",
            adversarial=replace(PAIRS, discriminator="patch3d", padded="literal"),
        )
    ),
    "i2v Video Swin clustered": Case(make=lambda: image_to_video(VIDEO, loss="clustered")),
}


Losses = dict[str, Tensor]


def step(learner: Learner[Any], batch: Any, precision: torch.dtype, device: str) -> Losses:
    """A whole step but for reading the losses."""
    torch.manual_seed(0)
    optimiser = torch.optim.SGD(learner.parameters(), lr=1e-3)
    learner.begin_step(1)
    with torch.autocast(device, precision, enabled=precision != torch.float32):
        losses: Losses = learner(batch, torch.Generator().manual_seed(0))
    losses["loss"].backward()
    optimiser.step()
    return losses


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_step_waits_as_often_as_allowed_and_is_that_of_the_cpu(case: Case) -> None:
    torch.manual_seed(0)
    learner, batch = case.make()
    learner.train()
    twin = copy.deepcopy(learner)
    cpu_precision = torch.bfloat16 if case.precision == torch.float16 else case.precision
    expected = step(twin, batch, cpu_precision, "cpu")

    with simulated_gpu() as gpu:
        gpu.moved(learner)
        losses = step(learner, batch, case.precision, "cuda")
        assert len(gpu.waits) <= case.waits, gpu.waits
        assert len(gpu.copies) <= case.copies, gpu.copies

    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        assert isinstance(loss, OnDevice), (
            f"{name} is on the CPU, and cannot be read together with the others"
        )
        torch.testing.assert_close(
            loss.values, expected[name].detach(), rtol=case.close, atol=case.close
        )
    for ours, theirs in zip(learner.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.values, theirs.detach(), rtol=case.close, atol=case.close)


def test_a_count_is_read_once_after_a_checkpoint_was_loaded() -> None:
    learner, _ = mug(round_robin=True)
    for _ in range(3):
        learner.begin_step(1)
    other, batch = mug(round_robin=True)
    other.load_state_dict(learner.state_dict())
    with simulated_gpu() as gpu:
        gpu.moved(other)
        for _ in range(2):
            step(other, batch, torch.float32, "cuda")
        assert [wait.split(" at ")[0] for wait in gpu.waits] == ["item"]
        assert other.state_dict()["turn"].values.item() == 4


LOOP_WAITS = 1
"""Times that the loop waits in a step: it reads all losses at once."""


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_loop_waits_as_often_as_allowed(precision: torch.dtype) -> None:
    """With float16 too: fused optimisers leave a step out on the device when a gradient
    overflowed.
    """
    learner, batch = dul()
    with simulated_gpu() as gpu:
        gpu.moved(learner)
        scaler = torch.amp.GradScaler("cpu", enabled=precision == torch.float16)
        run = Run(learner, optimise(learner, {"": OptimiserConfig()}, 1, 9), scaler)
        values = train_step(learner, run, [batch], 0, precision, torch.device("cuda"))
        gpu.clear()
        assert train_step(learner, run, [batch], 0, precision, torch.device("cuda")) != values
        assert len(gpu.waits) <= LOOP_WAITS, gpu.waits
        assert gpu.copies == []
