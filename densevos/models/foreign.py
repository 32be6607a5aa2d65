"""Read weights files of other programs, safetensors or torch.save, without running their code."""

import argparse
import pathlib
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch

T = TypeVar("T")

BEGINNINGS = (
    (rb"\s*<", "is a web page", "download the file itself"),
    (rb"\s*[{\[]\s*[\"{\[]", "is a file of JSON", "give the file of weights"),
    (
        rb"version https://git-lfs",
        "is a pointer of git-lfs",
        "fetch the file itself, with git lfs pull",
    ),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf", "is compressed", "unpack it first"),
    (rb"\x89PNG|\xff\xd8\xff|%PDF", "is a picture or a document", "give a file of weights"),
    (rb"\x89HDF", "is a file of HDF5", "save it as safetensors, or with torch.save"),
)
"""First bytes of files that are no weights, what the files are, and what to do."""

MAIN = ("teacher", "encoder_q", "base_encoder")
"""Names of the network that is evaluated, if two learned together: DINO and iBOT; MoCo; MoCo v3."""

TWINS = (
    *MAIN,
    "student",
    "encoder_k",
    "momentum_encoder",
    "model_ema",
    "state_dict_ema",
    "model",
    "state_dict",
)
"""Names of networks, and of averages of networks, if a file holds several."""

WRAPPERS = ("state_dict", "model", "teacher")
"""Names under which checkpoints keep the weights."""

# Parts of names that torch.compile, FSDP and activation checkpointing add.
_OF_TOOLS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Blocks in chunks, blocks.CHUNK.N, as DINOv2's training names them.
_CHUNKED = re.compile(r"(?<![^.])blocks\.\d+\.(?=\d+\.)")

# The module of NumPy's arrays; before NumPy 2 it had the second name.
_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")
_NUMBERS = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?SU"
_DTYPES = {type(np.dtype(code)) for code in _NUMBERS}
# The functions by which pickle makes NumPy's scalars and arrays.
_SCALAR = np.float64(0).__reduce__()[0]
_ARRAY = np.zeros(0).__reduce__()[0]
PLAIN: list[Any] = [
    argparse.Namespace,
    (pathlib.PosixPath, "pathlib.PosixPath"),
    (pathlib.PosixPath, "pathlib._local.PosixPath"),
    np.dtype,
    np.ndarray,
    *_DTYPES,
    *[(_SCALAR, f"{module}.scalar") for module in _MODULES],
    *[(_ARRAY, f"{module}._reconstruct") for module in _MODULES],
]
"""Classes and functions that make the plain values which checkpoints hold beside weights.

These are parsed arguments (MAE, DINO, CRW), their paths (on a cluster, DINO, MAE and DeiT set the
output folder as a path), and NumPy's numbers and arrays of numbers (the score of DUL). The types of
numbers exclude objects, so an array cannot carry anything else.
"""


class UnreadableError(Exception):
    """A file whose weights cannot be read."""

    def __init__(self, reason: str, fix: str):
        """Keep both parts of the message.

        Args:
            reason: What the file is, as a predicate: "is empty".
            fix: What to do about it.
        """
        self.reason, self.fix = reason, fix
        super().__init__(f"{reason}; {fix}")


class SeveralNetworksError(UnreadableError):
    """A file of several networks without a main one."""


def read_foreign(path: Path) -> Any:
    """Read a file of weights. Only tensors, containers and plain values are made; no code is run.

    Args:
        path: A safetensors file or a file of torch.save, whatever its suffix.

    Returns:
        The content: a state dict, or a checkpoint around one.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableError: The file holds no weights, or cannot be read.
    """
    if path.is_dir():
        raise UnreadableError("is a folder", "give a file in it")

    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(
            f"cannot be read ({error.strerror})", "give a file that may be read"
        ) from error

    if not head:
        raise UnreadableError("is empty", "download it again")

    # This comes first, because the length at the start of a safetensors file can be any bytes.
    if _is_safetensors(head):
        return _read_safetensors(path)

    # Files that a failed download or a wrong path leaves get a message of their own.
    for beginning, reason, fix in BEGINNINGS:
        if re.match(beginning, head):
            raise UnreadableError(reason, fix)

    # A damaged safetensors file; PK and 0x80 start a zip archive and a pickle under a wrong name.
    if path.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80")):
        return _read_safetensors(path)

    text = head.decode("latin-1").strip()
    if text.isascii() and text.isprintable():
        raise UnreadableError(f"is a text and no weights ({text[:40]})", "download the file itself")

    return _read_pickled(path)


