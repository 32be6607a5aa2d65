"""One self-contained HTML page of a result: numbers, curves over time, and the worst frames."""

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
from densevos_eval.reports.report_page import ReportSection, page
from densevos_eval.reports.results import FILE, Results, SequenceResult, check_fresh, check_same
from densevos_eval.reports.thumbnails import thumbnails
from densevos_eval.sequences.sequence import VideoSequence

# A sequence costs some 80 kB of curves and pictures, so a page is about 5 MB.
WORST = 60
MOVIE_WIDTH = 1280


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """A result, the result that it is compared with, and the sequences of both, worst first.

    of: Number of sequences in the split; None if it is not known.
    """

    results: Results
    against: Results | None
    sequences: Sequence[VideoSequence]
    protocol: Protocol
    of: int | None = None

    def folders(self, name: str) -> dict[str, Path]:
        """Title of each result -> folder that contains the mask folder of the sequence `name`."""
        folders = {self.results.title: self.results.sequences[name].masks}
        if self.against:
            folders[self.against.title] = self.against.sequences[name].masks

        return folders


def report_input(
    results: Results,
    against: Results | None,
    sequences: Sequence[VideoSequence],
    protocol: Protocol,
    of: int | None = None,
) -> ReportInput:
    """Match results with their sequences, and sort these by score, worst first.

    Args:
        results: The result to show.
        against: Another result to compare it with.
        sequences: The sequences of the split; they may be more than the results have.
        protocol: The benchmark's protocol.
        of: Number of sequences in the split; None if it is not known.

    Raises:
        InputError: The results are from another benchmark, are of classes, are out of date, or
            contain a sequence that is not among `sequences`.
    """
    # Each check names what to change, from the benchmark down to single sequences.
    path = results.folder / FILE
    if results.classes:
        raise InputError(
            f"{path}: has IoU of classes, which have no report page;"
            " look at confusion.png beside it"
        )

    if results.dataset != protocol.name:
        raise InputError(
            f"{path}: is of {results.dataset}, not {protocol.name};"
            f" pass --dataset {results.dataset}"
        )

    # The page shows both results side by side, sequence by sequence.
    if against:
        check_same(against, results)

    by_name = {sequence.name: sequence for sequence in sequences}
    for name in results.sequences:
        if name not in by_name:
            raise InputError(
                f"{path}: sequence {name} is not in this split;"
                " pass the --split or --sequences scored"
            )

    worst_first = sorted(results.sequences, key=lambda name: _rank(results, name))
    chosen = [by_name[name] for name in worst_first]
    # Numbers of one set of masks beside pictures of another would contradict each other.
    check_fresh(results, chosen)

    return ReportInput(results=results, against=against, sequences=chosen, protocol=protocol, of=of)


def shown(subject: ReportInput, worst: int = WORST) -> Sequence[VideoSequence]:
    """The `worst` sequences, which the page shows in detail; none if objects have no scores.

    Raises:
        InputError: The number is below 0.
    """
    if worst < 0:
        raise InputError(f"--worst: must be 0 or more sequences, is {worst}")

    # Joints, for example, have neither curves of objects nor masks to draw.
    has_objects = any(result.objects for result in subject.results.sequences.values())
    if not has_objects:
        return ()

    return subject.sequences[:worst]


