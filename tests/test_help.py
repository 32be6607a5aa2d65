"""Help pages: one line per command, plain sentences, required options first."""

import re

import pytest

from densevos import cli
from densevos.commands import data, train
from densevos.commands.help import WIDTH, Overview, plain_kind, plain_text
from densevos.recipes import RECIPES
from densevos_eval import cli as evaluator_cli
from tests.conftest import ROOT
from tests.help_pages import PROGRAMS, help_pages


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_list_of_commands_has_one_line_each(program: str) -> None:
    page, (_, overview) = help_pages()[program], PROGRAMS[program]
    names = [name for group in overview.groups.values() for name in group]
    assert len(names) == len(set(names))
    for title, group in overview.groups.items():
        assert f"\n{title}:\n" in page
        for name, summary in group.items():
            assert re.search(rf"^  {name} +{re.escape(summary)}$", page, re.MULTILINE), name
            assert summary[0].isupper()
            assert summary.endswith(".")
    assert page.count(f"\n  {program} ") == 2  # Examples.
    assert "manual: docs/" in page


def test_the_lists_name_every_command_and_recipe() -> None:
    def listed(overview: Overview) -> set[str]:
        return {name for group in overview.groups.values() for name in group}

    assert listed(cli.OVERVIEW) == {*cli.COMMANDS, "train", "launch", "data"}
    assert listed(data.OVERVIEW) == set(data.COMMANDS)
    assert listed(evaluator_cli.OVERVIEW) == {*evaluator_cli.COMMANDS, "launch", "watch"}
    assert listed(train.OVERVIEW) == set(RECIPES)


def test_pages_fit_and_show_no_signs_of_the_parser() -> None:
    for command, page in help_pages().items():
        assert page.startswith(f"usage: {command} "), command
        for line in page.splitlines():
            assert len(line) <= WIDTH or line.startswith(("usage:", "  --", "       ")), (
                command,
                line,
            )
        for sign in (
            "{None",
            "(default: None)",
            "(default: )",
            "(required)",
            "...]",
            "options options",
        ):
            assert sign not in page, (command, sign)


def test_required_options_stand_first_and_in_the_usage() -> None:
    page = help_pages()["densevos-eval propagate"]
    assert page.startswith("usage: densevos-eval propagate --out PATH [options]\n")
    assert page.index("required:\n  --out PATH") < page.index("--save-probabilities")
    assert help_pages()["densevos describe"].startswith(
        "usage: densevos describe [MODEL] [options]\n"
    )
    assert help_pages()["densevos-eval compare"].startswith(
        "usage: densevos-eval compare RESULTS ... [options]\n"
    )


def test_paragraphs_are_wrapped_anew() -> None:
    """A line ends where the next word does not fit, and nowhere else."""
    for command, page in help_pages().items():
        for line, below in zip(page.splitlines(), page.splitlines()[1:], strict=False):
            if line.startswith(" " * 24) and below.startswith(" " * 24):
                assert len(line) + 1 + len(below.split()[0]) > WIDTH or "(default:" in below, (
                    command,
                    line,
                )


@pytest.mark.parametrize("page", ["decisions.md", "glossary.md"])
def test_options_that_the_manual_names_exist(page: str) -> None:
    known = {name for text in help_pages().values() for name in re.findall(r"--[a-z][\w.-]*", text)}
    named = set(re.findall(r"--[a-z][\w.-]*", (ROOT / "docs" / page).read_text(encoding="utf-8")))
    assert named
    assert {name.replace("--no-", "--") for name in named} <= known


@pytest.mark.parametrize(
    ("metavar", "kind"),
    [
        ("{None}|INT", "INT"),
        ("{None,soft,hard}", "soft|hard"),
        ("{None}|INT|{cell}", "INT|cell"),
        ("{None}|{FLOAT FLOAT FLOAT}", "FLOAT FLOAT FLOAT"),
        ("{None}|{[STR [STR ...]]}", "STR ..."),
        ("[{circle,disc,square} [{circle,disc,square} ...]]", "circle|disc|square ..."),
        ("[[PATH [PATH ...]]]", "PATH ..."),
        ("[{everywhere,near,none,elsewhere} [...]]", "everywhere|near|none|elsewhere ..."),
        ("[{None}|STR]", "STR"),
    ],
)
def test_kinds_of_values_read_naturally(metavar: str, kind: str) -> None:
    assert plain_kind(metavar) == kind


def test_defaults_that_are_values_stay() -> None:
    assert plain_text("Seconds\n    to wait. (default: 60)") == "Seconds to wait. (default: 60)"
    assert (
        plain_text("Mirror clips. (default: True)", ["--flip", "--no-flip"])
        == "Mirror clips. (default: --flip)"
    )
    assert plain_text("(default: random)") == "(default: random)"
    assert plain_text("Radius. (default: 12) (default: None)") == "Radius. (default: 12)"