def _is_safetensors(head: bytes) -> bool:
    """Whether a file starts with the length of a header (below 100 MB) and the header, JSON."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise UnreadableError(
            f"is not a complete safetensors file ({_brief(error)})", "download it again"
        ) from error


def _read_pickled(path: Path) -> Any:
    try:
        # An open file is read by its content; for a path, torch goes by the suffix.
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            torch.serialization.safe_globals(PLAIN),
        ):
            # Warnings are about pickle protocols; anything but plain weights is refused anyway.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        name = f" ({refused[1]})" if refused else ""
        raise UnreadableError(
            f"is no plain weights file, or holds pickled code{name}, which is not run",
            'save it again as {"model": state_dict}',
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        if "TorchScript" in str(error):
            raise UnreadableError(
                "is a TorchScript archive", "save the state_dict() of its network"
            ) from error

        raise UnreadableError(f"cannot be read ({_brief(error)})", "download it again") from error


def below(weights: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Choose the weights whose names start with a prefix, and remove it.

    Args:
        weights: Tensors by name.
        prefix: Start of the names, such as "backbone.".

    >>> below({"backbone.conv1": 1, "head.conv2": 2}, "backbone.")
    {'conv1': 1}
    """
    chosen = {}
    for name, tensor in weights.items():
        if name.startswith(prefix):
            chosen[name.removeprefix(prefix)] = tensor

    return chosen


def weights_in(content: Any, of: str | None = None) -> dict[str, torch.Tensor]:
    """Take the weights out of a checkpoint.

    Args:
        content: The content of a file, from `read_foreign`.
        of: Name of one of several networks, such as student, encoder_k or model_ema; None for the
            one that is usually evaluated.

    Returns:
        Tensors by parameter name, without the prefixes of torch.compile and FSDP.

    Raises:
        UnreadableError: There are no weights, or none of that network.
    """
    # A file can hold several networks, of which the caller can name one.
    if of is not None:
        content = _network_named(content, of)

    # Wrappers can be nested, such as a state dict in a model.
    for wrapper in WRAPPERS:
        inner = content.get(wrapper) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping):
            content = inner

    if not isinstance(content, Mapping):
        raise UnreadableError(
            f"holds no weights but a {type(content).__name__}", "give a state dict"
        )

    # A state dict may hold plain values between its tensors, which are left out.
    weights = {}
    for name, tensor in content.items():
        if isinstance(tensor, torch.Tensor):
            weights[str(name)] = tensor

    # Without any tensor on this level, the networks are one or more levels below.
    weights = weights or dict(_nested(content))
    if not weights:
        raise UnreadableError("holds no weights by name", "give a state dict")

    return {_OF_TOOLS.sub("", name): tensor for name, tensor in weights.items()}


def _network_named(content: Any, name: str) -> dict[str, torch.Tensor]:
    """The weights below `name` in the dotted names, which include the mappings around them."""
    weights = dict(_nested(content)) if isinstance(content, Mapping) else {}
    chosen: dict[str, torch.Tensor] = {}
    modules: set[str] = set()

    # A name can be anywhere in the path, such as module.encoder_k.conv1.
    for path, tensor in weights.items():
        parts = path.split(".")
        modules.update(parts[:-1])
        if name in parts[:-1]:
            own_name = parts[parts.index(name) + 1 :]
            chosen[".".join(own_name)] = tensor

    if chosen:
        return chosen

    # Names of known networks help the user to choose; other modules would only clutter the message.
    others = sorted(modules & set(TWINS))
    fix = "it has one network, so leave --weights-of out"
    if others:
        fix = f"it has {', '.join(others)}"

    raise UnreadableError(f"holds no network {name}", fix)


