"""The page of an experiment: its words with the tables and facts of its result put in."""

import re
from typing import Any

from densevos.base.errors import InputError
from experiments import reports
from experiments.commands import BENCHMARKS, EXPERIMENTS
from experiments.reports import Result

PAGES = BENCHMARKS / "results"
PLACEHOLDER = re.compile(r"{{(.+?)}}")


def write(name: str) -> None:
    """Write results/NAME.md from experiments/NAME/result.json and page.md."""
    text = page(name)
    path = PAGES / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    print(path)


def page(name: str) -> str:
    """The text of an experiment's page.

    Raises:
        InputError: the experiment has no result yet, or page.md asks for a table that is not there.
    """
    folder = EXPERIMENTS / name
    if not (folder / "result.json").is_file():
        missing = folder / "result.json"
        raise InputError(f"{missing}: is not there; run the experiment with RESULT set to this file")
    result = reports.read_json(folder / "result.json")
    values = {**facts(result), **reports.tables(name, result)}

    made_by = f"Made by `python benchmarks page {name}`"
    note = f"<!-- {made_by}; change experiments/{name}/page.md instead. -->"
    template = (folder / "page.md").read_text(encoding="utf-8")
    return f"{note}\n\n{filled(template, values, source=str(folder / 'page.md'))}"


def filled(template: str, values: dict[str, str], *, source: str) -> str:
    """The template with each {{NAME}} replaced by its value.

    Raises:
        InputError: there is no value of that name; the message names `source`.
    """

    def value(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        if name not in values:
            raise InputError(f"{source}: there is no {name}; known are {', '.join(values)}")
        return values[name]

    return PLACEHOLDER.sub(value, template)


def facts(result: Result) -> dict[str, str]:
    """Commit, machine and versions that made a result; one of each, or lists of several."""
    commits = _all_of(result, "git_commits", "git_commit", "commit")
    machines = _all_of(result, "machines", "machine")
    versions = _all_of(result, "versions")
    return {
        "commit": ", ".join(commit[:7] for commit in commits),
        "machine": ", ".join(_machine(machine) for machine in machines),
        "torch": ", ".join(dict.fromkeys(version["torch"] for version in versions)),
    }


def _all_of(result: Result, *keys: str) -> list[Any]:
    """The values under the first key that there is, as a list."""
    for key in keys:
        if key in result:
            return result[key] if isinstance(result[key], list) else [result[key]]
    return []


def _machine(machine: dict[str, Any]) -> str:
    """Processor and threads of one machine."""
    return f"{machine['processor']}, {machine['threads']} thread{'s' * (machine['threads'] > 1)}"
