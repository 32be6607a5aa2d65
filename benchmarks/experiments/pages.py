"""Result pages: words from a template, tables and figures from the JSON of the runs.

A page belongs to an experiment (experiments/NAME/page.md) or to a benchmark beside it
(templates/NAME.md, its tables in page_tables.PAGES). It begins with lines for the index:

    ---
    group: accuracy or speed
    order: place in the index
    answer: what works, in a few words
    data: on what data
    quality: how good
    time: how long it takes, and on what
    ---

In a template {{NAME}} stands for a table or a fact (commit, machine, torch, date), and
{{FILE.KEY.KEY:FORMAT}} for one value of a JSON file, formatted as Python does it: {{result.J:.1%}}.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import page_tables
from densevos.base.errors import InputError
from experiments import reports
from experiments.commands import BENCHMARKS, EXPERIMENTS
from experiments.reports import Result
from harness import table

# A placeholder is {{...}}; the head of a template lies between two lines of ---.
PAGES = BENCHMARKS / "results"
TEMPLATES = BENCHMARKS / "templates"
INDEX = "README"
GROUPS = ("accuracy", "speed")
ENTRIES = ("group", "order", "answer", "data", "quality", "time")
PLACEHOLDER = re.compile(r"{{(.+?)}}")
HEAD = re.compile(r"---\n(.*?)\n---\n+(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the placeholders of a template stand for.

    Args:
        texts: tables and facts by their names.
        results: the JSON files of the page, by their names without .json.
    """

    texts: Mapping[str, str]
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A filled page: its text, and its line of the index by column."""

    name: str
    title: str
    text: str
    entry: Mapping[str, str]


def names() -> list[str]:
    """All pages that can be written: those of experiments that have a result, and all others."""
    # An experiment that was not run at its intended size yet has no result, and no page.
    experiments = []
    for name in reports.names():
        folder = EXPERIMENTS / name
        if (folder / "result.json").is_file() and (folder / "page.md").is_file():
            experiments.append(name)

    return [*experiments, *page_tables.PAGES]


def write(*wanted: str) -> None:
    """Write results/NAME.md of the wanted pages, and the index."""
    # All pages are made before the first one is written: an error then leaves all as they were.
    texts = {name: page(name).text for name in wanted}
    for name, text in {**texts, INDEX: index()}.items():
        path = PAGES / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        print(path)


def page(name: str) -> Page:
    """One page.

    Raises:
        InputError: the experiment has no result yet, or the template asks for what is not there.
    """
    values = values_of(name)
    template = template_of(name)
    text = filled(template.read_text(encoding="utf-8"), values, source=str(template))

    parts = HEAD.fullmatch(text)
    if parts is None:
        raise InputError(f"{template}: begin it with --- and the lines of the index")

    head, body = parts.groups()

    # Values may hold ": " themselves, so a line is cut at the first one.
    entry = {}
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        entry[key] = value

    for key in ENTRIES:
        if not entry.get(key):
            raise InputError(f"{template}: add a line `{key}: ...` to its head")

    # The note names the file to change, as a path below benchmarks.
    parent = f"experiments/{name}"
    if name in page_tables.PAGES:
        parent = "templates"

    shown = f"{parent}/{template.name}"
    note = f"<!-- Made by `python benchmarks page {name}`; change {shown} instead. -->"
    title = body.partition("\n")[0].removeprefix("# ")

    return Page(name=name, title=title, text=f"{note}\n\n{body}", entry=entry)


def index() -> str:
    """The text of results/README.md: one line for each page."""
    # Two pages of the same order stand in the order of their names.
    pages = list(map(page, names()))
    pages.sort(key=lambda page: (int(page.entry["order"]), page.name))

    tables = {}
    for group in GROUPS:
        rows = []
        for page_ in pages:
            if page_.entry["group"] == group:
                link = f"[{page_.title}]({page_.name}.md)"
                entry = page_.entry
                rows.append([link, entry["answer"], entry["data"], entry["quality"], entry["time"]])

        tables[group] = table(["experiment", "answer", "data", "how good", "how long"], rows)

    template = TEMPLATES / f"{INDEX}.md"
    note = f"<!-- Made by `python benchmarks pages`; change templates/{INDEX}.md instead. -->"
    text = filled(template.read_text(encoding="utf-8"), Values(texts=tables), source=str(template))
    return f"{note}\n\n{text}"


def template_of(name: str) -> Path:
    """The file that has the words of a page."""
    if name in page_tables.PAGES:
        return TEMPLATES / f"{name}.md"
    return EXPERIMENTS / name / "page.md"


def values_of(name: str) -> Values:
    """The tables, facts and JSON files of a page.

    Raises:
        InputError: the experiment has no result yet.
    """
    if name in page_tables.PAGES:
        return _values_of_benchmark(name)

    folder = EXPERIMENTS / name
    if not (folder / "result.json").is_file():
        missing = folder / "result.json"
        raise InputError(
            f"{missing}: is not there; run the experiment with RESULT set to this file"
        )

    # Any JSON file of the experiment's folder can be quoted, not only the result.
    results = {path.stem: reports.read_json(path) for path in folder.glob("*.json")}
    texts = {**facts(results["result"]), **reports.tables(name, results["result"])}

    # Tables of trials whose runs were not kept lie beside the result, as tables.
    for stem, result in results.items():
        if "header" in result:
            texts[stem] = page_tables.transcribed(result)

    return Values(texts=texts, results=results)


def _values_of_benchmark(name: str) -> Values:
    """Those of a page that is in page_tables.PAGES; the first table has the facts."""
    results, texts = {}, {}
    for title, shown in page_tables.PAGES[name].items():
        path = PAGES / f"{shown.result}.json"

        # Where nothing stands for a missing result, reading it fails and names the file.
        if path.is_file() or shown.before is None:
            results[shown.result] = reports.read_json(path)
        else:
            results[shown.result] = shown.before

        texts[title] = shown.make(results[shown.result])

    first = next(iter(results.values()))
    return Values(texts={**facts(first), **texts}, results=results)


def filled(template: str, values: Values, *, source: str) -> str:
    """The template with each placeholder replaced.

    Raises:
        InputError: a placeholder stands for nothing; the message names `source`.
    """

    def value(placeholder: re.Match[str]) -> str:
        # Tables and facts come first: they have neither a path nor a format.
        name = placeholder[1]
        if name in values.texts:
            return values.texts[name]

        keys, _, style = name.partition(":")
        try:
            return format(_value_at(values.results, keys), style)
        except (KeyError, IndexError, ValueError, TypeError):
            # A key, a place in a list, or a format that the value does not have.
            names = ", ".join([*values.texts, *values.results])
            raise InputError(f"{source}: there is no {name}; known are {names}") from None

    return PLACEHOLDER.sub(value, template)


def _value_at(results: Mapping[str, Any], keys: str) -> Any:
    """The value at a path such as crf.rows.0.labels."""
    value: Any = results
    for key in keys.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]

    # A page shows single values; a whole part of the JSON is a mistake in the template.
    if isinstance(value, (dict, list)):
        raise KeyError(keys)

    return value


def facts(result: Result) -> dict[str, str]:
    """Commit, date, machine and versions that made a result; one of each, or lists of several."""
    commits = _all_of(result, "git_commits", "git_commit", "commit")
    machines = _all_of(result, "machines", "machine")
    versions = _all_of(result, "versions")

    return {
        "commit": ", ".join(map(_commit, commits)),
        "date": str(result.get("date", "")),
        "machine": ", ".join(map(_machine, machines)),
        "torch": ", ".join(dict.fromkeys(version["torch"] for version in versions)),
    }


def _commit(text: str) -> str:
    """A commit at the length in which git shows it; a + marks one that was changed."""
    return text[:7] + ("+" if text.endswith("+") else "")


def _all_of(result: Result, *keys: str) -> list[Any]:
    """The values under the first key that there is, as a list."""
    for key in keys:
        value = result.get(key)
        if isinstance(value, list) and value:
            return value
        if value:
            return [value]

    return []


def _machine(machine: Any) -> str:
    """Processor and threads of one machine; benchmarks keep cores and load."""
    if isinstance(machine, str):
        return machine

    # Experiments record the threads that they used.
    if "threads" in machine:
        threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
        return f"{machine['processor']}, {threads}"

    return f"{machine['processor']}, {machine['cores']} cores, load {machine['load']}"
