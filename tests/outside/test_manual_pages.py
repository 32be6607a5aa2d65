"""Pages of the manual that share one folder of small synthetic clips: their blocks run as they
stand, in order.

A page is one line in PAGES. Commands that several pages have run once, so that a new page costs
little.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

import densevos
from densevos_eval.protocols.registry import PROTOCOLS
from tests import pages
from tests.conftest import ROOT
from tests.densevos.test_cli import QUICK

PAGES = (
    "quickstart",
    "zero-shot",
    "learn",
    "score",
    "compare",
    "benchmarks",
    "extending",
    "troubleshooting",
)
ELSEWHERE = {
    "cluster": "tests/scripts/test_cluster_page.py",
    "data": "tests/outside/test_data_page.py",
    "encoders": "tests/outside/test_encoders_page.py",
    "extending-method": "tests/outside/test_simsiam.py",
    "image-to-video": "tests/outside/test_image_to_video_page.py",
    "install": "tests/outside/test_install_page.py",
    "own-video": "tests/outside/test_own_video_page.py",
    "python-api": "tests/outside/test_python_api_page.py",
    "reading": "tests/densevos/data/test_reading_page.py",
    "segment": "tests/test_readme.py",
    "studio": "tests/outside/test_studio_page.py",
}
"""Pages with tests of their own."""
WITHOUT_CODE = {"architecture", "decisions", "glossary", "index", "scripts"}
NOT_RUN = {
    "sh": "commands of a cluster, of pip, or of the whole test suite; the pages' own tests look at "
    "them",
    "toml": "a plan, which tests of matrix run in another form",
    "text": "what a command prints, layouts of files, a function for ~/.bashrc (tested below)",
    "{toctree}": "the table of contents",
}
RUN = {"bash", "python", "pycon"}

QUICK_MUG = (
    "--rounds 1 --loop.epochs 1 --loop.batch 2 --loop.workers 0 --loop.precision fp32 "
    "--clips.size 96 --clips.segments 3 --clips.window 3 --clips.pair-gap 1"
).split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all pages run."""
    return tmp_path_factory.mktemp("manual")


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """The commands that ran in it."""
    return set()


@pytest.fixture(autouse=True)
def _inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the folder, on one thread, and forget modules that were imported from it."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    torch.set_num_threads(1)
    yield
    for file in folder.glob("my_*.py"):
        sys.modules.pop(file.stem, None)


def quick(words: list[str]) -> list[str]:
    """Options that make a command of a page quick."""
    match words[1:3]:
        case "train", "--config":
            return []
        case "train", "mug_small":
            return QUICK_MUG
        case "train", _:
            return [*QUICK, "--clips.gap", "1"]
        case "data", "foreground":
            return ["--no-crf", "--workers", "1"]
        case "data", "list":
            return ["--workers", "1"]
        case "zeroshot", _:
            return ["--no-crf"]
        case "propagate", _:
            return ["--context", "1", "--radius", "3", "--device", "cpu"]
        case "score", _:
            return ["--workers", "1"]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_the_page(name: str, folder: Path, ran: set[str]) -> None:
    text = pages.page(f"{name}.md")
    for block in pages.blocks(text, "python"):
        file = re.match(r'"""(\w+\.py): ', block)
        assert file, f"{name}.md: the first line of a Python block names its file"
        (folder / file[1]).write_text(block, encoding="utf-8")

    for command in pages.commands(text):
        if command not in ran:
            pages.call(command, quick(command.split()))
            ran.add(command)
    pages.check_examples(text)


def test_every_page_is_tested_and_every_kind_of_block_is_known() -> None:
    names = {file.stem for file in (ROOT / "docs").glob("*.md")}
    assert names <= {*PAGES, *ELSEWHERE, *WITHOUT_CODE}
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())
    for name in names:
        languages = set(re.findall(r"^```(\S+)$", pages.page(f"{name}.md"), re.M))
        assert languages <= RUN | NOT_RUN.keys(), name
        assert name not in WITHOUT_CODE or not languages & RUN


def test_benchmarks_are_those_of_the_registry() -> None:
    table = [line for line in pages.page("benchmarks.md").splitlines() if line.startswith("| `")]
    named = [name for line in table for name in re.findall(r"`(\w[\w-]*)`", line.split("|")[1])]
    assert set(named) == PROTOCOLS.keys()
    for name in named:
        address = PROTOCOLS[name].source.split()[0].partition("#")[0].rstrip(",")
        assert not address.startswith("http") or address in pages.page("benchmarks.md"), name


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/extending.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:densevos|eval|tests|scripts|docs)/[\w./-]+)`", text)
    assert len(named) >= 5
    assert not [path for path in named if "NAME" not in path and not (ROOT / path).exists()]


def test_messages_that_the_page_explains_are_those_of_the_source() -> None:
    """A message that was reworded must be reworded in the manual too."""
    files = [*(ROOT / "densevos").rglob("*.py"), *(ROOT / "eval" / "densevos_eval").rglob("*.py")]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    strings = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    messages = re.findall(r"^\| `([^`]+)` \|", pages.page("troubleshooting.md"), re.M)
    assert len(messages) > 30
    parts = [part.strip(" ;:(),") for message in messages for part in message.split("...")]
    assert not [part for part in parts if not any(part in string for string in strings)]


@pytest.mark.slow
def test_bash_completes_commands_and_options() -> None:
    (function,) = (
        block
        for block in pages.blocks(pages.page("troubleshooting.md"), "text")
        if "COMPREPLY" in block
    )
    script = f"""
    densevos-eval() {{ {sys.executable} -m densevos_eval "$@"; }}
    {function}
    COMP_WORDS=(densevos-eval fr) COMP_CWORD=1; _densevos_complete densevos-eval; echo "${{COMPREPLY[@]}}"
    COMP_WORDS=(densevos-eval frame --o) COMP_CWORD=2; _densevos_complete densevos-eval; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "frame", done.stderr
    assert "--out" in done.stdout.splitlines()[1]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == densevos.__version__
    assert len(citation["references"]) == 4
