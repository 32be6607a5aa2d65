"""A project is a folder that the command line understands.

FOLDER/given/FRAME.png      marked objects, indexed PNG: what `propagate --mask` takes
FOLDER/masks/CLIP/*.png     masks of all frames: what `propagate --out` writes and `--resume` goes
on with FOLDER/project.json         names and colours of objects, and which masks are up to date
FOLDER/exports/             movies and archives to hand on
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import made_folder, write_json
from densevos.base.masks import read_mask, write_mask
from densevos.base.names import mask_files
from densevos_eval.propagation.both_ways import affected
from densevos_eval.runs.fingerprint import given_fingerprints
from densevos_eval.runs.records import FILE, earlier_result, is_whole
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence, read_given

MOST_OBJECTS = 254
LONGEST_NAME = 60
COLOURS = ("#ff5a5f", "#3ecf8e", "#4c9aff", "#ffc145", "#c77dff", "#2ad4d9", "#ff8fab", "#b8d435")
"""Colours of the first objects; later ones begin again."""


@dataclass(frozen=True, kw_only=True)
class TrackedObject:
    """An object of the clip: its id in masks, what the user calls it, and its colour on the screen,
    `#rrggbb`.
    """

    id: int
    name: str
    colour: str


def new_object(id: int, name: str | None = None, colour: str | None = None) -> TrackedObject:
    """An object, with a name and a colour where none are given.

    Raises:
        InputError: The name is empty or too long, or the colour is none.
    """
    name = f"object {id}" if name is None else " ".join(name.split())
    colour = COLOURS[(id - 1) % len(COLOURS)] if colour is None else colour
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"name: must have 1 to {LONGEST_NAME} letters, has {len(name)}")
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise InputError(f"colour: must be #rrggbb, is {colour[:40]}")

    return TrackedObject(id=id, name=name, colour=colour)


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folder of one clip; `clip` has no given masks, see `sequence`."""

    folder: Path
    video: Path
    clip: VideoSequence

    @property
    def given(self) -> Path:
        return self.folder / "given"

    @property
    def masks(self) -> Path:
        return self.folder / "masks"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def results(self) -> Path:
        """The folder with a mask of each frame."""
        return self.masks / self.clip.name

    def sequence(self) -> VideoSequence:
        """The clip with the masks that are given now; none is an error only of propagation."""
        return own_video(self.video, self.given) if mask_files(self.given) else self.clip

    def read_given(self) -> dict[int, np.ndarray]:
        """The given masks [H,W] uint8 by frame; InputError for files that do not fit the clip."""
        return read_given(self.sequence())

    def write_given(self, given: Mapping[int, np.ndarray], frames: Iterable[int]) -> None:
        """Write those given masks [H,W] that have changed; a frame that has none loses its file."""
        for frame in frames:
            file = self.given / f"{self.clip.frame_names[frame]}.png"
            if frame in given:
                write_mask(file, given[frame])
            else:
                file.unlink(missing_ok=True)

    def rewrite_given(self, given: Mapping[int, np.ndarray]) -> None:
        """Write all given masks as indexed PNGs: what colours mean in painted ones depends on all
        of them.
        """
        old = set(self.sequence().given.values())
        self.write_given(given, given)
        for file in old - {self.given / f"{self.clip.frame_names[frame]}.png" for frame in given}:
            file.unlink()

    def result(self, frame: int) -> np.ndarray | None:
        """The propagated mask [H,W] uint8 of a frame; None if there is none yet."""
        file = self.results / f"{self.clip.frame_names[frame]}.png"
        return read_mask(file) if file.is_file() else None


def open_project(folder: Path, video: Path) -> Project:
    """Make or open the folder of a clip.

    Raises:
        InputError: The clip cannot be read, the folder holds something else, or its masks are of
            another clip.
    """
    clip = own_video(video, None)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    if (folder / FILE).is_file():
        raise InputError(
            f"--out {folder}: is a folder that propagate wrote; move it into a new folder as {folder.name}/masks and"
            " its given masks as given, and name the new folder"
        )

    project = Project(folder=folder, video=video, clip=clip)
    strangers = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if strangers and not any(
        path.exists() for path in (project.given, project.masks, folder / "project.json")
    ):
        raise InputError(
            f"--out {folder}: holds other files, and no project of the studio; name a new folder"
        )

    known = _read(project).get("clip", clip.name)
    if known != clip.name:
        raise InputError(
            f"--out {folder}: holds the project of {known}, not of {clip.name}; name another folder"
        )

    for part in (project.given, project.masks, project.exports):
        made_folder(part)

    return project


def read_objects(project: Project, given: Mapping[int, np.ndarray]) -> dict[int, TrackedObject]:
    """The objects by id: those of project.json, and all others that given masks hold."""
    objects: dict[int, TrackedObject] = {}
    file = project.folder / "project.json"
    for entry in _read(project).get("objects", []):
        try:
            objects[int(entry["id"])] = new_object(int(entry["id"]), entry["name"], entry["colour"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{file}: is damaged ({error}); correct or delete it") from error

    for mask in given.values():
        for id in np.unique(mask[mask > 0]).tolist():
            objects.setdefault(id, new_object(id))

    return dict(sorted(objects.items()))


def up_to_date(project: Project) -> set[int]:
    """The frames whose masks are what the given masks lead to, as far as the files say."""
    sequence = project.sequence()
    frames = len(sequence.frame_names)
    if not sequence.given:
        return set()

    # What the command line did last counts first.
    earlier = earlier_result(project.masks, sequence)
    if earlier:
        changed = affected(earlier.given, given_fingerprints(sequence), frames)
        return set(range(frames)) - set(changed)

    try:
        if is_whole(project.masks, sequence):
            return set(range(frames))
    except InputError:
        return set()  # Made from other frames.

    kept = _read(project)
    given = {int(frame): text for frame, text in kept.get("given", {}).items()}
    fresh = {frame for start, stop in kept.get("up_to_date", []) for frame in range(start, stop)}
    changed = affected(given, given_fingerprints(sequence), frames)
    exist = {
        frame
        for frame, name in enumerate(sequence.frame_names)
        if (project.results / f"{name}.png").is_file()
    }

    return (fresh & exist) - set(changed)


def save(
    project: Project,
    objects: Mapping[int, TrackedObject],
    given: Mapping[int, np.ndarray],
    fresh: Iterable[int],
) -> None:
    """Write project.json."""
    value = {
        "clip": project.clip.name,
        "objects": [asdict(one) for one in objects.values()],
        "given": fingerprints(given),
        "up_to_date": stretches(fresh),
    }
    write_json(project.folder / "project.json", value)


def fingerprints(given: Mapping[int, np.ndarray]) -> dict[int, str]:
    """What tells given masks [H,W] apart, by frame; as `given_fingerprints` has it of their
    files.
    """
    return {frame: hashlib.sha256(ids.tobytes()).hexdigest() for frame, ids in given.items()}


def stretches(frames: Iterable[int]) -> list[list[int]]:
    """Runs [start, stop) of numbers that follow one another.

    >>> stretches([5, 0, 1, 2])
    [[0, 3], [5, 6]]
    """
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and runs[-1][1] == frame:
            runs[-1][1] += 1
        else:
            runs.append([frame, frame + 1])

    return runs


def _read(project: Project) -> dict[str, Any]:
    file = project.folder / "project.json"
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{file}: is damaged ({error}); correct or delete it") from error

    if not isinstance(value, dict):
        raise InputError(f"{file}: is no project of the studio; correct or delete it")

    return value
