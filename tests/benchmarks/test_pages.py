"""Pages of experiments agree with the results that they are made of."""

import re
import subprocess
import sys

import pytest

from densevos.base.errors import InputError
from experiments import pages, reports
from tests.conftest import ROOT

EXPERIMENTS = ROOT / "benchmarks" / "experiments"
WITH_RESULT = [name for name in reports.names() if (EXPERIMENTS / name / "result.json").is_file()]


def test_every_experiment_keeps_the_contract() -> None:
    assert reports.names() == [
        "adaptation",
        "davis_dev",
        "i2v_tables",
        "mug_dev",
        "protocol_effects",
        "train_default",
        "zero_shot_dev",
    ]
    for name in reports.names():
        assert (EXPERIMENTS / name / "gather.py").is_file()
        assert (ROOT / "scripts" / f"{name}.sh").is_file()


@pytest.mark.parametrize("name", WITH_RESULT)
def test_page_and_result_agree(name: str) -> None:
    kept = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text(encoding="utf-8")
    assert kept == pages.page(name), f"run python benchmarks page {name}"


@pytest.mark.parametrize("name", WITH_RESULT)
def test_page_has_every_table_and_links_that_lead_somewhere(name: str) -> None:
    page = pages.page(name)
    result = reports.read_json(EXPERIMENTS / name / "result.json")
    assert all(table in page for table in reports.tables(name, result).values())
    assert "{{" not in page
    for link in re.findall(r"\]\(([^):]+)\)", page):
        assert (pages.PAGES / link).is_file(), link


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"^page\.md: there is no speed; known are scores"):
        pages.filled("a {{speed}}", {"scores": "|"}, source="page.md")


def test_an_experiment_without_result_has_no_page() -> None:
    with pytest.raises(InputError, match=r"i2v_tables/result\.json: is not there; run the experiment"):
        pages.page("i2v_tables")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gather"], "error: name run, gather or page"),
        (["page", "x"], "error: x: is no experiment; known are adaptation, "),
        (["run", "davis_dev"], "error: VIDEOS: set VIDEOS to a folder of videos to learn from"),
    ],
)
def test_unusable_commands_are_refused_in_one_line(arguments: list[str], message: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(message)
