"""Describe this machine: versions, decoders of video files, cores, memory and GPUs."""

import os
import platform
import shutil
import sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from densevos.base.devices import multiplies_bf16
from densevos.data.sources.video import DECODERS, READER, loading_problem, quick_readers

# What the package requires; the decoders are listed by themselves.
PACKAGES = (
    "densevos",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pillow",
    "scikit-image",
    "opencv-contrib-python-headless",
    "safetensors",
    "tyro",
    "rich",
)
OPTIONAL = ("tensorboard", "transformers", "timm", "submitit", "wandb", "torchcodec")
# The module decord comes from decord2 except on Linux with an x86_64 processor.
DECODING_PACKAGES = {
    "torchcodec": ("torchcodec",),
    "decord": ("decord", "decord2"),
    "pyav": ("av",),
}
SHARED_MEMORY = Path("/dev/shm")


def describe_system() -> dict[str, Any]:
    """The facts that a report about speed or a fault should contain.

    Returns:
        Values that JSON can hold, by name; sizes in GB (10^9 bytes).

    Raises:
        InputError: DENSEVOS_READER names a decoder that is not installed.
    """
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: _version(name) for name in PACKAGES},
        "optional_packages": {name: _version(name) for name in OPTIONAL},
        "encoders_that_come_along": _shipped_encoders(),
        "decoders": {name: _decoder(name) for name in DECODERS},
        "videos_are_read_by": [reader.__name__ for reader in quick_readers()] + ["AvReader"],
        READER: os.environ.get(READER, "auto"),
        "movies_are_written_with": _h264(),
        "ffmpeg_command": shutil.which("ffmpeg"),
        "cores": _cores(),
        "memory_gb": _memory_gb(),
        "shared_memory_gb": _free_gb(SHARED_MEMORY),
        "gpus": [_gpu(number) for number in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "bf16_native_on_cpu": multiplies_bf16(torch.device("cpu")),
    }


def _version(package: str) -> str | None:
    """The version of a package; None if it is not installed, as in a bare checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _decoder(name: str) -> str:
    """The version of a decoder, or why it does not load."""
    # A package can be installed and yet fail to load, for lack of a library of FFmpeg for example.
    problem = loading_problem(name)
    if problem is not None:
        return f"does not load: {problem}"

    for package in DECODING_PACKAGES[name]:
        installed = _version(package)
        if installed:
            return installed

    return "loads; its version is not known"


def _h264() -> str | None:
    """The encoder of H.264 that PyAV has; None if it has none."""
    import av

    # A build of PyAV may contain either, both or none of them.
    for name in ("libx264", "libopenh264"):
        if name in av.codecs_available:
            return name

    return None


def _shipped_encoders() -> list[str]:
    """Files of weights in the evaluator's package, which is found without being imported."""
    spec = PathFinder.find_spec("densevos_eval", sys.path)
    if spec is None or spec.submodule_search_locations is None:
        return []

    files: list[Path] = []
    for folder in spec.submodule_search_locations:
        files += Path(folder, "assets").glob("*.safetensors")

    return [f"{file.name}, {file.stat().st_size / 1e6:.1f} MB" for file in sorted(files)]


def _cores() -> int:
    """Cores that this process may use; a container or a job may allow only some of them."""
    # Not every system has this call; without it, all cores of the machine count.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))

    return os.cpu_count() or 1


def _memory_gb() -> float | None:
    """Main memory; None if the system does not report it."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _free_gb(folder: Path) -> dict[str, float] | None:
    """Size and free space of the file system of a folder; None if the folder does not exist."""
    if not folder.is_dir():
        return None

    usage = shutil.disk_usage(folder)
    return {"size": round(usage.total / 1e9, 2), "free": round(usage.free / 1e9, 2)}


def _gpu(number: int) -> dict[str, Any]:
    """Name and memory of a GPU, and whether it computes in bfloat16 itself."""
    facts = torch.cuda.get_device_properties(number)
    return {
        "name": facts.name,
        "memory_gb": round(facts.total_memory / 1e9, 1),
        "bf16_native": multiplies_bf16(torch.device("cuda", number)),
    }
