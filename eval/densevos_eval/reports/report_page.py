"""The HTML of a report, from numbers and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import numpy as np

from densevos_eval.reports import charts, settings
from densevos_eval.reports.compare import Comparison, Difference
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.html import (
    coloured_change,
    counted,
    document,
    heading,
    html_table,
    short_name,
)
from densevos_eval.reports.results import Results, SequenceResult, lower_is_better
from densevos_eval.reports.thumbnails import FALSE, MISSED, SWAPPED, Picture


@dataclass(frozen=True, kw_only=True)
class ReportSection:
    """What the page shows of one sequence.

    other: Scores of the sequence in the result that is compared with, if there is one.
    curves, other_curves: "J" and "F" -> values [frames], means over the objects.
    worst: Index of the worst frame.
    pictures: Pictures of the worst frame.
    movie: Path of the sequence's movie from the page; None if there is no movie.
    """

    name: str
    result: SequenceResult
    other: SequenceResult | None
    curves: Mapping[str, np.ndarray]
    other_curves: Mapping[str, np.ndarray]
    worst: int
    pictures: Sequence[Picture]
    movie: str | None


def page(
    results: Results,
    comparison: Comparison | None,
    names: Sequence[str],
    sections: Sequence[ReportSection],
    *,
    own_ids: bool,
    of: int | None = None,
) -> str:
    """The complete page, as HTML.

    Args:
        results: The result to show.
        comparison: Compares the result (second) with another one (first).
        names: All sequences, in the order of the table.
        sections: Sequences shown in detail, in their order.
        own_ids: Results number objects freely, so that objects are not told apart.
        of: Number of sequences in the split; None if it is not known.
    """
    # The comparison's first result is the baseline, which the page shows second.
    against = comparison.first if comparison else None
    title = escape(results.title)
    detailed = [section.name for section in sections]
    body = [
        f"<header><h1>{title}</h1>{_subtitle(results, against, of)}</header>",
        f'<section class="tiles">{_tiles(results, comparison)}</section>',
        "<h2>All numbers</h2>",
        _overall(results, against),
        '<h2 id="sequences">Sequences, worst first</h2>',
        _sequence_table(results, against, names, detailed),
        _details(results, against, sections, own_ids=own_ids),
    ]

    for shown in _both(results, against):
        if shown.made_with:
            body.append(_settings(shown))

    benchmark = escape(f"{results.dataset} {results.split}")
    return document(f"{title}: {benchmark}", "\n".join(body))


def _both(results: Results, against: Results | None) -> list[Results]:
    """The result, and the one that it is compared with if there is one."""
    if not against:
        return [results]

    return [results, against]


def _subtitle(results: Results, against: Results | None, of: int | None) -> str:
    """Benchmark, what made the masks, and how much was scored."""
    objects, frames = 0, 0
    for sequence in results.sequences.values():
        objects += len(sequence.objects)
        frames += len(sequence.frames)

    count = len(results.sequences)
    counts = []
    for number, noun in ((count, "sequence"), (objects, "object"), (frames, "scored frame")):
        # Benchmarks without objects have no frames either.
        if number:
            counts.append(counted(number, noun))

    # A result of a part of the split must not be taken for one of all of it.
    if of is not None and of > count:
        counts[0] = f"<b>{count} of {counted(of, 'sequence')}</b>"

    lines = []
    for shown in _both(results, against):
        lines.append(f"<p>{_made_with(shown, named=against is not None)}</p>")

    benchmark = f"{escape(results.dataset)} {escape(results.split)}"
    if against:
        benchmark += f", against <b>{escape(against.title)}</b>"

    return (
        f"<p>{benchmark}</p>"
        f"{''.join(lines)}"
        f'<p class="soft">{" · ".join(counts)} · numbers in per cent</p>'
    )


def _made_with(results: Results, *, named: bool) -> str:
    """What made the masks, in a line; `named`: the line starts with the result's title."""
    facts = settings.summary(results.made_with)
    if not results.made_with:
        facts.insert(0, "no record of what made the masks")
    if results.annotation_size:
        facts.append(f"annotations scored at {results.annotation_size}")

    line = escape(" · ".join(filter(None, facts)))
    if named:
        line = f"{escape(results.title)}: {line}"

    return f'<span class="soft">{line}</span>'