def write_report(
    subject: ReportInput,
    path: Path,
    generator: np.random.Generator,
    *,
    worst: int = WORST,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> None:
    """Write the page to `path`, with links to the movies SEQUENCE.mp4 that lie beside it.

    Args:
        subject: What to report.
        path: The HTML file.
        generator: Draws the resamples of the bootstrap interval of the difference.
        worst: Number of sequences shown with curves and pictures, some 80 kB each. The table lists
            all sequences.
        on_sequence: Called with the name of each sequence that is shown in detail.

    Raises:
        InputError: A mask is missing or unreadable.
    """
    comparison = None
    if subject.against:
        # The other result is the baseline: differences are those of this result to it.
        comparison = compare([subject.against, subject.results], generator)

    sections = []
    for sequence in shown(subject, worst):
        sections.append(_section(subject, sequence, path.parent))
        on_sequence(sequence.name)

    names = [sequence.name for sequence in subject.sequences]
    html = page(
        subject.results,
        comparison,
        names,
        sections,
        own_ids=_own_ids(subject.protocol),
        of=subject.of,
    )
    # Complete or absent: nobody sees half a page.
    made_folder(path.parent)
    with atomic_write(path, "w") as file:
        file.write(html)


def write_movies(
    subject: ReportInput,
    folder: Path,
    *,
    worst: int = WORST,
    fps: float = 12,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write FOLDER/SEQUENCE.mp4 of the sequences shown in detail: truth and masks side by side.

    Args:
        subject: What to report.
        folder: Where the movies go.
        worst: Number of sequences shown in detail.
        fps: Frames per second.
        on_frame: Called with the sequence's name after each frame; see `movie.write_movie`.
    """
    for sequence in shown(subject, worst):
        # Names of sequences may contain folders, such as CLASS/SHOT.
        path = folder / f"{sequence.name}.mp4"
        made_folder(path.parent)
        write_movie(
            sequence,
            subject.folders(sequence.name),
            path,
            fps=fps,
            width=MOVIE_WIDTH,
            on_frame=on_frame,
        )


def _rank(results: Results, name: str) -> float:
    """The headline number, by which sequences are sorted; those without a number come last."""
    value = results.sequences[name].row.get(results.headline, np.nan)
    if np.isnan(value):
        return float("inf")

    return value


def _own_ids(protocol: Protocol) -> bool:
    """Whether results number their objects freely, so that ids do not match those of the truth."""
    return protocol.match is not same_id


def _section(subject: ReportInput, sequence: VideoSequence, folder: Path) -> ReportSection:
    """The section of one sequence; `folder` is that of the page."""
    result = subject.results.sequences[sequence.name]
    curves = mean_curves(result)
    worst = worst_frame(curves)

    other: SequenceResult | None = None
    other_curves: dict[str, np.ndarray] = {}
    if subject.against:
        other = subject.against.sequences[sequence.name]
        other_curves = mean_curves(other)

    # The frame is the worst one of this result, also in the pictures of the other.
    pictures = thumbnails(
        sequence,
        subject.folders(sequence.name),
        result.frames[worst],
        ignore_void=subject.protocol.ignore_void,
        own_ids=_own_ids(subject.protocol),
    )
    # `write_movies` has written it before, if the user wants movies.
    movie = f"{sequence.name}.mp4"
    has_movie = (folder / movie).is_file()

    return ReportSection(
        name=sequence.name,
        result=result,
        other=other,
        curves=curves,
        other_curves=other_curves,
        worst=worst,
        pictures=pictures,
        movie=movie if has_movie else None,
    )


def mean_curves(result: SequenceResult) -> dict[str, np.ndarray]:
    """J and F [frames]: in each frame the mean over the objects that count, NaN if none does."""
    # A dictionary keeps the order of the letters, unlike a set.
    letters: dict[str, None] = {}
    for curves in result.objects.values():
        letters.update(dict.fromkeys(curves))

    means = {}
    for letter in letters:
        means[letter] = mean_known([curves[letter] for curves in result.objects.values()])

    return means


def mean_known(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Mean [frames] of the rows [n][frames] without their NaNs; NaN where all rows have NaN."""
    values = np.array(rows)
    is_number = ~np.isnan(values)
    sums = np.where(is_number, values, 0).sum(axis=0)
    counts = is_number.sum(axis=0)

    # `np.nanmean` would warn about frames without numbers.
    nothing = np.full(sums.shape, np.nan)
    means: np.ndarray = np.divide(sums, counts, out=nothing, where=is_number.any(axis=0))
    return means


def worst_frame(curves: Mapping[str, np.ndarray]) -> int:
    """Index of the frame with the lowest mean of J and F; 0 if no object counts in any frame."""
    if not curves:
        return 0

    # NaN counts as the best value, since `argmin` would choose it otherwise.
    both = mean_known(list(curves.values()))
    return int(np.argmin(np.where(np.isnan(both), np.inf, both)))
