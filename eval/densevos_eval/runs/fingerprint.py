"""Fingerprints of files and sequences: hashes that differ if anything that counts differs."""

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

# Fields of a VideoSequence that say where its files are: their content counts, not their place.
FILES = {"source", "given", "truth", "joints"}

# Fields that only scoring uses: masks do not depend on them.
ONLY_SCORED = {"leaves", "groups", "annotation_size"}

USUAL: dict[str, Any] = {
    "leaves": {},
    "groups": {},
    "annotation_size": None,
    "both_ways": False,
    "reader": IdReader(),
}
"""Newer fields, which are left out if they have these values: runs of versions without these
fields can then be resumed."""


class UnreadableError(InputError):
    """A file exists but cannot be read; all other sequences may still be usable."""


def fingerprint(files: Iterable[Path], facts: object = None) -> str:
    """Hash files and facts with SHA-256.

    Args:
        files: Their names and contents are hashed, in this order. Missing files are allowed.
        facts: Anything that JSON takes; other objects are hashed as their text.

    Returns:
        The hash in hexadecimal digits.

    Raises:
        UnreadableError: A file exists but cannot be read.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    # Names count as well as contents: two files that swap their contents differ.
    for file in files:
        digest.update(name_bytes(f"\n{file.name} {_content(file)}"))

    return digest.hexdigest()


def input_fingerprint(sequence: VideoSequence) -> str:
    """The fingerprint of everything that a method sees of a sequence.

    It covers the frames, the given masks or joints, and the facts about frames and objects.
    """
    # A video is one file; a folder of frames counts by its images alone.
    files = [sequence.source]
    if sequence.source.is_dir():
        files = list(image_files(sequence.source))

    # Given masks count in the order of their frames, however they were listed.
    for _, path in sorted(sequence.given.items()):
        files += sequence.reader.files(path)

    if sequence.joints:
        files.append(sequence.joints)

    facts = {}
    for name, value in sequence_facts(sequence).items():
        if name not in ONLY_SCORED:
            facts[name] = value

    return fingerprint(files, facts)


def footage_fingerprint(sequence: VideoSequence) -> str:
    """The fingerprint of a sequence's inputs without its given masks; see `input_fingerprint`."""
    return input_fingerprint(replace(sequence, given={}, both_ways=False))


def given_fingerprints(sequence: VideoSequence) -> dict[int, str]:
    """Index of each given frame -> SHA-256 of its ids [H,W], however the mask is stored."""
    hashes = {}
    for frame, ids in read_given(sequence).items():
        hashes[frame] = hashlib.sha256(ids.tobytes()).hexdigest()

    return hashes


def truth_fingerprint(sequence: VideoSequence) -> str:
    """The fingerprint of the annotations that a sequence is scored against."""
    # Joints have no masks, and their file holds the whole truth.
    if sequence.joints:
        return fingerprint([sequence.joints])

    # Without a list of annotated frames, all of them are.
    annotated = sequence.annotated or range(len(sequence.truth))
    files: list[Path] = []
    for t in annotated:
        files += sequence.reader.files(sequence.truth[t])

    return fingerprint(files)


def masks_fingerprint(folder: Path, frames: Iterable[str]) -> str:
    """The fingerprint of a sequence's results.

    Args:
        folder: The sequence's own folder.
        frames: Names of the frames whose masks FOLDER/FRAME.png count; empty for results that are
            joints.
    """
    return fingerprint([mask_file(folder, frame) for frame in frames] or [folder / FILE])


def sequence_facts(sequence: VideoSequence) -> dict[str, Any]:
    """Everything about a sequence except its files, by name of the field.

    `given` lists the indices of the frames with given masks.
    """
    facts = {}
    for field in fields(sequence):
        name = field.name
        if name in FILES:
            continue

        value = getattr(sequence, name)
        if name not in USUAL or value != USUAL[name]:
            facts[name] = value

    facts["given"] = sorted(sequence.given)
    return facts


def _content(file: Path) -> str:
    """The hash of a file's content, or a word that is no hash if the file is missing."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise UnreadableError(
            f"{file}: cannot be read ({error.strerror}); change its permissions, or leave it out"
        ) from error
