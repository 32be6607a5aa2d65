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


def room_of(module: str) -> str:
    """The folder of a module, as a dotted name; the commands stand on the roof with the other entry
    points.
    """
    room = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    return room.removesuffix(".commands")


def arrows(package: str) -> set[tuple[str, str]]:
    """Every import of one module of a package by another, as (importer, imported)."""
    found = set()
    for name, path in MODULES.items():
        if name.partition(".")[0] != package:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [target if target in MODULES else node.module for target in targets]
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            else:
                continue
            found |= {(name, other) for other in targets if other in MODULES and other != name}
    return found


def first_circle(arrows: set[tuple[str, str]]) -> list[str]:
    """The names on a circle of arrows; empty if there is none."""
    after: dict[str, list[str]] = {}
    for start, end in sorted(arrows):
        after.setdefault(start, []).append(end)
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in after.get(name, ()):
            if circle := walk(other, [*way, name]):
                return circle
        done.add(name)
        return []

    return next((circle for start in after if (circle := walk(start, []))), [])


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_make_no_circle_of_modules_or_rooms(package: str) -> None:
    assert not first_circle(arrows(package))
    # The roof imports rooms; what lies there besides the entry points would tie rooms to the roof.
    rooms = {(room_of(start), room_of(end)) for start, end in arrows(package)}
    assert not first_circle({(start, end) for start, end in rooms if start != end})


@pytest.mark.parametrize("name", MODULES)
def test_the_trainer_never_imports_the_evaluator(name: str) -> None:
    if not name.startswith("densevos_eval"):
        assert not any(other.split(".")[0] == "densevos_eval" for other in imported(MODULES[name]))


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("scoring", ("reports", "propagation", "zeroshot", "segmentation", "sweep")),
        ("metrics", ("scoring", "reports", "propagation", "protocols")),
        ("runs", ("scoring", "reports", "propagation")),
    ],
)
def test_scores_know_nothing_of_what_is_made_of_them_or_of_masks(
    room: str, others: tuple[str, ...]
) -> None:
    walls = tuple(f"densevos_eval.{other}" for other in others)
    for name, path in MODULES.items():
        if name.startswith(f"densevos_eval.{room}"):
            assert not [other for other in imported(path) if other.startswith(walls)], name


KNOWN_TO_TRAINING = {"densevos.methods.method", "densevos.methods.registry"}


@pytest.mark.parametrize(
    "name", [n for n in MODULES if n.startswith(("densevos.engine", "densevos.data"))]
)
def test_engine_and_data_know_no_method_and_data_no_engine(name: str) -> None:
    above = ("densevos.methods", "densevos.learners", "densevos.training")
    if name.startswith("densevos.data"):
        above += ("densevos.engine",)
    assert not [other for other in imported(MODULES[name]) if other.startswith(above)]


def test_training_knows_methods_by_their_contract_alone() -> None:
    used = imported(MODULES["densevos.training"])
    assert {name for name in used if name.startswith("densevos.methods")} == KNOWN_TO_TRAINING
    assert not {
        name for name in used if name.startswith(("densevos.learners", "densevos.objectives"))
    }


def test_only_the_command_lines_import_tyro() -> None:
    users = {
        name
        for name, path in MODULES.items()
        if "tyro" in {i.split(".")[0] for i in imported(path)}
    }
    commands = {
        name
        for name in MODULES
        if name.startswith(("densevos.commands.", "densevos_eval.commands."))
    }
    assert users <= {"densevos.cli", "densevos_eval.cli", *commands}


IMPORT_ALL = """
import importlib, sys, warnings

warnings.simplefilter("error")
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        sys.exit(f"{name} does not import: {error!r}")
"""


def test_every_module_imports_without_a_warning() -> None:
    """In any order: there are no circles, so a module that imports here imports alone."""
    names = [name for name in MODULES if not name.endswith("__main__")]
    finished = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_judging_masks_and_parsing_commands_load_no_torch() -> None:
    parts = (
        "cli commands drawing inputs matrix metrics presets protocols reports runs scoring "
        "sequences submit"
    )
    options = ["adapters.options", "segmentation.options", "sweep.grid", "zeroshot.options"]
    light = [
        "densevos.cli",
        "densevos.config",
        "densevos.recipes",
        "densevos.data.synthetic.sequences",
    ]
    light += [
        name for name in MODULES if name.startswith(("densevos.data.sources", "densevos.methods"))
    ]
    light += [
        name
        for name in MODULES
        if name.startswith(tuple(f"densevos_eval.{part}" for part in parts.split()))
    ]
    light += [f"densevos_eval.{part}" for part in options]
    base = [
        name
        for name in MODULES
        if name.startswith("densevos.base") and name != "densevos.base.devices"
    ]
    sets = "densevos.data.segmentation"
    light += [
        *base,
        *(name for name in MODULES if name.startswith(sets) and name != f"{sets}.samples"),
    ]
    code = f"import sys, {', '.join(light)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_test_or_script_is_importable_from_an_installation() -> None:
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()} == {
        "densevos"
    }
