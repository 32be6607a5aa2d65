"""What files and sequences are, in a few bytes: two that differ have different fingerprints."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.files import name_bytes
from densevos.base.names import image_files, mask_file
from densevos_eval.sequences.annotations import IdReader
from densevos_eval.sequences.joints import FILE
from densevos_eval.sequences.sequence import VideoSequence, read_given

FILES = {
    "source",
    "given",
    "truth",
    "joints",
}  # the fields of a Sequence that say where its files lie
ONLY_SCORED = {"leaves", "groups", "annotation_size"}  # those that no method sees
USUAL: dict[str, Any] = {
    "leaves": {},
    "groups": {},
    "annotation_size": None,
    "both_ways": False,
    "reader": IdReader(),
}
"""Fields that are left out where they have these values, so that runs of older versions can be
resumed.
"""


class UnreadableError(InputError):
    """A file is there and cannot be read; what else it belongs to may be in order."""


def fingerprint(files: Iterable[Path], facts: object = None) -> str:
    """SHA-256 over the names and the content of the files, in this order, and over `facts` as JSON.

    Raises UnreadableError for a file that is there and cannot be read.
    """
    whole = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for file in files:
        whole.update(name_bytes(f"\n{file.name} {_content(file)}"))

    return whole.hexdigest()


def input_fingerprint(sequence: VideoSequence) -> str:
    """Of all that is handed to a method: frames, given masks or joints, and which frames and
    objects are meant.
    """
    frames = image_files(sequence.source) if sequence.source.is_dir() else [sequence.source]
    given = [
        file for _, path in sorted(sequence.given.items()) for file in sequence.reader.files(path)
    ]
    facts = {
        name: value for name, value in sequence_facts(sequence).items() if name not in ONLY_SCORED
    }

    return fingerprint([*frames, *given, *([sequence.joints] if sequence.joints else [])], facts)


def footage_fingerprint(sequence: VideoSequence) -> str:
    """Of all that `input_fingerprint` is of, but for the given masks."""
    return input_fingerprint(replace(sequence, given={}, both_ways=False))


def given_fingerprints(sequence: VideoSequence) -> dict[int, str]:
    """SHA-256 of the ids [H,W] of each given mask, by its frame, however the mask is stored."""
    return {
        frame: hashlib.sha256(ids.tobytes()).hexdigest()
        for frame, ids in read_given(sequence).items()
    }


def truth_fingerprint(sequence: VideoSequence) -> str:
    """Of the annotations that a sequence is scored against."""
    if sequence.joints:
        return fingerprint([sequence.joints])

    annotated = sequence.annotated or range(len(sequence.truth))
    return fingerprint(file for t in annotated for file in sequence.reader.files(sequence.truth[t]))


def masks_fingerprint(folder: Path, frames: Iterable[str]) -> str:
    """Of a sequence's masks FOLDER/FRAME.png of these frames, or of its joints where no frames are
    named.
    """
    return fingerprint([mask_file(folder, frame) for frame in frames] or [folder / FILE])


def sequence_facts(sequence: VideoSequence) -> dict[str, Any]:
    """What a sequence is but for its files."""
    facts = {
        field.name: getattr(sequence, field.name)
        for field in fields(sequence)
        if field.name not in FILES
    }
    told = {
        name: value for name, value in facts.items() if name not in USUAL or value != USUAL[name]
    }

    return {**told, "given": sorted(sequence.given)}


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise UnreadableError(
            f"{file}: cannot be read ({error.strerror}); change its permissions, or leave it out"
        ) from error
