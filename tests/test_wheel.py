"""What an installation gets: the wheel and the source distribution hold what commands need, and
nothing else.
"""

import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tests.conftest import ROOT

NEVER = (
    "tests/",
    "benchmarks/",
    "scripts/",
    "__pycache__",
    ".pyc",
    ".pytest_cache",
    ".git/",
    "shared/",
)
SOURCES = {"densevos": ROOT / "densevos", "densevos_eval": ROOT / "eval" / "densevos_eval"}


def carried_files() -> list[str]:
    """Every file of the two packages, as an installation names it."""
    return [
        f"{package}/{file.relative_to(folder).as_posix()}"
        for package, folder in SOURCES.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]


def built(builder: type, folder: Path) -> Path:
    """What a builder makes of the checkout, in `folder`."""
    (artifact,) = builder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(artifact)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    return built(WheelBuilder, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_both_packages_with_their_files_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()

    packed = [name for name in names if not name.startswith(info)]
    assert sorted(packed) == sorted(carried_files())
    assert {"densevos/py.typed", "densevos_eval/py.typed", f"{info}/licenses/LICENSE"} <= set(names)
    assert not [name for name in names if any(part in name for part in NEVER)]
    assert "densevos = densevos.cli:main" in commands
    assert "densevos-eval = densevos_eval.cli:main" in commands
    for needed in (
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.11",
        "Provides-Extra: tensorboard",
    ):
        assert needed in metadata


def test_files_of_the_packages_are_small_and_of_kinds_that_are_meant(wheel: Path) -> None:
    """Results, weights and pictures that lie in a package by accident would be shipped."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {file.filename: file.file_size for file in archive.infolist()}
    kinds = {
        ".py",
        ".json",
        ".toml",
        ".txt",
        ".typed",
        ".safetensors",
        ".html",
        ".css",
        ".js",
        ".svg",
        ".png",
        ".md",
    }
    packed = {name: size for name, size in sizes.items() if ".dist-info/" not in name}
    assert not [name for name in packed if Path(name).suffix not in kinds]
    assert not [
        name for name, size in packed.items() if size > 1e6 and not name.endswith(".safetensors")
    ]
    assert sum(packed.values()) < 16e6


def test_the_source_distribution_can_be_built_from(tmp_path: Path) -> None:
    with tarfile.open(built(SdistBuilder, tmp_path)) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "docs/install.md"} <= set(
        names
    )
    packages = [
        f"eval/{name}" if name.startswith("densevos_eval/") else name for name in carried_files()
    ]
    assert set(packages) <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "scripts/"))]
