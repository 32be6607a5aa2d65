"""The walls of the house: what may import what, and that every module stands alone."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = {"densevos": ROOT / "densevos", "densevos_eval": ROOT / "eval" / "densevos_eval"}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


MODULES = dict(modules())


def imported(path: Path) -> set[str]:
    """The absolute names that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("name", MODULES)
def test_the_trainer_never_imports_the_evaluator(name: str) -> None:
    if not name.startswith("densevos_eval"):
        assert not any(other.split(".")[0] == "densevos_eval" for other in imported(MODULES[name]))


def test_only_the_command_lines_import_tyro() -> None:
    users = {name for name, path in MODULES.items() if "tyro" in {i.split(".")[0] for i in imported(path)}}
    assert users <= {"densevos.cli", "densevos_eval.cli", "densevos_eval.settings"}


IMPORT_EACH = """
import importlib, subprocess, sys, warnings
warnings.simplefilter("error")
name = sys.argv[1]
importlib.import_module(name)
print("torch" in sys.modules)
"""


def import_alone(name: str) -> bool:
    """Import a module in a process of its own; tells whether torch came along."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", IMPORT_EACH, name]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip() == "True"


@pytest.mark.parametrize("name", [n for n in MODULES if not n.endswith("__main__")])
def test_every_module_imports_alone(name: str) -> None:
    with_torch = import_alone(name)
    light = ("densevos.cli", "densevos.config", "densevos.data.readers", "densevos.data.synthetic", "densevos.masks")
    judge = ("cli", "score", "tables", "sequences", "protocols", "metrics")
    if name in light or any(
        name == f"densevos_eval.{part}" or name.startswith(f"densevos_eval.{part}.") for part in judge
    ):
        assert not with_torch, f"{name} loads torch"


def test_no_test_or_script_is_importable_from_an_installation() -> None:
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()} == {"densevos"}
