"""How a GPU is set up to compute, and what TF32 does to the losses."""

from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.devices import multiplies_bf16
from densevos.config import LoopConfig, OptimiserConfig
from densevos.engine.optimisation import choose_precision, make_optimiser
from densevos.engine.precision import tune
from densevos.objectives.self_training import self_training_error

CUDA = torch.device("cuda", 0)


@pytest.fixture
def settings() -> Iterator[None]:
    """Puts back what `tune` sets for the whole process."""
    before = (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_auto_takes_bf16_where_a_gpu_multiplies_it(
    capability: tuple[int, int], precision: torch.dtype
) -> None:
    with mock.patch.object(torch.cuda, "get_device_capability", return_value=capability):
        assert choose_precision(LoopConfig(), CUDA) == precision
        assert multiplies_bf16(CUDA) == (precision == torch.bfloat16)


@pytest.mark.usefixtures("settings")
def test_what_a_gpu_is_set_to_and_said() -> None:
    assert tune(CUDA, torch.bfloat16) == (
        "bfloat16, the rest in float32, its products in TF32; cuDNN keeps the fastest convolutions"
    )
    assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.benchmark
    assert "without TF32" in tune(CUDA, torch.float32)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("settings")
def test_a_cpu_needs_nothing() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    assert tune(torch.device("cpu"), torch.bfloat16) == "bfloat16 on the CPU"
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimisers_are_fused_on_a_gpu_alone(name: str) -> None:
    module = nn.Linear(2, 2)
    assert make_optimiser(module, OptimiserConfig(name=name)).defaults["fused"] is None


def rounded(x: Tensor, bits: int) -> Tensor:
    """x with so many bits of its mantissa, the hidden one included, as float32."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent)


def test_tf32_changes_the_loss_by_less_than_bf16_keys_do() -> None:
    """Keys of a network in bf16 are rounded to 8 bits; TF32 rounds the factors of the affinity to
    11.
    """
    draw = torch.Generator().manual_seed(0)
    keys = F.normalize(torch.randn(2, 3, 32, 8, 8, generator=draw), dim=2)
    anchors = keys[:, 0].flatten(2).transpose(1, 2)[:, ::8].flatten(0, 1)
    labels = torch.randint(0, len(anchors), (2, 3, 8, 8), generator=draw)

    def errors(bits: int) -> Tensor:
        return self_training_error(rounded(keys, bits), rounded(anchors, bits), labels, 0.05)

    exact = errors(24)
    tf32, bf16 = ((errors(bits) - exact).abs().max().item() for bits in (11, 8))
    assert tf32 < 1e-2 < bf16
    assert errors(11).mean().item() == pytest.approx(exact.mean().item(), rel=1e-4)
