"""What a folder of masks was made with: OUT/propagation.json, and a record of each sequence.

The hidden record of a sequence is written last. A sequence without record, or with files that
differ from it, is incomplete.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.files import new_folder, write_json
from densevos_eval.runs.fingerprint import (
    fingerprint,
    footage_fingerprint,
    given_fingerprints,
    input_fingerprint,
)
from densevos_eval.sequences.sequence import VideoSequence

FILE = "propagation.json"
SEGMENTED = "segment.json"
"""Instead of `FILE`, if masks hold classes."""

RECORDS = ".propagation"
MOVABLE = {"weights": ("encoder", "model"), "statistics": ("statistics_from",)}
"""Settings that are hashes of content -> settings that only say where this content lies."""
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class EarlierResult:
    """The complete result of an earlier run that differs only in the given masks.

    folder: The folder of its files.
    given: Fingerprints of the masks that were given then; see `given_fingerprints`.
    """

    folder: Path
    given: Mapping[int, str]


def begin(
    out: Path,
    settings: Settings,
    *,
    overwrite: bool,
    resume: bool,
    inputs: list[Path],
    file: str = FILE,
) -> None:
    """Make the folder of a run, or check that the run in it has the same settings.

    Args:
        out: The folder.
        settings: The settings of the run.
        overwrite: Whether to empty the folder first.
        resume: Whether to continue the run in the folder, if there is one.
        inputs: Files and folders that the run reads. They must not lie in the folder, where they
            could be deleted or replaced.
        file: Name of the file in the folder that holds the settings.

    Raises:
        InputError: The folder holds files that must not be touched, or a run with other settings.
    """
    recorded = out / file
    check_choice(recorded, overwrite=overwrite, resume=resume)
    # The settings are written at once, so that shards and later runs can be compared with them.
    if not (resume and recorded.is_file()):
        new_folder(out, overwrite=overwrite, inputs=inputs)
        write_json(recorded, settings)

    # With --resume no folder is emptied, but files could still be replaced.
    for source in inputs:
        if source.resolve().is_relative_to(out.resolve()):
            raise InputError(f"{out}: holds {source}, which is read; choose another --out")

    check_same_settings(recorded, settings, "pass the same, or choose another --out")


def check_choice(kept: Path, *, overwrite: bool, resume: bool) -> None:
    """Check that the user has chosen what happens to a run that already exists.

    Args:
        kept: The file that holds the settings of that run; it may be missing.
        overwrite: Whether to delete the run.
        resume: Whether to continue it.

    Raises:
        InputError: Both were chosen, or neither although there is a run.
    """
    if overwrite and resume:
        raise InputError("--overwrite: deletes what --resume and --shard go on with; leave it out")
    if kept.is_file() and not (overwrite or resume):
        raise InputError(
            f"{kept.parent}: holds a run;"
            " pass --resume to go on with it, --overwrite, or choose another --out"
        )


def check_same_settings(file: Path, settings: Settings, hint: str) -> None:
    """Check that a run has these settings.

    Args:
        file: The record of the run.
        settings: The settings to compare with.
        hint: What the user can do if they differ.

    Raises:
        InputError: A setting differs; the message names it.
    """
    recorded = _flat(read_settings(file))
    # Through JSON and back, so that tuples compare equal to the lists of the record.
    wanted = _flat(json.loads(json.dumps(settings)))

    # Equal hashes: it is the same encoder, or the same frames, though the files may have moved.
    for hashed, places in MOVABLE.items():
        if wanted.get(hashed) is not None and recorded.get(hashed) == wanted[hashed]:
            for name in places:
                if name in recorded and name in wanted:
                    recorded[name] = wanted[name]

    # A setting that only one side has differs too, as None from its value.
    for name in sorted(recorded.keys() | wanted.keys()):
        before, now = recorded.get(name), wanted.get(name)
        if before != now:
            raise InputError(f"{file}: has {name} {before}, not {now}; {hint}")


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a run, as `begin` wrote them.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{file}: is missing; name a folder that densevos-eval propagate wrote"
        ) from None
    except ValueError as error:
        raise InputError(
            f"{file}: cannot be read ({error}); propagate again with --overwrite"
        ) from error

    if not isinstance(settings, dict):
        raise InputError(
            f"{file}: is not what densevos-eval propagate writes; propagate again with --overwrite"
        )

    return settings


def is_complete(out: Path, sequence: VideoSequence) -> bool:
    """Whether all files of a sequence are in OUT/SEQUENCE, unchanged since they were written.

    Raises:
        InputError: They were made from other frames or given masks.
    """
    record = _read_record(out, sequence)
    if record is None:
        return False

    # Another input is an error, since redoing the sequence would mix two inputs in one run.
    if record["inputs"] != input_fingerprint(sequence):
        raise InputError(
            f"{out / sequence.name}: was made from other frames or given masks than are in"
            f" {sequence.source} now; pass --overwrite, or choose another --out"
        )

    return bool(record["files"] == _files_fingerprint(out / sequence.name))


def earlier_result(out: Path, sequence: VideoSequence) -> EarlierResult | None:
    """The result in OUT/SEQUENCE of the user's own video, if only its given masks have changed.

    Returns:
        The result; None if it is incomplete, if nothing has changed, or if anything else has.
    """
    record = _read_record(out, sequence)
    folder = out / sequence.name
    # Only a record of the user's own video lists its given masks.
    if record is None or not record.get("given"):
        return None

    # Hashing the inputs is cheaper than hashing all results, so it comes first.
    if (
        record["inputs"] == input_fingerprint(sequence)
        or record.get("footage") != footage_fingerprint(sequence)
        or record["files"] != _files_fingerprint(folder)
    ):
        return None

    # JSON has only strings as keys.
    given = {int(frame): mask for frame, mask in record["given"].items()}
    return EarlierResult(folder=folder, given=given)


@contextmanager
def written_sequence(out: Path, sequence: VideoSequence, *, keep: bool = False) -> Iterator[Path]:
    """A context with a hidden folder for the files of a sequence, which becomes OUT/SEQUENCE.

    The folder is renamed when the block ends, or removed if the block fails. If a killed process
    left such a folder, it is replaced.

    Args:
        out: Folder of the run.
        sequence: The sequence.
        keep: Whether earlier files in OUT/SEQUENCE stay until the block ends; otherwise they are
            deleted first.
    """
    # Inputs that change during the work must not be recorded as those of the result.
    start, inputs = time.perf_counter(), input_fingerprint(sequence)
    folder, record = out / sequence.name, _record(out, sequence)
    aside = folder.with_name(f".{folder.name}.part")
    if not keep:
        _delete(record, folder)

    # A killed process may have left its folder.
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        # With `keep`, the older result goes only now, when the new one is complete.
        _delete(record, folder)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise

    write_record(out, sequence, seconds=time.perf_counter() - start, inputs=inputs)


def write_record(
    out: Path, sequence: VideoSequence, *, seconds: float, inputs: str | None = None
) -> None:
    """Record that OUT/SEQUENCE is complete.

    Args:
        out: Folder of the run.
        sequence: The sequence.
        seconds: How long it took.
        inputs: The `input_fingerprint` from before the work; None if the inputs cannot have
            changed since.
    """
    folder, record = out / sequence.name, _record(out, sequence)
    # The record vouches for the files, so it is written after them.
    record.parent.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {
        "inputs": inputs or input_fingerprint(sequence),
        "files": _files_fingerprint(folder),
        "frames": len(sequence.frame_names),
        "seconds": round(seconds, 2),
    }
    # The user's own video can be corrected: other given masks change only some of its frames.
    if sequence.painted and sequence.given:
        facts["footage"] = footage_fingerprint(sequence)
        facts["given"] = given_fingerprints(sequence)

    write_json(record, facts)


def forget_record(out: Path, sequence: VideoSequence) -> None:
    """Delete the record of OUT/SEQUENCE, which is incomplete while its files are changed."""
    _record(out, sequence).unlink(missing_ok=True)


def _read_record(out: Path, sequence: VideoSequence) -> dict[str, Any] | None:
    """The record of the sequence; None if it is missing or damaged."""
    try:
        record = json.loads(_record(out, sequence).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None

    # A damaged record counts as none, and the sequence is redone.
    if not isinstance(record, dict) or not {"inputs", "files"} <= record.keys():
        return None

    return record


def _delete(record: Path, folder: Path) -> None:
    """Delete a sequence, its record first: no record may vouch for files that are half deleted."""
    record.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _record(out: Path, sequence: VideoSequence) -> Path:
    return out / RECORDS / f"{sequence.name}.json"


def _files_fingerprint(folder: Path) -> str:
    """The fingerprint of all files of a folder, with their paths in it."""
    # Sorted, because the order of a listing depends on the file system.
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return fingerprint(files, [str(file.relative_to(folder)) for file in files])


def _flat(settings: Settings) -> dict[str, Any]:
    """Settings by name; those of a group are merged into the others."""
    # Groups exist for readers of the file; comparisons need names only.
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value))
        else:
            flat[name] = value

    return flat
