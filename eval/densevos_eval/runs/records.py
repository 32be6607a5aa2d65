"""What a folder of masks was made with: OUT/propagation.json, and a hidden record of every sequence
that is whole.

A record is written last; without one, or when the files are others than it says, a sequence is not
whole.
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
SEGMENTED = "segment.json"  # where masks hold classes
RECORDS = ".propagation"
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class EarlierResult:
    """The complete result of an earlier run with the same frames and settings, but other given
    masks.

    folder: Its files.
    given: The fingerprints of the masks that were given then, see `given_fingerprints`.
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
    """Make the folder of a run with these settings, or check that the run in it has the same ones.

    inputs: what is read; neither `overwrite` nor new results of the same name may delete it.
    file: name of the file in it that holds the settings.
    Raises InputError when the folder holds files that are not to be touched, or a run with other
    settings.
    """
    kept = out / file
    check_choice(kept, overwrite=overwrite, resume=resume)
    if not (resume and kept.is_file()):
        new_folder(out, overwrite=overwrite, inputs=inputs)
        write_json(kept, settings)

    for source in inputs:
        if source.resolve().is_relative_to(out.resolve()):
            raise InputError(f"{out}: holds {source}, which is read; choose another --out")

    check_same_settings(kept, settings, "pass the same, or choose another --out")


def check_choice(kept: Path, *, overwrite: bool, resume: bool) -> None:
    """Raise InputError if the file `kept` holds a run's settings, and it is not clear what becomes
    of that run.
    """
    if overwrite and resume:
        raise InputError("--overwrite: deletes what --resume and --shard go on with; leave it out")
    if kept.is_file() and not (overwrite or resume):
        raise InputError(
            f"{kept.parent}: holds a run; pass --resume to go on with it, --overwrite, or choose another --out"
        )


def check_same_settings(file: Path, settings: Settings, hint: str) -> None:
    """Raise InputError that names what differs unless the run recorded in `file` has these
    settings.
    """
    there, here = _flat(read_settings(file)), _flat(json.loads(json.dumps(settings)))
    if there.get("weights") == here.get("weights") is not None:
        for name in {"encoder", "model"} & there.keys() & here.keys():
            there[name] = here[name]  # The same file may lie elsewhere.

    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise InputError(f"{file}: has {name} {there.get(name)}, not {here.get(name)}; {hint}")


def read_settings(file: Path) -> dict[str, Any]:
    """What `begin` wrote; InputError when it is missing or damaged."""
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


def is_whole(out: Path, sequence: VideoSequence) -> bool:
    """Whether all files of the sequence are in `out`, as they were written.

    Raises InputError when they were made from other frames or given masks.
    """
    record = _read_record(out, sequence)
    if record is None:
        return False
    if record["inputs"] != input_fingerprint(sequence):
        raise InputError(
            f"{out / sequence.name}: was made from other frames or given masks than are in {sequence.source} now;"
            " pass --overwrite, or choose another --out"
        )

    return bool(record["files"] == _files_fingerprint(out / sequence.name))


def earlier_result(out: Path, sequence: VideoSequence) -> EarlierResult | None:
    """What lies in `out` of the user's own video, if only its given masks have changed since; else
    None.
    """
    record = _read_record(out, sequence)
    folder = out / sequence.name
    if (
        record is None
        or not record.get("given")
        or record["inputs"] == input_fingerprint(sequence)
        or record.get("footage") != footage_fingerprint(sequence)
        or record["files"] != _files_fingerprint(folder)
    ):
        return None

    return EarlierResult(
        folder=folder, given={int(frame): mask for frame, mask in record["given"].items()}
    )


@contextmanager
def written_sequence(out: Path, sequence: VideoSequence, *, keep: bool = False) -> Iterator[Path]:
    """A hidden folder for the files of the sequence; when the block ends well it becomes
    OUT/SEQUENCE.

    When the block fails it is removed. What a killed process left of it is replaced.
    keep: What lies in OUT/SEQUENCE stays until then; otherwise it is deleted first.
    """
    start, inputs = time.perf_counter(), input_fingerprint(sequence)
    folder, record = out / sequence.name, _record(out, sequence)
    aside = folder.with_name(f".{folder.name}.part")
    if not keep:
        _delete(record, folder)

    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        _delete(record, folder)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise

    write_record(out, sequence, seconds=time.perf_counter() - start, inputs=inputs)


def write_record(
    out: Path, sequence: VideoSequence, *, seconds: float, inputs: str | None = None
) -> None:
    """Note that OUT/SEQUENCE is complete.

    seconds: How long it took. inputs: The `input_fingerprint` from before the work, if somebody may
    have changed them.
    """
    folder, record = out / sequence.name, _record(out, sequence)
    record.parent.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {
        "inputs": inputs or input_fingerprint(sequence),
        "files": _files_fingerprint(folder),
        "frames": len(sequence.frame_names),
        "seconds": round(seconds, 2),
    }
    if sequence.painted and sequence.given:
        facts["footage"] = footage_fingerprint(sequence)
        facts["given"] = given_fingerprints(sequence)

    write_json(record, facts)


def forget_record(out: Path, sequence: VideoSequence) -> None:
    """Note that OUT/SEQUENCE is being changed, and not complete."""
    _record(out, sequence).unlink(missing_ok=True)


def _read_record(out: Path, sequence: VideoSequence) -> dict[str, Any] | None:
    """The record of the sequence; None if it is missing or damaged."""
    try:
        record = json.loads(_record(out, sequence).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None

    return record if isinstance(record, dict) and {"inputs", "files"} <= record.keys() else None


def _delete(record: Path, folder: Path) -> None:
    """Delete the files of a sequence, its record first, so that no record is of what is half
    deleted.
    """
    record.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _record(out: Path, sequence: VideoSequence) -> Path:
    return out / RECORDS / f"{sequence.name}.json"


def _files_fingerprint(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return fingerprint(files, [str(file.relative_to(folder)) for file in files])


def _flat(settings: Settings) -> dict[str, Any]:
    """Settings and those within them by name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat.update(_flat(value) if isinstance(value, dict) else {name: value})

    return flat
