"""A project is a folder that the command line understands.

FOLDER/given/FRAME.png      marked objects, indexed PNG: what `propagate --mask` takes
FOLDER/masks/CLIP/*.png     masks of all frames: what `propagate --out` writes and resumes
FOLDER/project.json         names and colours of objects, and which masks are up to date
FOLDER/exports/             movies and archives for other programs
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
from densevos_eval.runs.records import FILE, earlier_result, is_complete
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence, read_given

# Ids are bytes: 0 is the background, and 255 stands for void pixels.
MOST_OBJECTS = 254
LONGEST_NAME = 60
COLOURS = ("#ff5a5f", "#3ecf8e", "#4c9aff", "#ffc145", "#c77dff", "#2ad4d9", "#ff8fab", "#b8d435")
"""Colours of the first objects; later objects start again with the first colour."""


@dataclass(frozen=True, kw_only=True)
class TrackedObject:
    """An object of the clip.

    id: Its id in masks.
    name: The user's name for it.
    colour: Its colour on the screen, `#rrggbb`.
    """

    id: int
    name: str
    colour: str


def new_object(id: int, name: str | None = None, colour: str | None = None) -> TrackedObject:
    """Make an object.

    Args:
        id: Its id in masks.
        name: Its name; None for "object ID".
        colour: Its colour `#rrggbb`; None for one of `COLOURS`.

    Raises:
        InputError: The name is empty or too long, or the colour has another form.
    """
    if name is None:
        name = f"object {id}"
    if colour is None:
        colour = COLOURS[(id - 1) % len(COLOURS)]

    # Names are one line without tabs, since exports list objects in columns.
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"name: must have 1 to {LONGEST_NAME} letters, has {len(name)}")
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise InputError(f"colour: must be #rrggbb, is {colour[:40]}")

    return TrackedObject(id=id, name=name, colour=colour)


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folder of one clip.

    folder: The folder.
    video: The video file or the folder of frames.
    clip: The clip without given masks; see `sequence`.
    """

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
        """The clip with the masks that are given now, if there are any."""
        # `own_video` rejects a folder without masks, but a new project has none.
        if not mask_files(self.given):
            return self.clip

        return own_video(self.video, self.given)

    def read_given(self) -> dict[int, np.ndarray]:
        """Index of each given frame -> mask [H,W] uint8.

        Raises:
            InputError: A file does not fit the clip.
        """
        return read_given(self.sequence())

    def write_given(self, given: Mapping[int, np.ndarray], frames: Iterable[int]) -> None:
        """Write the given masks that have changed.

        Args:
            given: Index of each given frame -> mask [H,W].
            frames: Frames whose masks have changed; the file of a frame without mask is deleted.
        """
        for frame in frames:
            file = self.given / f"{self.clip.frame_names[frame]}.png"
            if frame in given:
                write_mask(file, given[frame])
            else:
                file.unlink(missing_ok=True)

    def rewrite_given(self, given: Mapping[int, np.ndarray]) -> None:
        """Write all given masks as indexed PNGs.

        In painted masks, the id of a colour depends on all masks, so that changing one of them
        could change the ids of others.

        Args:
            given: Index of each given frame -> mask [H,W].
        """
        old = set(self.sequence().given.values())
        # Written before old files are deleted, so that an interruption loses no mask.
        self.write_given(given, given)

        # Painted masks may have names with other suffixes.
        new = {self.given / f"{self.clip.frame_names[frame]}.png" for frame in given}
        for file in old - new:
            file.unlink()

    def result(self, frame: int) -> np.ndarray | None:
        """The propagated mask [H,W] uint8 of a frame; None if there is none yet."""
        file = self.results / f"{self.clip.frame_names[frame]}.png"
        return read_mask(file) if file.is_file() else None