def _settings(results: Results) -> str:
    """All settings that made the masks, folded."""
    rows = []
    for name, value in settings.listed(results.made_with).items():
        rows.append([escape(name), escape(value)])

    table = html_table(["setting", "value"], rows, kind="reasons")
    summary = f"<summary>All settings of {escape(results.title)}</summary>"
    return f"<details>{summary}{table}</details>"


def _tiles(results: Results, comparison: Comparison | None) -> str:
    """A tile for each mean with its difference, and one for the interval of the headline's."""
    differences = comparison.differences[0] if comparison else {}
    tiles = []
    for column in results.columns:
        note = ""
        if lower_is_better(column):
            note = ' <span class="soft">lower is better</span>'

        # The other result may lack this column; the tile then shows the number alone.
        number = f"<b>{percent(results.overall[column])}</b>"
        change = ""
        if column in differences:
            change = coloured_change(differences[column].value, column)

        tiles.append(f'<div class="tile">{escape(short_name(column))}{note}{number}{change}</div>')

    headline = results.headline
    if comparison and headline in differences:
        difference = differences[headline]
        tiles.append(_certainty(difference, short_name(headline), comparison.first.title))

    return "".join(tiles)


def _certainty(difference: Difference, column: str, other: str) -> str:
    """A tile with the interval of a difference, and the sequences won and lost."""
    better = counted(difference.wins, "sequence")
    counts = f"better in {better}, worse in {difference.losses}, the same in {difference.ties}"
    bounds = ""

    # Numbers that are not means over sequences have no interval, but wins and losses.
    if difference.interval:
        low, high = (percent(bound, True) for bound in difference.interval)
        bounds = f"<b>{low} to {high}</b>"
        counts = f"95 % bootstrap interval over sequences; {counts}"

    return (
        f'<div class="tile wide">{escape(column)}, difference to {escape(other)}{bounds}'
        f'<div class="soft">{counts}</div></div>'
    )


def _overall(results: Results, against: Results | None) -> str:
    """All columns, over the complete split."""
    header = ["", *map(heading, results.overall)]
    rows = []
    for shown in _both(results, against):
        numbers = [percent(shown.overall.get(column)) for column in results.overall]
        rows.append([escape(shown.title), *numbers])

    return html_table(header, rows)


def _sequence_table(
    results: Results, against: Results | None, names: Sequence[str], detailed: Sequence[str]
) -> str:
    """A row for each sequence, its headline as a bar too; those in `detailed` are linked."""
    headline = results.headline
    with_frames = any(result.frames for result in results.sequences.values())

    header = ["sequence"]
    if with_frames:
        header.append("frames")

    # The column without heading holds the bars.
    header += [*map(heading, results.columns), ""]
    if against:
        header += [escape(against.title), "difference"]

    # Sections have the ids s0, s1, ...: names of sequences are no valid ids.
    places = {name: number for number, name in enumerate(detailed)}
    rows = []

    for name in names:
        result = results.sequences[name]
        value = result.row.get(headline, np.nan)
        other = np.nan
        if against:
            other = against.sequences[name].row.get(headline, np.nan)

        label = escape(name)
        if name in places:
            label = f'<a href="#s{places[name]}">{label}</a>'

        cells = [label]
        if with_frames:
            cells.append(str(len(result.frames)))

        cells += [percent(result.row.get(column)) for column in results.columns]
        cells.append(charts.bar(value, other))
        if against:
            cells += [percent(other), coloured_change(value - other, headline)]

        rows.append(cells)

    return html_table(header, rows, kind="sortable")


def _details(
    results: Results, against: Results | None, sections: Sequence[ReportSection], *, own_ids: bool
) -> str:
    """Legend and articles under a heading; empty if no sequence is shown in detail."""
    if not sections:
        return ""

    articles = []
    for number, section in enumerate(sections):
        articles.append(_article(number, section, results, against))

    # A single object cannot be taken for another one.
    several = any(len(result.objects) > 1 for result in results.sequences.values())
    legend = _legend(results, against, several=several and not own_ids)
    part = ""
    if len(sections) < len(results.sequences):
        part = f": the {len(sections)} worst"

    return "\n".join([f"<h2>In detail{part}</h2>", legend, *articles])