def _nested(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of nested mappings, under names joined by dots; an optimiser's are left out."""
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            yield f"{before}{name}", value
        elif isinstance(value, Mapping) and not str(name).startswith("optim"):
            yield from _nested(value, f"{before}{name}.")


def of_network(weights: Mapping[str, T], wanted: Collection[str]) -> dict[str, T]:
    """Choose the weights of one network, and give them the names that it expects.

    The prefix that most names share ("module.", "teacher.backbone.") is removed, and weights with
    another prefix are left out. Blocks that DINOv2's training keeps in chunks (blocks.CHUNK.N) are
    renumbered.

    Args:
        weights: Tensors by name.
        wanted: Names of the network's parameters.

    Returns:
        Tensors by name; unchanged if fewer than a third of the names fit.

    Raises:
        SeveralNetworksError: Several networks have these names, and none is the main one (see
            MAIN).

    >>> of_network({"module.conv1": 1, "module.fc": 2, "epoch": 3}, ["conv1", "fc"])
    {'conv1': 1, 'fc': 2}
    """
    # Chunks are only renumbered if the network does not expect them itself.
    if not any(_CHUNKED.search(name) for name in wanted):
        weights = {_CHUNKED.sub("blocks.", name): tensor for name, tensor in weights.items()}

    # How many wanted names each prefix leaves.
    counts: Counter[str] = Counter()
    for name in weights:
        counts.update(before for before, inner in _cuts(name) if inner in wanted)

    # A third, because a file of DINOv3 has only half of the names that timm gives its network.
    most = max(counts.values(), default=0)
    if not wanted or 3 * most < len(wanted):
        return dict(weights)

    # Several prefixes can fit equally well, if two networks learned together.
    prefixes = [before for before, count in counts.items() if count == most]
    return below(weights, main_prefix(prefixes))


def main_prefix(prefixes: Collection[str]) -> str:
    """The only prefix, or else the only one of a network that is evaluated (see MAIN).

    Raises:
        SeveralNetworksError: There is no such prefix.
    """
    main = [prefix for prefix in prefixes if set(prefix.split(".")) & set(MAIN)]
    for choice in (list(prefixes), main):
        if len(choice) == 1:
            return choice[0]

    names = ", ".join(prefix.rstrip(".") or "without prefix" for prefix in sorted(prefixes))
    raise SeveralNetworksError(f"holds several networks ({names})", "save the one wanted alone")


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """All ways to cut a name in two, at each of its dots and before its first letter."""
    parts = name.split(".")
    for cut in range(len(parts)):
        before = "".join(f"{part}." for part in parts[:cut])
        yield before, ".".join(parts[cut:])


def differences(weights: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> str:
    """How weights differ from those that a network expects.

    Args:
        weights: Tensors by name.
        wanted: The network's own tensors by name.

    Returns:
        One line with the names that differ, or else with the first shape; empty if both fit.
    """
    # Names first: a shape can be compared only if both sides have the name.
    lacking = [name for name in wanted if name not in weights]
    others = [name for name in weights if name not in wanted]

    clauses = []
    if lacking:
        clauses.append(f"{len(lacking)} of {len(wanted)} names are missing: {_some(lacking)}")
    if others:
        clauses.append(f"others are there: {_some(others)}")
    if clauses:
        return "; ".join(clauses)

    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            return f"{name} is {list(weights[name].shape)}, not {list(tensor.shape)}"

    return ""


def _some(names: list[str]) -> str:
    """The first names of a list, for a message."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _brief(error: Exception) -> str:
    """What an error says, short enough for a message of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
