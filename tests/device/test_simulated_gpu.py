"""The simulated GPU refuses and counts what a GPU would."""

import pytest
import torch
from torch import nn

from tests.device.simulated_gpu import (
    CUDA,
    DeviceMismatchError,
    OnDevice,
    SimulatedGpu,
    simulated_gpu,
)


def waits(gpu: SimulatedGpu) -> list[str]:
    return [wait.split(" at ")[0] for wait in gpu.waits]


def copies(gpu: SimulatedGpu) -> list[str]:
    return [copy.split(" at ")[0] for copy in gpu.copies]


def test_tensors_stay_on_the_device() -> None:
    with simulated_gpu() as gpu:
        made = torch.arange(3, device="cuda:0")
        for tensor in (
            made,
            made + 1,
            made.float().mean(),
            torch.zeros_like(made),
            made.new_ones(2),
            made[None],
        ):
            assert isinstance(tensor, OnDevice)
            assert tensor.device == CUDA
            assert tensor.is_cuda
        assert (gpu.waits, gpu.copies) == ([], [])
        assert torch.zeros(2).device.type == "cpu"


def test_mixing_devices_is_refused_but_for_single_numbers() -> None:
    with simulated_gpu():
        there = torch.ones(3, device="cuda")
        assert (there * torch.tensor(2.0)).values.tolist() == [2, 2, 2]
        with pytest.raises(DeviceMismatchError, match=r"\[3\] of the CPU"):
            there + torch.ones(3)
        with pytest.raises(DeviceMismatchError):
            torch.stack([there.sum(), torch.tensor(1.0)])
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(2, device="cuda", generator=torch.Generator())


def test_what_waits_is_counted_with_its_place() -> None:
    with simulated_gpu() as gpu:
        there = torch.tensor([0.0, 2.0, 3.0], device="cuda")
        assert copies(gpu) == ["tensor"]
        gpu.clear()

        float(there[0])
        assert (there > 1).any()
        there.cpu()
        there.to("cpu", non_blocking=True)
        there.tolist()
        there.nonzero()
        there[there > 1]
        torch.empty(3).copy_(there)
        torch.ones(3, dtype=torch.long, device="cuda").repeat_interleave(there.long())
        expected = [
            "item",
            "item",
            "copy to the CPU",
            "copy to the CPU",
            "tolist",
            "nonzero",
            "boolean indexing",
        ]
        assert waits(gpu) == [*expected, "copy_ to the CPU", "repeat_interleave"]
        assert all(__file__.endswith(wait.split(" at ")[1].split(":")[0]) for wait in gpu.waits)
        assert copies(gpu) == []


def test_what_does_not_wait_is_not_counted() -> None:
    with simulated_gpu() as gpu:
        there = torch.arange(6.0, device="cuda").view(2, 3)
        there[there > 1] = 0
        torch.where(there > 0, there, 1).topk(2)
        there[torch.tensor([0, 1], device="cuda", dtype=torch.long).clamp(max=1)]
        gpu.copies.clear()
        there.gather(1, there.long()).index_select(0, there[:, 0].long())
        torch.ones(4).to("cuda", non_blocking=True)
        assert (gpu.waits, gpu.copies) == ([], [])


def test_copies_of_pageable_memory_are_counted_apart() -> None:
    with simulated_gpu() as gpu:
        there = torch.ones(4).to("cuda")
        there[[0, 1]]
        there.copy_(torch.zeros(4))
        there.new_tensor([1.0])
        assert copies(gpu) == [
            "copy to the device",
            "index of the CPU",
            "copy_ to the device",
            "new_tensor",
        ]
        assert gpu.waits == []


def test_gradients_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    x = torch.randn(2, 3, 8, 8)
    module(x).square().mean().backward()
    expected = [parameter.grad for parameter in module.parameters()]
    module.zero_grad()
    with simulated_gpu() as gpu:
        gpu.moved(module)(x.to("cuda")).square().mean().backward()
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad.values, gradient)
