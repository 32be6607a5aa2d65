"""One self-contained HTML page of a result: numbers, curves over time, and pictures of the worst
frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, made_folder
from densevos_eval.drawing.movie import write_movie
from densevos_eval.metrics.matching import same_id
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.reports.compare import compare
from densevos_eval.reports.report_page import Story, page
from densevos_eval.reports.results import FILE, Results, SequenceResult, check_fresh, check_same
from densevos_eval.reports.thumbnails import thumbnails
from densevos_eval.sequences.sequence import VideoSequence

WORST = 60  # Some 5 MB of curves and pictures.


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A result, what it is shown against, and the sequences both are of, worst first.

    of: how many sequences the split has; None where that is not known.
    """

    results: Results
    against: Results | None
    sequences: Sequence[VideoSequence]
    protocol: Protocol
    of: int | None = None

    def folders(self, name: str) -> dict[str, Path]:
        """Title -> folder that holds that of the masks of a sequence."""
        return {one.title: one.sequences[name].masks for one in (self.results, self.against) if one}


def judged(
    results: Results,
    against: Results | None,
    sequences: Sequence[VideoSequence],
    protocol: Protocol,
    of: int | None = None,
) -> Judged:
    """Results with the sequences they are of.

    Raises InputError when they belong to another benchmark, or a sequence is not among those given.
    """
    path = results.folder / FILE
    if results.classes:
        raise InputError(
            f"{path}: has IoU of classes, of which there is no page; look at confusion.png beside it"
        )

    if results.dataset != protocol.name:
        raise InputError(
            f"{path}: is of {results.dataset}, not {protocol.name}; pass --dataset {results.dataset}"
        )

    if against:
        check_same(against, results)

    known = {sequence.name: sequence for sequence in sequences}
    for name in results.sequences:
        if name not in known:
            raise InputError(
                f"{path}: sequence {name} is not in this split; pass the --split or --sequences scored"
            )

    chosen = [
        known[name] for name in sorted(results.sequences, key=lambda name: _rank(results, name))
    ]
    check_fresh(results, chosen)

    return Judged(results=results, against=against, sequences=chosen, protocol=protocol, of=of)


def shown(subject: Judged, worst: int = WORST) -> Sequence[VideoSequence]:
    """The sequences to show in detail, the `worst` ones; none where the scores are not of objects.

    Raises InputError for a number below 0.
    """
    if worst < 0:
        raise InputError(f"--worst: must be 0 or more sequences, is {worst}")

    of_objects = any(one.objects for one in subject.results.sequences.values())
    return subject.sequences[:worst] if of_objects else ()


def write_report(
    subject: Judged,
    path: Path,
    generator: np.random.Generator,
    *,
    worst: int = WORST,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> None:
    """Write the page to `path`; movies SEQUENCE.mp4 that lie beside it are linked.

    generator: draws the sequences of the interval of the difference. worst: how many sequences are
    shown with curves and pictures, some 80 kB each; the table holds all. `on_sequence` is called
    with the name of each that is shown.

    Raises InputError for a mask that is missing or unreadable.
    """
    comparison = compare([subject.against, subject.results], generator) if subject.against else None
    stories = []
    for sequence in shown(subject, worst):
        stories.append(_story(subject, sequence, path.parent))
        on_sequence(sequence.name)

    names = [sequence.name for sequence in subject.sequences]
    html = page(
        subject.results,
        comparison,
        names,
        stories,
        own_ids=_own_ids(subject.protocol),
        of=subject.of,
    )
    made_folder(path.parent)
    with atomic_write(path, "w") as file:
        file.write(html)


def write_movies(
    subject: Judged,
    folder: Path,
    *,
    worst: int = WORST,
    fps: float = 12,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write FOLDER/SEQUENCE.mp4 of those that are shown: truth and masks side by side; see
    movie.write_movie.
    """
    for sequence in shown(subject, worst):
        path = folder / f"{sequence.name}.mp4"
        made_folder(path.parent)
        write_movie(
            sequence, subject.folders(sequence.name), path, fps=fps, width=1280, on_frame=on_frame
        )


def _rank(results: Results, name: str) -> float:
    """The headline, lower is worse; sequences without a number come last."""
    value = results.sequences[name].row.get(results.headline, np.nan)
    return float("inf") if np.isnan(value) else value


def _own_ids(protocol: Protocol) -> bool:
    return protocol.match is not same_id


def _story(subject: Judged, sequence: VideoSequence, folder: Path) -> Story:
    """What the page tells about one sequence."""
    one = subject.results.sequences[sequence.name]
    other = subject.against.sequences[sequence.name] if subject.against else None
    curves = mean_curves(one)
    worst = worst_frame(curves)
    pictures = thumbnails(
        sequence,
        subject.folders(sequence.name),
        one.frames[worst],
        ignore_void=subject.protocol.ignore_void,
        own_ids=_own_ids(subject.protocol),
    )
    movie = f"{sequence.name}.mp4"

    return Story(
        name=sequence.name,
        result=one,
        other=other,
        curves=curves,
        other_curves=mean_curves(other) if other else {},
        worst=worst,
        pictures=pictures,
        movie=movie if (folder / movie).is_file() else None,
    )


def mean_curves(result: SequenceResult) -> dict[str, np.ndarray]:
    """J and F [frames], each the mean over the objects that count in a frame; NaN where none
    does.
    """
    letters = dict.fromkeys(letter for curves in result.objects.values() for letter in curves)
    return {
        letter: mean_known([curves[letter] for curves in result.objects.values()])
        for letter in letters
    }


def mean_known(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Mean [frames] of the rows [n][frames] without their NaNs; NaN where there is nothing else."""
    values = np.array(rows)
    known = ~np.isnan(values)
    sums = np.where(known, values, 0).sum(axis=0)
    return np.divide(
        sums, known.sum(axis=0), out=np.full(sums.shape, np.nan), where=known.any(axis=0)
    )


def worst_frame(curves: Mapping[str, np.ndarray]) -> int:
    """Index of the frame with the lowest mean of J and F; 0 where no object counts."""
    if not curves:
        return 0

    both = mean_known(list(curves.values()))
    return int(np.argmin(np.where(np.isnan(both), np.inf, both)))
