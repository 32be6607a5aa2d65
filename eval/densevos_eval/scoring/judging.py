"""Every sequence of a split judged: several at a time, kept as soon as done, never reused for other files."""

import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import densevos
from densevos.base.errors import InputError
from densevos.base.files import written_whole
from densevos.base.parallel import BROKEN, Broken, OnStep, check_any, each
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.runs.fingerprint import fingerprint, masks_fingerprint, sequence_facts, truth_fingerprint
from densevos_eval.runs.records import FILE, check_same_settings, read_settings
from densevos_eval.sequences import Sequence

KEPT = ".scores"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """How a sequence is judged: its numbers, and names of the frames they are of (none for joints)."""

    numbers: Callable[[Sequence, Path, Protocol], Arrays]
    frames: Callable[[Sequence, Protocol], Iterable[str]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The numbers of one sequence, the folder that holds that of its masks, and fingerprints of the files."""

    numbers: Arrays
    folder: Path
    masks: str
    annotations: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where masks are, and where the numbers of each sequence are kept until all are there.

    masks: name of a sequence -> folder that holds its folder.
    keep: numbers are kept in KEEP/.scores; None: nowhere. reuse: those kept of the very same files are taken.
    """

    masks: Mapping[str, Path]
    keep: Path | None = None
    reuse: bool = False

    def file(self, sequence: Sequence) -> Path | None:
        """The file of the numbers of one sequence."""
        return self.keep / KEPT / f"{sequence.name}.npz" if self.keep else None

    def forget(self) -> None:
        """Delete what is kept."""
        if self.keep:
            shutil.rmtree(self.keep / KEPT, ignore_errors=True)


def judge_all(
    sequences: list[Sequence],
    judge: Judge,
    protocol: Protocol,
    plan: Plan,
    *,
    workers: int = 1,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> tuple[dict[str, Judged], dict[str, str]]:
    """Numbers of every sequence by name, and the reasons of those that have none; both in the order of the sequences.

    workers: processes to spread the sequences over; the numbers do not depend on it.
    on_sequence: called with the name of each sequence when it is done.

    Raises the error of the first when no sequence has numbers.
    """
    makers = [partial(_in_process, judge, protocol, plan)] * min(workers, len(sequences))
    here = partial(_judged, judge, protocol, plan)
    done: dict[str, Judged | Broken] = {}
    for sequence, outcome in each(here, sequences, processes=makers if len(makers) > 1 else ()):
        done[sequence.name] = outcome
        on_sequence(sequence.name)
    outcomes = {sequence.name: done[sequence.name] for sequence in sequences}
    judged = {name: one for name, one in outcomes.items() if isinstance(one, Judged)}
    broken = {name: one for name, one in outcomes.items() if isinstance(one, BROKEN)}
    check_any(broken, list(outcomes))
    return judged, {name: str(error) for name, error in broken.items()}


def located(sequences: list[Sequence], folders: Iterable[Path]) -> dict[str, Path]:
    """Which of the folders holds the masks of each sequence; of several, each from a shard of one run.

    Raises InputError for a sequence that lies in two of several folders, or in none, and when those were not
    propagated with the same encoder and settings.
    """
    folders = list(folders)
    if not folders:
        raise InputError("--results: names no folder; name one that holds masks")
    first, *others = folders
    if not others:
        return {sequence.name: first for sequence in sequences}
    for other in others:
        check_same_settings(other / FILE, read_settings(first / FILE), f"as {first / FILE} has; score them apart")
    places = {}
    for sequence in sequences:
        homes = [folder for folder in (first, *others) if (folder / sequence.name).is_dir()]
        if not homes:
            raise InputError(f"--results: none of the folders holds {sequence.name}; propagate its --shard first")
        if len(homes) > 1:
            raise InputError(f"{homes[1] / sequence.name}: {homes[0]} holds this sequence too; leave one of them out")
        places[sequence.name] = homes[0]
    return places


def _in_process(judge: Judge, protocol: Protocol, plan: Plan) -> Callable[[Sequence, OnStep], Judged]:
    cv2.setNumThreads(1)  # The processes already share the cores.
    return partial(_judged, judge, protocol, plan)


def _judged(judge: Judge, protocol: Protocol, plan: Plan, sequence: Sequence, on_step: OnStep) -> Judged:
    folder = plan.masks[sequence.name]
    masks = masks_fingerprint(folder / sequence.name, judge.frames(sequence, protocol))
    annotations = truth_fingerprint(sequence)
    facts = [densevos.__version__, _rules(protocol), sequence_facts(sequence), masks, annotations]
    key, file = fingerprint([], facts), plan.file(sequence)
    numbers = _kept(file, key) if file and plan.reuse else None
    if numbers is None:
        numbers = judge.numbers(sequence, folder, protocol)
        if file:
            _keep(file, key, numbers)
    return Judged(numbers=numbers, folder=folder, masks=masks, annotations=annotations)


def _rules(protocol: Protocol) -> dict[str, object]:
    """The protocol as JSON takes it."""
    return {one.name: _plain(getattr(protocol, one.name)) for one in fields(protocol)}


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    return getattr(value, "__qualname__", value)


def _keep(file: Path, key: str, numbers: Arrays) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as opened:
        np.savez(opened, **{**numbers, "key": np.array(key)})  # type: ignore[arg-type]


def _kept(file: Path, key: str) -> Arrays | None:
    """The numbers in the file if it is whole and has this key."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            numbers = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return numbers if str(numbers.pop("key", "")) == key else None
