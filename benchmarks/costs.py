"""What a piece of work would cost on a GPU, counted without one.

`costs_of` counts operations, bytes, kernels and memory, and estimates seconds. It runs the work on
torch's device "meta", whose tensors have shapes and no values: it takes no time, and fails where
the work would look at a value, which on a GPU makes the host wait.

Every operation that is no view counts as one kernel that reads its inputs and writes its outputs.
Seconds are a roofline: each kernel takes the time of its arithmetic or of its bytes, whichever is
longer, and at least a shortest time. The host needs some time to start a kernel, during which the
GPU works. The result is an estimate: `Card` states which shares of the peaks it assumes.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

GATHERS = ("index_select", "gather", "index")  # Read no more than they write.
NO_KERNELS = ("empty", "empty_like", "empty_strided", "new_empty", "lift_fresh", "detach")


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU: arithmetic and memory that products and passes sustain, and times per kernel."""

    name: str
    fp32: float
    """FLOP/s."""
    bf16: float
    """FLOP/s."""
    bytes: float
    """Bytes/s."""
    blocks: int
    """Rows of a top-k that are worked on at once, two on each multiprocessor."""
    topk_pass: float = 1.2e-6
    """Seconds of a pass over a row of a top-k; there is one for every two bits."""
    kernel: float = 3e-6
    """Shortest seconds of a kernel."""
    launch: float = 7e-6
    """Seconds of the host for an operation of torch."""


# Peaks of the SXM5 card without sparsity, times the share that large products and passes sustain:
# 67 TFLOP/s in float32, 989 in bfloat16, 4.8 TB/s. It has 132 multiprocessors.
H200 = Card(name="H200", fp32=0.7 * 67e12, bf16=0.5 * 989e12, bytes=0.7 * 4.8e12, blocks=264)


@dataclass(kw_only=True)
class Costs:
    """Counted work."""

    fp32: float = 0
    bf16: float = 0
    bytes: float = 0
    kernels: int = 0
    state: float = 0
    """Bytes that were there before and are used."""
    held: float = 0
    """Bytes that were made and exist now."""
    peak: float = 0
    """The most bytes that were made and existed at a time."""
    gpu: float = 0
    """Estimated seconds of the card."""

    def seconds(self, card: Card) -> float:
        """Estimated seconds: those of the card, or of the host if it starts kernels too slowly."""
        return max(self.gpu, self.kernels * card.launch)


class Counted(TorchDispatchMode):
    """Counts what is done while it is entered."""

    def __init__(self, card: Card):
        super().__init__()
        self.card = card
        self.costs = Costs()
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        # What the work did not make itself was there before.
        inputs = on_meta((args, kwargs))
        self.costs.state += sum(map(self._new, inputs))

        out = func(*args, **(kwargs or {}))
        results = on_meta(out)
        for result in results:
            self._hold(result)

        # A view and an empty tensor take no kernel. Names have an overload: "add.Tensor".
        name = func.__name__.partition(".")[0]
        if results and name not in NO_KERNELS and not func.is_view:
            self._count(name, inputs, results, flops_of(func, args, kwargs or {}, out))

        return out

    def _new(self, tensor: Tensor) -> int:
        """Bytes of a tensor's memory that has not been seen, else 0."""
        storage = tensor.untyped_storage()
        if storage._cdata in self._known:
            return 0

        # Python may give the same address to a later storage, so forget it when it goes.
        self._known.add(storage._cdata)
        weakref.finalize(storage, self._known.discard, storage._cdata)
        return storage.nbytes()

    def _hold(self, tensor: Tensor) -> None:
        """Count a tensor's memory as held until it is freed."""
        # A view of memory that is held already has size 0 here.
        size = self._new(tensor)
        self.costs.held += size
        self.costs.peak = max(self.costs.peak, self.costs.held)
        if size:
            weakref.finalize(tensor.untyped_storage(), self._release, size)

    def _release(self, size: int) -> None:
        self.costs.held -= size

    def _count(self, name: str, inputs: list[Tensor], results: list[Tensor], flop: float) -> None:
        """Add one kernel."""
        written = sum(map(size_of, results))
        read = written
        if name not in GATHERS:
            read = sum(map(size_of, inputs))

        costs = self.costs
        costs.bytes += read + written
        costs.kernels += 1

        # The type of the first input decides which units of the card do the arithmetic.
        if inputs and inputs[0].dtype == torch.bfloat16:
            rate = self.card.bf16
            costs.bf16 += flop
        else:
            rate = self.card.fp32
            costs.fp32 += flop

        # The roofline: whatever takes longest decides.
        costs.gpu += max(
            flop / rate,
            (read + written) / self.card.bytes,
            self.card.kernel,
            self._sorting(name, inputs),
        )

    def _sorting(self, name: str, inputs: list[Tensor]) -> float:
        """Seconds of a top-k, whose passes over a row are a block's own."""
        if name != "topk":
            return 0

        rows = inputs[0].numel() / max(inputs[0].shape[-1], 1)

        # A pass looks at two bits, so there are four for each byte of a value.
        passes = 4 * inputs[0].element_size()
        return rows / self.card.blocks * passes * self.card.topk_pass


def size_of(tensor: Tensor) -> int:
    """Bytes of a tensor; of an expanded one those that are there."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def flops_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> float:
    """Floating-point operations of a product, a convolution or attention; 0 for all else."""
    formula = flop_registry.get(func.overloadpacket)
    if formula is None:
        return 0.0

    return float(formula(*args, **kwargs, out_val=out))


def on_meta(arguments: Any) -> list[Tensor]:
    """The tensors without values among some arguments."""
    # Small constants may lie on the CPU; they are not counted.
    tensors = []
    for leaf in tree_leaves(arguments):
        if isinstance(leaf, Tensor) and leaf.device.type == "meta":
            tensors.append(leaf)

    return tensors


@torch.no_grad()
def costs_of(work: Callable[[], object], card: Card = H200) -> Costs:
    """What a piece of work costs that is done on the device "meta"."""
    with Counted(card) as counted:
        work()
    return counted.costs
