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
class Story:
    """What the page tells about one sequence.

    curves, other_curves: "J" and "F" -> values [frames], means over the objects. worst: index of
    the worst frame. movie: path of its movie from the page, if there is one.
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
    stories: Sequence[Story],
    *,
    own_ids: bool,
    of: int | None = None,
) -> str:
    """The whole page. comparison: of the results (second) with others (first), if any.

    names: all sequences in the order of the table. stories: of those shown in detail, in their
    order. own_ids: objects are not told apart. of: how many sequences the split has, if that is
    known.
    """
    against = comparison.first if comparison else None
    title = escape(results.title)
    body = [
        f"<header><h1>{title}</h1>{_subtitle(results, against, of)}</header>",
        f'<section class="tiles">{_tiles(results, comparison)}</section>',
        "<h2>All numbers</h2>",
        _overall(results, against),
        '<h2 id="sequences">Sequences, worst first</h2>',
        _sequence_table(results, against, names, [story.name for story in stories]),
        _details(results, against, stories, own_ids=own_ids),
        *(_settings(one) for one in (results, against) if one and one.made_with),
    ]

    return document(f"{title}: {escape(f'{results.dataset} {results.split}')}", "\n".join(body))


def _subtitle(results: Results, against: Results | None, of: int | None) -> str:
    objects = sum(len(one.objects) for one in results.sequences.values())
    frames = sum(len(one.frames) for one in results.sequences.values())
    counts = [(len(results.sequences), "sequence"), (objects, "object"), (frames, "scored frame")]
    known = [counted(number, noun) for number, noun in counts if number]
    if of is not None and of > len(results.sequences):
        known[0] = f"<b>{len(results.sequences)} of {counted(of, 'sequence')}</b>"

    compared = f", against <b>{escape(against.title)}</b>" if against else ""
    made = "".join(
        f"<p>{_made_with(one, named=against is not None)}</p>" for one in (results, against) if one
    )

    return (
        f"<p>{escape(results.dataset)} {escape(results.split)}{compared}</p>"
        f'{made}<p class="soft">{" · ".join(known)} · numbers in per cent</p>'
    )


def _made_with(results: Results, *, named: bool) -> str:
    """What made the masks, in a line; named: the line says whose masks they are."""
    title = f"{escape(results.title)}: " if named else ""
    facts = settings.summary(results.made_with)
    if results.annotation_size:
        facts.append(f"annotations scored at {results.annotation_size}")

    unknown = "" if results.made_with else "no record of what made the masks"
    return f'<span class="soft">{title}{escape(" · ".join(filter(None, (unknown, *facts))))}</span>'


def _settings(results: Results) -> str:
    """Everything that made the masks, folded."""
    rows = [
        [escape(name), escape(value)] for name, value in settings.listed(results.made_with).items()
    ]
    title = f"All settings of {escape(results.title)}"

    return f"<details><summary>{title}</summary>{html_table(['setting', 'value'], rows, kind='reasons')}</details>"


def _tiles(results: Results, comparison: Comparison | None) -> str:
    """The means, each with its difference, and how sure the first of these is."""
    differences = comparison.differences[0] if comparison else {}
    tiles = []
    for column in results.columns:
        note = ' <span class="soft">lower is better</span>' if lower_is_better(column) else ""
        change = coloured_change(differences[column].value, column) if column in differences else ""
        number = f"<b>{percent(results.overall[column])}</b>"
        tiles.append(f'<div class="tile">{escape(short_name(column))}{note}{number}{change}</div>')

    if comparison and results.headline in differences:
        tiles.append(
            _certainty(
                differences[results.headline], short_name(results.headline), comparison.first.title
            )
        )

    return "".join(tiles)


def _certainty(one: Difference, column: str, other: str) -> str:
    """A tile of the interval of a difference, and of the sequences won."""
    counts = (
        f"better in {counted(one.wins, 'sequence')}, worse in {one.losses}, the same in {one.ties}"
    )
    bounds = ""

    if one.interval:
        low, high = (percent(bound, True) for bound in one.interval)
        bounds = f"<b>{low} to {high}</b>"
        counts = f"95 % bootstrap interval over sequences; {counts}"

    return (
        f'<div class="tile wide">{escape(column)}, difference to {escape(other)}{bounds}'
        f'<div class="soft">{counts}</div></div>'
    )


def _overall(results: Results, against: Results | None) -> str:
    header = ["", *map(heading, results.overall)]
    rows = [[escape(one.title), *_cells(one.overall, results)] for one in (results, against) if one]
    return html_table(header, rows)


def _cells(row: Mapping[str, float], results: Results) -> list[str]:
    return [percent(row.get(column)) for column in results.overall]


def _sequence_table(
    results: Results, against: Results | None, names: Sequence[str], detailed: Sequence[str]
) -> str:
    """A row for each sequence, its headline as a bar too; those in `detailed` are linked."""
    headline = results.headline
    others = [escape(against.title), "difference"] if against else []
    with_frames = any(one.frames for one in results.sequences.values())
    header = [
        "sequence",
        *(["frames"] if with_frames else []),
        *map(heading, results.columns),
        "",
        *others,
    ]
    places = {name: number for number, name in enumerate(detailed)}
    rows = []

    for name in names:
        one = results.sequences[name]
        value = one.row.get(headline, np.nan)
        other = against.sequences[name].row.get(headline, np.nan) if against else np.nan
        cells = [
            f'<a href="#s{places[name]}">{escape(name)}</a>' if name in places else escape(name)
        ]
        cells += [str(len(one.frames))] if with_frames else []
        cells += [percent(one.row.get(column)) for column in results.columns]
        cells += [charts.bar(value, other)]
        cells += [percent(other), coloured_change(value - other, headline)] if against else []
        rows.append(cells)

    return html_table(header, rows, kind="sortable")


def _details(
    results: Results, against: Results | None, stories: Sequence[Story], *, own_ids: bool
) -> str:
    """Legend and articles under a heading, if there are any."""
    if not stories:
        return ""

    several = any(len(one.objects) > 1 for one in results.sequences.values())
    part = "" if len(stories) == len(results.sequences) else f": the {len(stories)} worst"
    articles = "\n".join(
        _article(number, story, results, against) for number, story in enumerate(stories)
    )

    return f"<h2>In detail{part}</h2>\n{_legend(results, against, several=several and not own_ids)}\n{articles}"


def _legend(results: Results, against: Results | None, several: bool) -> str:
    """What lines and colours mean, once for all sequences. several: objects can be taken for one
    another.
    """
    letters = [column[0] for column in ("J-Mean", "F-Mean") if column in results.overall]
    shown = [(results.title, "")] + ([(against.title, " other")] if against else [])
    parts = [
        f'<span><svg viewBox="0 0 22 8"><line class="line {letter.lower()}{style}" x1="1" x2="21" y1="4" y2="4"/></svg>'
        f"{letter} {escape(title)}</span>"
        for title, style in shown
        for letter in letters
    ]
    parts.append(
        '<span><svg viewBox="0 0 22 8"><line class="worst" x1="1" x2="21" y1="4" y2="4"/></svg>worst frame</span>'
    )
    colours = {"missed": MISSED, "false": FALSE} | ({"another object": SWAPPED} if several else {})

    for meaning, colour in colours.items():
        parts.append(
            f'<span><span class="key" style="background:rgb{colour}"></span>{meaning}</span>'
        )

    return f'<div class="legend">{"".join(parts)}</div>'


def _article(number: int, story: Story, results: Results, against: Results | None) -> str:
    """Heading, curves, objects where there are several, and pictures of the worst frame."""
    numbers = " · ".join(
        f"{escape(short_name(c))} {percent(story.result.row[c])}"
        for c in results.columns
        if c in story.result.row
    )
    change = ""

    if against and story.other:
        gap = story.result.row.get(results.headline, np.nan) - story.other.row.get(
            results.headline, np.nan
        )
        change = f"<span>{coloured_change(gap, results.headline)}</span>"

    links = '<a href="#sequences">to the table</a>'
    if story.movie:
        links = f'<a href="{escape(quote(story.movie))}">movie</a> · {links}'

    frame = story.result.frames[story.worst]
    pictures = "".join(
        f'<figure><img src="{picture.data}" alt="{escape(f"{picture.title}, {story.name}, frame {frame}")}">'
        f"<figcaption>{escape(picture.title)}</figcaption></figure>"
        for picture in story.pictures
    )

    return (
        f'<article id="s{number}"><header><h3>{escape(story.name)}</h3><span>{numbers}</span>{change}'
        f'<span class="links">{links}</span></header>'
        f'<div class="scroll">{_chart(story, results, against)}</div>{_objects(story, against)}'
        f'<p class="soft">Worst frame: {escape(frame)}</p><div class="pictures">{pictures}</div></article>'
    )


def _chart(story: Story, results: Results, against: Results | None) -> str:
    """J and F over the frames, the other result's dashed below them."""
    lines, styles = {}, {}
    if against:
        for letter, values in story.other_curves.items():
            label = f"{letter} {against.title}"
            lines[label], styles[label] = values, f"{letter.lower()} other"

    for letter, values in story.curves.items():
        label = f"{letter} {results.title}"
        lines[label], styles[label] = values, letter.lower()

    return charts.curves(story.result.frames, lines, styles, story.worst)


def _objects(story: Story, against: Results | None) -> str:
    """Means of each object, where there are several; the other result's beside them."""
    objects = story.result.objects
    if len(objects) < 2:
        return ""

    letters = list(next(iter(objects.values())))
    header = [
        "object",
        *letters,
        *(f"{letter} {escape(against.title)}" for letter in letters if against),
    ]
    others = story.other.objects if story.other else {}
    rows = [
        [
            escape(id),
            *(
                percent(_mean(one[id][letter]))
                for one in (objects, others)
                if id in one
                for letter in letters
            ),
        ]
        for id in objects
    ]

    return html_table(header, rows, kind="objects")


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
