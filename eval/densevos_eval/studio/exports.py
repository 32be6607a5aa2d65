"""Exports of a project for other programs: an archive of masks, a movie, soft masks."""

import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.names import mask_files
from densevos.data.sources.source import iterate_frames
from densevos_eval.drawing.movie_file import movie
from densevos_eval.drawing.overlay import bright_palette, even, overlay, scaled_to
from densevos_eval.sequences.sequence import resized_ids
from densevos_eval.studio.jobs import Job
from densevos_eval.studio.project import Project, TrackedObject

if TYPE_CHECKING:
    from densevos_eval.propagation.propagate import Propagation

MOVIE_SIDE = 1920
"""Longest side of the movie, in pixels."""

ExportTask = tuple[int, Callable[[Job], str]]
"""Number of frames of an export, and the function that makes it and returns its message."""


class Exports:
    """The files in the folder `exports` of a project."""

    def __init__(self, project: Project):
        self._project = project
        name = project.clip.name
        self._files = {
            "masks": f"{name}-masks.zip",
            "movie": f"{name}.mp4",
            "soft": f"{name}-soft-masks.zip",
        }

    def names(self) -> dict[str, str]:
        """Kind -> file name of all exports that exist and are not older than the masks."""
        results = self._project.results
        if not results.is_dir():
            return {}

        # A mask that is written changes the time of its folder.
        changed = results.stat().st_mtime_ns
        names = {}
        for kind, name in self._files.items():
            file = self._project.exports / name
            if file.is_file() and file.stat().st_mtime_ns >= changed:
                names[kind] = name

        return names

    def file(self, name: str) -> Path:
        """The file of an export.

        Raises:
            InputError: There is no export of this name, or it is older than the masks.
        """
        # Only known names, so that ../NAME cannot lead out of the folder.
        if name not in self.names().values():
            raise InputError(f"There is no export {name!r}.")

        return self._project.exports / name

    def job(
        self,
        kind: str,
        objects: Mapping[int, TrackedObject],
        rate: float,
        loaded: "Callable[[], Propagation]",
    ) -> ExportTask:
        """Prepare an export.

        Args:
            kind: "masks", "movie" or "soft".
            objects: Id -> object.
            rate: Frames per second of the movie.
            loaded: Returns the encoder, which only soft masks need.

        Returns:
            The number of frames, and the function that makes the export.

        Raises:
            InputError: The kind is unknown.
        """
        if kind not in self._files:
            raise InputError(f"There is no export {kind!r}; choose {', '.join(self._files)}.")

        project, file = self._project, self._project.exports / self._files[kind]
        frames = len(project.clip.frame_names)
        # The archive holds the masks that exist; movies and soft masks are of all frames.
        if kind == "masks":
            count = len(mask_files(project.results))
            return count, lambda job: write_archive(project, objects, file, job)

        if kind == "movie":
            return frames, lambda job: write_movie(project, objects, rate, file, job)

        # Asked for here only: the other exports work while the encoder is still being loaded.
        propagation = loaded()
        return frames, lambda job: write_soft(project, propagation, objects, file, job)


def write_archive(
    project: Project, objects: Mapping[int, TrackedObject], file: Path, job: Job
) -> str:
    """Write all masks, as they are, into a zip archive, with a list of the objects.

    Args:
        project: The project.
        objects: Id -> object.
        file: The archive.
        job: Counts the frames.

    Returns:
        A message for the user.
    """
    masks = mask_files(project.results)
    with atomic_write(file) as opened, zipfile.ZipFile(opened, "w") as archive:
        archive.writestr("objects.txt", _listed(objects))
        for mask in masks:
            archive.write(mask, mask.name)  # stored: a PNG is compressed already
            job.step()

    return _message(file, len(masks), len(project.clip.frame_names))


def write_movie(
    project: Project, objects: Mapping[int, TrackedObject], rate: float, file: Path, job: Job
) -> str:
    """Draw the masks over the clip, each object in its colour.

    Frames without mask appear in the movie without colours.

    Args:
        project: The project.
        objects: Id -> object.
        rate: Frames per second.
        file: The movie.
        job: Counts the frames.

    Returns:
        A message for the user.
    """
    # Masks may still hold objects that were removed; these keep a colour of the palette.
    colours = bright_palette()
    for tracked in objects.values():
        # #rrggbb -> [r, g, b]
        colours[tracked.id] = list(bytes.fromhex(tracked.colour.removeprefix("#")))

    drawn = 0
    with movie(file, rate) as writer:
        for index, frame in enumerate(iterate_frames(project.clip.frames())):
            height = round(frame.shape[0] * min(1.0, MOVIE_SIDE / max(frame.shape)))
            # Smaller frames keep their size, since enlarged ones would show no more.
            picture = frame
            if height != frame.shape[0]:
                picture = scaled_to(frame, height)

            ids = project.result(index)
            if ids is not None:
                picture = overlay(picture, resized_ids(ids, picture.shape[:2]), colours=colours)
                drawn += 1

            # The movie's pixel format requires even sides.
            writer.append_data(even(picture))
            job.step()

    return _message(file, drawn, len(project.clip.frame_names))


def write_soft(
    project: Project,
    propagation: "Propagation",
    objects: Mapping[int, TrackedObject],
    file: Path,
    job: Job,
) -> str:
    """Write the probability of every object as grey pictures ID-NAME/FRAME.png into an archive.

    All frames are propagated again: the project keeps only masks.

    Args:
        project: The project.
        propagation: The encoder and all settings.
        objects: Id -> object.
        file: The archive.
        job: Counts the frames.

    Returns:
        A message for the user.
    """
    from densevos_eval.studio.runner import write_soft_masks

    # A folder of this name may hold what an export left that was killed.
    aside = project.exports / ".soft"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()

    try:
        write_soft_masks(project, propagation, aside, lambda name: job.step())
        pictures = sorted((aside / "probabilities").rglob("*.png"))
        with atomic_write(file) as opened, zipfile.ZipFile(opened, "w") as archive:
            archive.writestr("objects.txt", _listed(objects))
            for picture in pictures:
                folder = _folder(int(picture.parent.name), objects)
                archive.write(picture, f"{folder}/{picture.name}")
    finally:
        shutil.rmtree(aside, ignore_errors=True)

    frames = len(project.clip.frame_names)
    return _message(file, frames, frames)


def _folder(id: int, objects: Mapping[int, TrackedObject]) -> str:
    """The folder of an object, with a name that is valid on every system."""
    name = ""
    if id == 0:
        name = "background"
    elif id in objects:
        name = objects[id].name

    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    return f"{id}-{plain}".strip("-")


def _listed(objects: Mapping[int, TrackedObject]) -> str:
    """One line for each object: id, name and colour."""
    lines = [f"{tracked.id}\t{tracked.name}\t{tracked.colour}\n" for tracked in objects.values()]
    return "".join(lines)


def _message(file: Path, count: int, frames: int) -> str:
    """What the page shows when an export is finished."""
    part = "" if count == frames else f" ({count} of {frames} frames have masks)"
    return f"Written: {file.name}{part}"
