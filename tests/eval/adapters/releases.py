"""Files as the programs of others write them: names of weights, what stands beside them, and how it
is pickled.
"""

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

NEW_NUMPY, OLD_NUMPY = "numpy._core.multiarray", "numpy.core.multiarray"
"""Where NumPy 2, and NumPy before it, say that the maker of its numbers lives."""


def before(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with `prefix` before each name."""
    return {prefix + name: tensor for name, tensor in weights.items()}


def optimiser_state(network: nn.Module) -> dict:
    """What Adam keeps after one step, as training programs save it."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    return optimiser.state_dict()


def save_with_numpy(content: object, path: Path, module: str, *, zipped: bool) -> None:
    """torch.save, as a process writes it whose NumPy has its numbers in `module`."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    names = NEW_NUMPY.encode(), module.encode()
    if not zipped:
        path.write_bytes(path.read_bytes().replace(*names))
        return
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(name, record.replace(*names) if name.endswith("data.pkl") else record)