def _legend(results: Results, against: Results | None, several: bool) -> str:
    """What lines and colours mean; `several`: an object can be taken for another one."""
    lines = [("", results.title)]
    if against:
        lines.append((" other", against.title))

    parts = []
    for style, title in lines:
        for column in ("J-Mean", "F-Mean"):
            if column in results.overall:
                letter = column[0]
                sample = _sample(f"line {letter.lower()}{style}")
                parts.append(f"<span>{sample}{letter} {escape(title)}</span>")

    parts.append(f"<span>{_sample('worst')}worst frame</span>")

    # The keys of the pictures follow those of the curves, as squares of colour.
    colours = {"missed": MISSED, "false": FALSE}
    if several:
        colours["another object"] = SWAPPED

    for meaning, colour in colours.items():
        key = f'<span class="key" style="background:rgb{colour}"></span>'
        parts.append(f"<span>{key}{meaning}</span>")

    return f'<div class="legend">{"".join(parts)}</div>'


def _sample(style: str) -> str:
    """A short line in the style of a chart's line."""
    line = f'<line class="{style}" x1="1" x2="21" y1="4" y2="4"/>'
    return f'<svg viewBox="0 0 22 8">{line}</svg>'


def _article(number: int, section: ReportSection, results: Results, against: Results | None) -> str:
    """Heading, curves, numbers of the objects if there are several, and pictures."""
    headline = results.headline
    numbers = []
    for column in results.columns:
        if column in section.result.row:
            numbers.append(f"{escape(short_name(column))} {percent(section.result.row[column])}")

    change = ""
    if against and section.other:
        value = section.result.row.get(headline, np.nan)
        gap = value - section.other.row.get(headline, np.nan)
        change = f"<span>{coloured_change(gap, headline)}</span>"

    # Links work wherever the page lies, as long as its movies lie beside it.
    links = '<a href="#sequences">to the table</a>'
    if section.movie:
        links = f'<a href="{escape(quote(section.movie))}">movie</a> · {links}'

    # Pictures are part of the page as data URIs, so that it needs no other file.
    frame = section.result.frames[section.worst]
    pictures = []
    for picture in section.pictures:
        description = escape(f"{picture.title}, {section.name}, frame {frame}")
        caption = f"<figcaption>{escape(picture.title)}</figcaption>"
        image = f'<img src="{picture.data}" alt="{description}">'
        pictures.append(f"<figure>{image}{caption}</figure>")

    title = f"<h3>{escape(section.name)}</h3><span>{' · '.join(numbers)}</span>{change}"
    return (
        f'<article id="s{number}"><header>{title}<span class="links">{links}</span></header>'
        f'<div class="scroll">{_chart(section, results, against)}</div>'
        f"{_objects(section, against)}"
        f'<p class="soft">Worst frame: {escape(frame)}</p>'
        f'<div class="pictures">{"".join(pictures)}</div></article>'
    )


def _chart(section: ReportSection, results: Results, against: Results | None) -> str:
    """J and F over the frames; the other result's lines are dashed and lie below."""
    lines, styles = {}, {}
    # Later lines are drawn over earlier ones, so the result itself comes last.
    if against:
        for letter, values in section.other_curves.items():
            label = f"{letter} {against.title}"
            lines[label], styles[label] = values, f"{letter.lower()} other"

    for letter, values in section.curves.items():
        label = f"{letter} {results.title}"
        lines[label], styles[label] = values, letter.lower()

    return charts.curves(section.result.frames, lines, styles, section.worst)


def _objects(section: ReportSection, against: Results | None) -> str:
    """Means of each object with the other result's beside them; empty for a single object."""
    objects = section.result.objects
    if len(objects) < 2:
        return ""

    # All objects of a sequence have the same curves, so the first one names the columns.
    letters = list(next(iter(objects.values())))
    header = ["object", *letters]
    if against:
        header += [f"{letter} {escape(against.title)}" for letter in letters]

    others = section.other.objects if section.other else {}
    rows = []
    for id in objects:
        cells = [escape(id)]
        for curves in (objects, others):
            if id in curves:
                cells += [percent(_mean(curves[id][letter])) for letter in letters]

        rows.append(cells)

    return html_table(header, rows, kind="objects")


def _mean(values: np.ndarray) -> float:
    """The mean of the numbers that are not NaN; NaN if there are none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")
