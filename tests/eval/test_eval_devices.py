"""Arithmetic of GPUs, and ways to them that do not make the host wait, as far as a CPU can tell."""

import numpy as np
import pytest
import torch

from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.base.devices import arithmetic, numbers, to_device
from tests.eval.propagation.waits import Waits


def flags() -> tuple[bool, bool, bool]:
    products = torch.backends.cuda.matmul
    return (
        products.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        products.allow_bf16_reduced_precision_reduction,
    )


@pytest.mark.parametrize("tf32", [False, True])
def test_products_are_as_precise_as_asked_for_and_then_as_before(tf32: bool) -> None:
    before = flags()
    with arithmetic(tf32=tf32):
        assert flags() == (tf32, tf32, False)
    assert flags() == before


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_an_encoder_computes_as_its_precision_says(precision: str, tf32: bool) -> None:
    encoder = load_encoder("random:resnet18", device="cpu", layer="res3", precision=precision)  # type: ignore[arg-type]
    seen = []
    assert encoder.source is not None
    assert encoder.source.module is not None
    convolution = next(
        part for part in encoder.source.module.modules() if isinstance(part, torch.nn.Conv2d)
    )
    convolution.register_forward_pre_hook(lambda *_: seen.append(flags()))
    encoder(torch.rand(1, 3, 32, 32))
    assert set(seen) == {(tf32, tf32, False)}


@pytest.mark.parametrize("values", [[], [3], [0, 1, 2], [4, 5, 0, 1], [7, 7, 2, 9]])
def test_numbers_are_made_on_the_device(values: list[int]) -> None:
    with Waits() as waits:
        made = numbers(values, torch.device("cpu"))
    assert made.tolist() == values
    assert made.dtype == torch.long
    assert not waits.counted


def test_arrays_arrive_as_they_are() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(to_device(array, "cpu").numpy(), array)
    assert to_device(array, "meta").shape == (3, 4)
