"""The help of both programs and of each of their commands, for the tests that read it."""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Mapping
from unittest import mock

from densevos import cli
from densevos.commands import data
from densevos.commands.help import Overview
from densevos.recipes import RECIPES
from densevos_eval import cli as evaluator_cli

PROGRAMS: dict[str, tuple[Callable[[list[str]], None], Overview]] = {
    "densevos": (cli.dispatch, cli.OVERVIEW),
    "densevos data": (lambda words: cli.dispatch(["data", *words]), data.OVERVIEW),
    "densevos-eval": (evaluator_cli.dispatch, evaluator_cli.OVERVIEW),
}


@functools.cache
def help_pages() -> Mapping[str, str]:
    """Command line without --help -> the page that --help prints on a wide terminal."""
    with mock.patch.dict(os.environ, COLUMNS="200"):
        return _pages()


def _pages() -> dict[str, str]:
    pages = {}
    for program, (dispatch, overview) in PROGRAMS.items():
        pages[program] = _page(dispatch, [])
        for group in overview.groups.values():
            pages.update({f"{program} {name}": _page(dispatch, [name]) for name in group})
    for recipe in RECIPES:
        pages[f"densevos train {recipe}"] = _page(cli.dispatch, ["train", recipe])
    return pages


def _page(dispatch: Callable[[list[str]], None], words: list[str]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        dispatch([*words, "--help"])
    return printed.getvalue()