def open_project(folder: Path, video: Path) -> Project:
    """Make or open the folder of a clip.

    Args:
        folder: The folder.
        video: The video file or the folder of frames.

    Raises:
        InputError: The clip cannot be read, the folder holds something else, or its project is of
            another clip.
    """
    clip = own_video(video, None)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    if (folder / FILE).is_file():
        raise InputError(
            f"--out {folder}: is a folder that propagate wrote; move it into a new folder as"
            f" {folder.name}/masks and its given masks as given, and name the new folder"
        )

    project = Project(folder=folder, video=video, clip=clip)
    parts = (project.given, project.masks, folder / "project.json")
    is_project = any(part.exists() for part in parts)
    # Hidden files, such as those of a file manager, do not count.
    is_used = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if is_used and not is_project:
        raise InputError(
            f"--out {folder}: holds other files, and no project of the studio; name a new folder"
        )

    # Masks of another clip would be shown over frames that they do not belong to.
    name = _read(project).get("clip", clip.name)
    if name != clip.name:
        raise InputError(
            f"--out {folder}: holds the project of {name}, not of {clip.name}; name another folder"
        )

    # Only after all checks: a folder that is refused stays as it was.
    for part in (project.given, project.masks, project.exports):
        made_folder(part)

    return project


def read_objects(project: Project, given: Mapping[int, np.ndarray]) -> dict[int, TrackedObject]:
    """The objects of a project: those of project.json, and all others in the given masks.

    Args:
        project: The project.
        given: Index of each given frame -> mask [H,W].

    Returns:
        Id -> object, in the order of ids.

    Raises:
        InputError: project.json is damaged.
    """
    objects: dict[int, TrackedObject] = {}
    file = project.folder / "project.json"
    for entry in _read(project).get("objects", []):
        try:
            id = int(entry["id"])
            objects[id] = new_object(id, entry["name"], entry["colour"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{file}: is damaged ({error}); correct or delete it") from error

    # Masks that were made by other programs hold objects that project.json does not know.
    for mask in given.values():
        for id in np.unique(mask[mask > 0]).tolist():
            objects.setdefault(id, new_object(id))

    return dict(sorted(objects.items()))


def up_to_date(project: Project) -> set[int]:
    """The frames whose masks follow from the present given masks, according to the files."""
    sequence = project.sequence()
    frames = len(sequence.frame_names)
    if not sequence.given:
        return set()

    # The records of the command line come first: it may have changed masks since the studio ended.
    earlier = earlier_result(project.masks, sequence)
    if earlier:
        changed = affected(earlier.given, given_fingerprints(sequence), frames)
        return set(range(frames)) - set(changed)

    try:
        if is_complete(project.masks, sequence):
            return set(range(frames))
    except InputError:
        # The masks were made from other frames.
        return set()

    # Otherwise propagation was interrupted, and project.json tells how far it came.
    saved = _read(project)
    fresh: set[int] = set()
    for start, stop in saved.get("up_to_date", []):
        fresh.update(range(start, stop))

    # Masks may have been deleted since project.json was written.
    exist = set()
    for frame, name in enumerate(sequence.frame_names):
        if (project.results / f"{name}.png").is_file():
            exist.add(frame)

    # Keys of JSON are texts.
    given = {int(frame): text for frame, text in saved.get("given", {}).items()}
    # Given masks may have been edited outside of the studio.
    changed = affected(given, given_fingerprints(sequence), frames)
    return (fresh & exist) - set(changed)


def save(
    project: Project,
    objects: Mapping[int, TrackedObject],
    given: Mapping[int, np.ndarray],
    fresh: Iterable[int],
) -> None:
    """Write project.json.

    Args:
        project: The project.
        objects: Id -> object.
        given: Index of each given frame -> mask [H,W].
        fresh: Frames whose masks are up to date.
    """
    value = {
        "clip": project.clip.name,
        "objects": [asdict(tracked) for tracked in objects.values()],
        "given": fingerprints(given),
        "up_to_date": stretches(fresh),
    }
    write_json(project.folder / "project.json", value)


def fingerprints(given: Mapping[int, np.ndarray]) -> dict[int, str]:
    """The fingerprints of masks in memory, equal to those of `given_fingerprints` from files.

    Args:
        given: Index of each given frame -> mask [H,W].
    """
    return {frame: hashlib.sha256(ids.tobytes()).hexdigest() for frame, ids in given.items()}


def stretches(frames: Iterable[int]) -> list[list[int]]:
    """Group numbers into runs [start, stop) of consecutive ones.

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
    """The content of project.json; empty if the project is new."""
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
