"""Weights files of others: safetensors or torch.save, read without running code that a file may
hold.
"""

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
"""How files begin that are no weights, what they are, and what to do."""

MAIN = ("teacher", "encoder_q", "base_encoder")
"""Of two networks that learned together, the one that is evaluated: DINO and iBOT; MoCo; MoCo
v3.
"""

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
"""Names of networks of which a file may hold several, the averages of one beside it included."""

WRAPPERS = ("state_dict", "model", "teacher")
"""Names under which checkpoints keep the weights."""

_OF_TOOLS = re.compile(
    r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)  # torch.compile, FSDP
_CHUNKED = re.compile(r"(?<![^.])blocks\.\d+\.(?=\d+\.)")

_MODULES = (
    "numpy._core.multiarray",
    "numpy.core.multiarray",
)  # before NumPy 2 under the second name
_NUMBERS = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?SU"
PLAIN: list[Any] = [
    argparse.Namespace,
    (pathlib.PosixPath, "pathlib.PosixPath"),
    (pathlib.PosixPath, "pathlib._local.PosixPath"),
    np.dtype,
    np.ndarray,
    *{type(np.dtype(code)) for code in _NUMBERS},
    *((np.float64(0).__reduce__()[0], f"{module}.scalar") for module in _MODULES),
    *((np.zeros(0).__reduce__()[0], f"{module}._reconstruct") for module in _MODULES),
]
"""What makes the plain values that checkpoints hold beside weights.

Parsed arguments (MAE, DINO, CRW), their paths (DINO, MAE and DeiT set the output folder as a path
when a cluster runs them), and NumPy's numbers and arrays of numbers (the score of DUL). NumPy's
objects are not among the types, so an array cannot carry anything else.
"""


class UnreadableError(Exception):
    """A file whose weights cannot be had: what it is (`reason`, a predicate) and what to do
    (`fix`).
    """

    def __init__(self, reason: str, fix: str):
        self.reason, self.fix = reason, fix
        super().__init__(f"{reason}; {fix}")


class SeveralNetworksError(UnreadableError):
    """A file of several networks, none of which is the main one."""


def read_foreign(path: Path) -> Any:
    """What a file holds: tensors, containers, plain values; no other class is made and no code is
    run.

    Raises FileNotFoundError, and UnreadableError for what is no such file.
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
    if _is_safetensors(
        head
    ):  # asked first, since the length that it begins with may look like anything
        return _read_safetensors(path)

    for beginning, reason, fix in BEGINNINGS:
        if re.match(beginning, head):
            raise UnreadableError(reason, fix)

    if path.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80")):
        return _read_safetensors(path)

    text = head.decode("latin-1").strip()
    if text.isascii() and text.isprintable():
        raise UnreadableError(f"is a text and no weights ({text[:40]})", "download the file itself")

    return _read_pickled(path)


def _is_safetensors(head: bytes) -> bool:
    """Whether a file begins as the format says: the length of a header (below 100 MB), and the
    header, JSON.
    """
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise UnreadableError(
            f"is not a whole safetensors file ({_brief(error)})", "download it again"
        ) from error


def _read_pickled(path: Path) -> Any:
    try:
        with (
            path.open("rb") as file,  # by its content: torch goes by suffixes
            warnings.catch_warnings(),
            torch.serialization.safe_globals(PLAIN),
        ):
            warnings.simplefilter(
                "ignore"
            )  # of pickle protocols: what is not plain weights is refused anyway
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
    """The weights whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def weights_in(content: Any, of: str | None = None) -> dict[str, torch.Tensor]:
    """Names and tensors of what a file holds, taken out of the checkpoint that may wrap them.

    Args:
        content: What the file holds, as `read_foreign` returns it.
        of: Which of several networks: student, encoder_k, model_ema, ... Without it, what is
            usually evaluated.

    Raises:
        UnreadableError: There are no weights, or none of that network.
    """
    if of is not None:
        content = _network_named(content, of)

    for wrapper in WRAPPERS:
        inner = content.get(wrapper) if isinstance(content, Mapping) else None
        content = inner if isinstance(inner, Mapping) else content

    if not isinstance(content, Mapping):
        raise UnreadableError(
            f"holds no weights but a {type(content).__name__}", "give a state dict"
        )

    weights = {
        str(name): tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)
    }
    weights = weights or dict(_nested(content))
    if not weights:
        raise UnreadableError("holds no weights by name", "give a state dict")

    return {_OF_TOOLS.sub("", name): tensor for name, tensor in weights.items()}


