"""A GPU that is not there: tensors that say `cuda:0`, compute on the CPU, and count what would wait
for the device.

Torch's own fake tensors have no values, and their backward pass fails without a driver. `OnDevice`
therefore wraps a tensor of the CPU. What only a real GPU can tell (speed, memory, NCCL, the
numerics of cuDNN) is not simulated.

    with simulated_gpu() as gpu:
        module = gpu.moved(module)
        loss = module(batch.to("cuda"))
        assert gpu.waits == []
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._foreach_utils import (
    _group_tensors_by_device_and_dtype as group_tensors_by_device_and_dtype,
)
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

from tests.conftest import ROOT

CUDA = torch.device("cuda", 0)
aten = torch.ops.aten

# What the host cannot know before the device has done all that was asked of it.
ASKING = {
    aten._local_scalar_dense.default: "item",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten.equal.default: "equal",
    aten._unique2.default: "unique",
    aten.unique_dim.default: "unique",
    aten.unique_consecutive.default: "unique",
    aten.bincount.default: "bincount",
}
INDEXING = (
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
)
COPYING = (aten.copy_.default, *INDEXING)
"""Operations that take tensors of the CPU beside those of the device, and copy them."""
OF_GRADIENTS = (aten.scatter.src, aten.scatter.value)
"""What torch 2.6 computes gradients of min and topk with, from zeros that it makes where no
simulation sees them.
"""


class DeviceMismatchError(AssertionError):
    """A GPU would refuse this: tensors of the CPU and of the device in one operation."""


class OnDevice(Tensor):
    """A tensor on the simulated GPU; `values` are its values, on the CPU."""

    values: Tensor
    gpu: "SimulatedGpu"

    @staticmethod
    def __new__(cls, values: Tensor, gpu: "SimulatedGpu") -> Self:
        """`values` behind a tensor that the C++ side takes for one of the CPU, so that autograd
        works as there.
        """
        tensor = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            requires_grad=values.requires_grad,
        )
        tensor.values, tensor.gpu = values.detach(), gpu
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl  # SimulatedGpu does it

    @property
    def device(self) -> torch.device:
        """Where the tensor says that it is."""
        return CUDA

    @property
    def is_cuda(self) -> bool:
        """As of `device`."""
        return True

    @property
    def is_cpu(self) -> bool:
        """As of `device`."""
        return False

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnDevice({self.values})"

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        gpu = next(tensor.gpu for tensor in tensors if isinstance(tensor, OnDevice))
        _check_devices(func, args, tensors)
        _count(gpu, func, args, kwargs)

        plain = tree_map_only(OnDevice, lambda tensor: tensor.values, (args, kwargs))
        result = func(*plain[0], **plain[1])
        if func is aten.copy_.default and not isinstance(args[0], OnDevice):
            return args[0]
        wrapped = tree_map_only(Tensor, lambda tensor: OnDevice(tensor, gpu), result)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)


class SimulatedGpu(TorchFunctionMode):
    """Sends what is made on or moved to `cuda` to the simulated GPU, and keeps the counts.

    waits: what would wait until the device has done all its work, each as "what at file:line".
    copies: copies of pageable memory to the device that would wait for it, in the same form.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.copies: list[str] = []

    def clear(self) -> None:
        """Count from zero."""
        self.waits.clear()
        self.copies.clear()

    def moved(self, module: nn.Module) -> nn.Module:
        """The module itself, its parameters and buffers on the device."""
        for part in module.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    on_device = OnDevice(parameter.detach(), self)
                    part._parameters[name] = nn.Parameter(
                        on_device, requires_grad=parameter.requires_grad
                    )
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = OnDevice(buffer, self)
        return module

    def wait(self, what: str) -> None:
        """Count something that waits for the device."""
        self.waits.append(f"{what} at {_place()}")

    def copy(self, what: str) -> None:
        """Count a copy of pageable memory that waits."""
        self.copies.append(f"{what} at {_place()}")

    def __torch_function__(
        self,
        func: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        on_device = isinstance(first, OnDevice)

        if name in ("to", "cpu", "cuda") and isinstance(first, Tensor):
            return self._moved(first, func, args[1:], kwargs)
        if name == "tolist" and on_device:
            self.wait("tolist")
            return first.values.tolist()
        if name in ("numpy", "__array__") and on_device:
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy: copy it to the CPU first"
            )
        if name == "new_tensor" and on_device:
            self.copy("new_tensor")
            return OnDevice(torch.tensor(*args[1:], dtype=kwargs.get("dtype", first.dtype)), self)
        if name == "affine_grid" and on_device:
            return _AffineGrid.apply(*args, *kwargs.values())
        if _is_cuda(kwargs.get("device")):
            return self._made(func, name, args, kwargs)
        return func(*args, **kwargs)

    def _moved(
        self, tensor: Tensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """`tensor` after .to(...), .cpu() or .cuda(): dtype and layout by torch itself, the device
        here.
        """
        target, dtype, waits, layout = _target(tensor, func.__name__, args, kwargs)
        from_device, to_device = isinstance(tensor, OnDevice), target.type == "cuda"
        if from_device and not to_device:
            self.wait("copy to the CPU")
            tensor = _Fetched.apply(tensor)
        elif to_device and not from_device:
            if waits:
                self.copy("copy to the device")
            tensor = _Sent.apply(tensor, self)
        options: dict[str, Any] = {} if layout is None else {"memory_format": layout}
        return tensor.to(dtype or tensor.dtype, **options)

    def _made(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a factory such as torch.zeros makes on the device."""
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != "cuda":
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        if name in ("tensor", "as_tensor", "asarray"):
            self.copy(name)
        made = func(*args, **{**kwargs, "device": "cpu"})
        return (
            made
            if isinstance(made, OnDevice)
            else OnDevice(made, self).requires_grad_(made.requires_grad)
        )


class _Sent(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: Tensor, gpu: SimulatedGpu) -> Tensor:
        return OnDevice(tensor.detach().clone(), gpu)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return gradient.values, None  # type: ignore[attr-defined]


class _Fetched(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: OnDevice) -> Tensor:
        context.gpu = tensor.gpu
        return tensor.values.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return OnDevice(gradient, context.gpu)


class _AffineGrid(torch.autograd.Function):
    """The backward pass of torch makes a tensor where the C++ side thinks that it is: on the
    CPU.
    """

    @staticmethod
    def forward(context: Any, theta: OnDevice, size: list[int], align_corners: bool) -> Tensor:
        context.gpu = theta.gpu
        with torch.enable_grad():
            context.theta = theta.values.detach().requires_grad_()
            context.grid = F.affine_grid(context.theta, size, align_corners)
        return OnDevice(context.grid, theta.gpu)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        found = torch.autograd.grad(context.grid, context.theta, gradient.values)  # type: ignore[attr-defined]
        return OnDevice(found[0], context.gpu), None, None


@contextmanager
def simulated_gpu() -> Iterator[SimulatedGpu]:
    """A block in which `cuda` is the simulated GPU, one that multiplies bfloat16; mixed precision
    is the CPU's.
    """
    gpu = SimulatedGpu()
    with (
        mock.patch.object(torch, "autocast", _autocast),
        mock.patch.object(torch.cuda, "get_device_capability", return_value=(9, 0)),
        mock.patch.object(
            torch.optim.Optimizer, "_group_tensors_by_device_and_dtype", staticmethod(_grouped)
        ),
        # Wrapped tensors cannot be views in inference mode.
        mock.patch.object(
            torch._C, "_InferenceMode", lambda mode: torch.no_grad() if mode else nullcontext()
        ),
        gpu,
    ):
        yield gpu


def _grouped(lists: list[list[Any]], with_indices: bool = False) -> dict[Any, Any]:
    """Tensors by device and dtype, as optimisers that update many at once want them; the C++ side
    says CPU.
    """
    groups = group_tensors_by_device_and_dtype(lists, with_indices)
    there = any(isinstance(tensor, OnDevice) for tensor in lists[0])
    return {(CUDA if there else device, dtype): found for (device, dtype), found in groups.items()}


class _autocast(torch.autocast):  # noqa: N801 - takes the place of torch.autocast
    def __init__(self, device_type: str, dtype: torch.dtype | None = None, **kwargs: Any):
        # The CPU takes seconds for what it computes in float16. What is cast is the same for
        # bfloat16.
        dtype = torch.bfloat16 if dtype == torch.float16 else dtype
        super().__init__("cpu" if device_type == "cuda" else device_type, dtype, **kwargs)


def _check_devices(func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> None:
    """Raise DeviceMismatchError where a GPU would; it takes single numbers of the CPU, but not in a
    list of tensors.
    """
    if func in COPYING or (func in OF_GRADIENTS and not tensors[0].any()):
        return
    listed = {id(t) for argument in args if isinstance(argument, list | tuple) for t in argument}
    strangers = [
        t for t in tensors if not isinstance(t, OnDevice) and (t.dim() > 0 or id(t) in listed)
    ]
    if strangers:
        raise DeviceMismatchError(
            f"{func}: a tensor {list(strangers[0].shape)} of the CPU, others of {CUDA}, at "
            f"{_place()}"
        )


def _count(gpu: SimulatedGpu, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Count what this operation would make the host wait for."""
    if func in ASKING:
        gpu.wait(ASKING[func])
    elif func is aten.repeat_interleave.Tensor and kwargs.get("output_size") is None:
        gpu.wait("repeat_interleave")
    elif func is aten.copy_.default:
        there, here = isinstance(args[0], OnDevice), isinstance(args[1], OnDevice)
        if here and not there:
            gpu.wait("copy_ to the CPU")
        elif there and not here and args[1].dim() and not (len(args) > 2 and args[2]):
            gpu.copy("copy_ to the device")
    elif func in INDEXING:
        _count_indexing(gpu, args)


def _count_indexing(gpu: SimulatedGpu, args: tuple[Any, ...]) -> None:
    indices = [index for index in args[1] if index is not None]
    for index in indices:
        if not isinstance(index, OnDevice) and index.dim():
            gpu.copy("index of the CPU")
    masks = [
        index
        for index in indices
        if index.dtype in (torch.bool, torch.uint8) and isinstance(index, OnDevice)
    ]
    # A mask to which one number is assigned is filled without asking where it is.
    filled = len(args) > 2 and args[2].numel() == 1 and len(indices) == len(masks)
    if masks and not filled:
        gpu.wait("boolean indexing")


def _target(
    tensor: Tensor, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.device, torch.dtype | None, bool, torch.memory_format | None]:
    """What .to(...), .cpu() or .cuda() leads to: device, dtype, whether it blocks, memory
    format.
    """
    if name in ("cpu", "cuda"):
        return (
            CUDA if name == "cuda" else torch.device("cpu"),
            None,
            not kwargs.get("non_blocking"),
            None,
        )
    if args and isinstance(args[0], Tensor):
        return args[0].device, args[0].dtype, not kwargs.get("non_blocking"), None
    kwargs = {key: value for key, value in kwargs.items() if value is not None and key != "copy"}
    device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
    return device or tensor.device, dtype, not non_blocking, layout


def _is_cuda(device: object) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == "cuda"


def _place() -> str:
    """The line of this project, outside this file, that is at work."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(str(ROOT)) and frame.filename != __file__:
            return f"{frame.filename.removeprefix(str(ROOT))[1:]}:{frame.lineno}"
    return "?"
