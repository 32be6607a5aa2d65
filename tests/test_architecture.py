"""The walls of the house: what may import what, and that every module stands alone."""

import ast
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


IMPORT_EACH_ALONE = """
import importlib, sys, warnings

warnings.simplefilter("error")
for name in sys.argv[1:]:
    # What earlier rounds left of the two packages is forgotten, so that this module has to bring
    # along all that it needs. Libraries stay: loading them again for each module takes a minute.
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in ("densevos", "densevos_eval"):
            del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit(f"{name} does not import alone: {error!r}")
"""


def test_every_module_imports_alone() -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]
    command = [sys.executable, "-c", IMPORT_EACH_ALONE, *names]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_judging_masks_and_parsing_commands_load_no_torch() -> None:
    parts = "cli drawing joints layouts metrics protocols reports runs scoring sequences settings submit"
    light = ["densevos.cli", "densevos.config", "densevos.data.sources.readers", "densevos.data.synthetic.sequences"]
    light += [name for name in MODULES if name.startswith(tuple(f"densevos_eval.{part}" for part in parts.split()))]
    base = [name for name in MODULES if name.startswith("densevos.base") and name != "densevos.base.devices"]
    sets = "densevos.data.segmentation"
    light += [*base, *(name for name in MODULES if name.startswith(sets) and name != f"{sets}.samples")]
    code = f"import sys, {', '.join(light)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_test_or_script_is_importable_from_an_installation() -> None:
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()} == {"densevos"}