def _network_named(content: Any, name: str) -> dict[str, torch.Tensor]:
    """The weights whose dotted names, those of the mappings around them included, have `name` as a
    part before them.
    """
    weights = dict(_nested(content)) if isinstance(content, Mapping) else {}
    parts = {path: path.split(".")[:-1] for path in weights}
    chosen = {path: folders for path, folders in parts.items() if name in folders}

    if not chosen:
        others = {part for folders in parts.values() for part in folders} & set(TWINS)
        has = (
            f"it has {', '.join(sorted(others))}"
            if others
            else "it has one network, so leave --weights-of out"
        )
        raise UnreadableError(f"holds no network {name}", has)

    return {
        ".".join(path.split(".")[folders.index(name) + 1 :]): weights[path]
        for path, folders in chosen.items()
    }


def _nested(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of mappings inside one another, under names joined by dots; without an
    optimiser's.
    """
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            yield f"{before}{name}", value
        elif isinstance(value, Mapping) and not str(name).startswith("optim"):
            yield from _nested(value, f"{before}{name}.")


def of_network(weights: Mapping[str, T], wanted: Collection[str]) -> dict[str, T]:
    """Those of the weights that are of a network whose parameters have the names `wanted`, under
    these names.

    Whatever stands before the names is taken away ("module.", "teacher.backbone.", ...), with the
    weights beside it, and blocks are renumbered that DINOv2's training keeps in chunks
    (blocks.CHUNK.N). Weights that have fewer than a third of the names stay as they are; DINOv3's
    have no more than half under the names that timm gives them.

    Raises SeveralNetworksError where several networks are of these names, and none of them is the
    main one (see MAIN).
    """
    if not any(_CHUNKED.search(name) for name in wanted):
        weights = {_CHUNKED.sub("blocks.", name): tensor for name, tensor in weights.items()}

    counts = Counter(before for name in weights for before, inner in _cuts(name) if inner in wanted)
    most = max(counts.values(), default=0)
    if not wanted or 3 * most < len(wanted):
        return dict(weights)

    return below(
        weights, main_prefix([before for before, count in counts.items() if count == most])
    )


def main_prefix(prefixes: Collection[str]) -> str:
    """The only one of the prefixes, or else the only one of a network that is evaluated (see MAIN).

    Raises SeveralNetworksError where there is no such one.
    """
    main = [prefix for prefix in prefixes if set(prefix.split(".")) & set(MAIN)]
    for choice in (list(prefixes), main):
        if len(choice) == 1:
            return choice[0]

    names = ", ".join(prefix.rstrip(".") or "without prefix" for prefix in sorted(prefixes))
    raise SeveralNetworksError(f"holds several networks ({names})", "save the one wanted alone")


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """The name cut at each of its dots, and before its first letter."""
    parts = name.split(".")
    for cut in range(len(parts)):
        yield "".join(f"{part}." for part in parts[:cut]), ".".join(parts[cut:])


def differences(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> str:
    """What sets two sets of weights apart, in a line: names, or else the first shape; empty where
    nothing does.
    """
    lacking, others = (
        [name for name in a if name not in b] for a, b in ((wanted, found), (found, wanted))
    )

    if lacking or others:
        lacks = (
            f"{len(lacking)} of {len(wanted)} names are missing: {_some(lacking)}"
            if lacking
            else ""
        )
        has = f"others are there: {_some(others)}" if others else ""

        return "; ".join(filter(None, (lacks, has)))

    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            return f"{name} is {list(found[name].shape)}, not {list(tensor.shape)}"

    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _brief(error: Exception) -> str:
    """What an error says, short enough for a message of one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
