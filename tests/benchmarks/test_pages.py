"""Result pages agree with the JSON that they are made of, and keep one form."""

import re
import sys
from functools import cache
from pathlib import Path
from runpy import run_path

import pytest

from densevos.base.errors import InputError
from experiments import pages, reports
from experiments.pages import Values
from tests.conftest import ROOT

EXPERIMENTS = ROOT / "benchmarks" / "experiments"
RESULTS = ROOT / "benchmarks" / "results"
NAMES = pages.names()


@cache
def text_of(name: str) -> str:
    """The text of a page, made once."""
    return pages.page(name).text


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
        folder = EXPERIMENTS / name
        assert (folder / "gather.py").is_file()
        assert (ROOT / "scripts" / f"{name}.sh").is_file()

        # A result without a page would be seen by nobody.
        assert (folder / "result.json").is_file() == (folder / "page.md").is_file()


def test_there_is_a_page_for_every_name_and_no_other() -> None:
    written = {path.stem for path in RESULTS.glob("*.md")}
    assert written == {*NAMES, pages.INDEX}


@pytest.mark.parametrize("name", NAMES)
def test_page_and_result_agree(name: str) -> None:
    kept = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert kept == text_of(name), f"run python benchmarks page {name}"


def test_the_index_agrees_and_has_a_line_for_each_page() -> None:
    kept = (RESULTS / f"{pages.INDEX}.md").read_text(encoding="utf-8")
    assert kept == pages.index(), "run python benchmarks pages"
    for name in NAMES:
        assert (
            len(
                re.findall(rf"^\| \[.+\]\({name}\.md\) \|.+ \|.+ \|.+ \|.+ \|$", kept, re.MULTILINE)
            )
            == 1
        ), name


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_question_answer_command_tables_and_few_caveats(name: str) -> None:
    text = text_of(name)
    above, _, _ = text.partition("<details>")

    question, answer, command = (
        above.index(mark) for mark in ("**Question.**", "**Answer.**", "```\n")
    )
    assert question < answer < command
    _, caveats = above.split("**Caveats**\n")
    assert 1 <= caveats.count("\n- ") <= 5
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_every_table_and_its_links_lead_somewhere(name: str) -> None:
    text = text_of(name)
    for title, shown in pages.values_of(name).texts.items():
        if shown.startswith("| "):
            assert shown in text, title
    assert "{{" not in text
    for link in re.findall(r"\]\(([^):]+)\)", text):
        assert (RESULTS / link).is_file(), link


def test_kept_results_name_no_folder_of_a_machine() -> None:
    benchmarks = ROOT / "benchmarks"
    kept = [*benchmarks.glob("results/*.json"), *benchmarks.glob("experiments/*/*.json")]
    assert len(kept) > 10

    # A path from the root of a disk, at the start of a text or of a word in it.
    path = re.compile(r"""["\s=(:]/\w[\w.+-]*/""")
    for file in kept:
        assert not path.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("name", NAMES)
def test_scripts_and_options_of_the_commands_are_there(name: str) -> None:
    harness = (ROOT / "benchmarks" / "harness.py").read_text(encoding="utf-8")
    for block in re.findall(r"^```\n(.+?)^```$", text_of(name), re.DOTALL | re.MULTILINE):
        for command in block.replace("\\\n", " ").splitlines():
            scripts = re.findall(r"(?:scripts|benchmarks)/\w+\.(?:sh|py)", command)
            assert scripts or command.startswith("densevos"), command

            for script in scripts:
                source = (ROOT / script).read_text(encoding="utf-8")
                for option in (
                    re.findall(r" (--[a-z-]+)", command) if script.endswith(".py") else ()
                ):
                    assert f'"{option}"' in source + harness, (script, option)


def test_every_kept_json_is_on_a_page() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in RESULTS.glob("*.md"))
    estimates = RESULTS / "gpu_estimates.json"  # The table of the page gpu has all that is in it.
    for path in {*RESULTS.glob("*.json")} - {estimates}:
        assert f"({path.name})" in text, path
    for path in EXPERIMENTS.glob("*/result.json"):
        assert f"(../experiments/{path.parent.name}/result.json)" in text, path


def test_placeholders_stand_for_tables_and_values() -> None:
    values = Values(texts={"scores": "|"}, results={"run": {"rows": [{"J": 0.475}]}})
    assert pages.filled("{{scores}} {{run.rows.0.J:.1%}}", values, source="page.md") == "| 47.5%"


@pytest.mark.parametrize("name", ["speed", "run.rows", "run.speed", "run.J:%%"])
def test_an_unknown_placeholder_is_refused(name: str) -> None:
    values = Values(texts={"scores": "|"}, results={"run": {"J": 1.0}})
    with pytest.raises(InputError, match=rf"^page\.md: there is no {name}; known are scores, run$"):
        pages.filled(f"a {{{{{name}}}}}", values, source="page.md")


def test_a_template_without_lines_for_the_index_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "TEMPLATES", tmp_path)
    template = tmp_path / "scoring.md"
    template.write_text("# Scoring\n")
    with pytest.raises(InputError, match=r"scoring\.md: begin it with ---"):
        pages.page("scoring")
    template.write_text("---\ngroup: speed\n---\n\n# Scoring\n")
    with pytest.raises(InputError, match=r"scoring\.md: add a line `order: \.\.\.` to its head"):
        pages.page("scoring")


def test_an_experiment_without_result_has_no_page() -> None:
    with pytest.raises(
        InputError, match=r"i2v_tables/result\.json: is not there; run the experiment"
    ):
        pages.values_of("i2v_tables")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gather"], "error: name run, gather or page"),
        (["page", "x"], "error: x: is not known; choose one of adaptation, "),
        (["run", "davis_dev"], "error: VIDEOS: set VIDEOS to a folder of videos to learn from"),
    ],
)
def test_unusable_commands_are_refused_in_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    monkeypatch.delenv("VIDEOS", raising=False)
    with pytest.raises(SystemExit) as ended:
        run_path(str(ROOT / "benchmarks"), run_name="__main__")

    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith(message)
