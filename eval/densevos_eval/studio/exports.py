"""What a project hands on: an archive of masks, a movie, soft masks."""

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
Work = tuple[int, Callable[[Job], str]]


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
        """Kind and file name of the exports that are there, and as new as the masks."""
        files = {kind: self._project.exports / name for kind, name in self._files.items()}
        there = {
            kind: file
            for kind, file in files.items()
            if file.is_file() and self._project.results.is_dir()
        }
        changed = self._project.results.stat().st_mtime_ns if there else 0

        return {
            kind: file.name for kind, file in there.items() if file.stat().st_mtime_ns >= changed
        }

    def file(self, name: str) -> Path:
        """The file of an export; InputError for any other name."""
        if name not in self.names().values():
            raise InputError(f"There is no export {name!r}.")
        return self._project.exports / name

    def job(
        self,
        kind: str,
        objects: Mapping[int, TrackedObject],
        rate: float,
        loaded: "Callable[[], Propagation]",
    ) -> Work:
        """The number of frames of an export, and what makes it; InputError for an unknown kind."""
        if kind not in self._files:
            raise InputError(f"There is no export {kind!r}; choose {', '.join(self._files)}.")

        project, file = self._project, self._project.exports / self._files[kind]
        frames = len(project.clip.frame_names)
        if kind == "masks":
            return len(mask_files(project.results)), lambda job: write_archive(
                project, objects, file, job
            )

        if kind == "movie":
            return frames, lambda job: write_movie(project, objects, rate, file, job)

        propagation = loaded()
        return frames, lambda job: write_soft(project, propagation, objects, file, job)


def write_archive(
    project: Project, objects: Mapping[int, TrackedObject], file: Path, job: Job
) -> str:
    """Write all masks, as they are, into a zip archive, with a list of the objects."""
    masks = mask_files(project.results)
    with atomic_write(file) as opened, zipfile.ZipFile(opened, "w") as archive:
        archive.writestr("objects.txt", _listed(objects))
        for mask in masks:
            archive.write(mask, mask.name)  # A PNG is compressed already.
            job.step()

    return _told(file, len(masks), len(project.clip.frame_names))


def write_movie(
    project: Project, objects: Mapping[int, TrackedObject], rate: float, file: Path, job: Job
) -> str:
    """Draw the masks over the clip, each object in its colour; frames without a mask stay as they
    are.
    """
    colours = bright_palette()
    for one in objects.values():
        colours[one.id] = [int(one.colour[i : i + 2], 16) for i in (1, 3, 5)]

    drawn = 0
    with movie(file, rate) as writer:
        for index, frame in enumerate(iterate_frames(project.clip.frames())):
            height = round(frame.shape[0] * min(1.0, MOVIE_SIDE / max(frame.shape)))
            picture = scaled_to(frame, height) if height != frame.shape[0] else frame
            ids = project.result(index)
            if ids is not None:
                picture = overlay(picture, resized_ids(ids, picture.shape[:2]), colours=colours)
                drawn += 1

            writer.append_data(even(picture))
            job.step()

    return _told(file, drawn, len(project.clip.frame_names))


def write_soft(
    project: Project,
    propagation: "Propagation",
    objects: Mapping[int, TrackedObject],
    file: Path,
    job: Job,
) -> str:
    """Write the probability of every object as grey pictures ID-NAME/FRAME.png into a zip
    archive.
    """
    from densevos_eval.studio.runner import write_soft_masks

    aside = project.exports / ".soft"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()

    try:
        write_soft_masks(project, propagation, aside, lambda name: job.step())
        pictures = sorted((aside / "probabilities").rglob("*.png"))
        with atomic_write(file) as opened, zipfile.ZipFile(opened, "w") as archive:
            archive.writestr("objects.txt", _listed(objects))
            for picture in pictures:
                archive.write(
                    picture, f"{_folder(int(picture.parent.name), objects)}/{picture.name}"
                )
    finally:
        shutil.rmtree(aside, ignore_errors=True)

    frames = len(project.clip.frame_names)
    return _told(file, frames, frames)


def _folder(id: int, objects: Mapping[int, TrackedObject]) -> str:
    """A name that every system takes for a folder."""
    name = "background" if id == 0 else objects[id].name if id in objects else ""
    return f"{id}-{re.sub(r'[^A-Za-z0-9_-]+', '-', name)}".strip("-")


def _listed(objects: Mapping[int, TrackedObject]) -> str:
    return "".join(f"{one.id}\t{one.name}\t{one.colour}\n" for one in objects.values())


def _told(file: Path, count: int, frames: int) -> str:
    part = "" if count == frames else f" ({count} of {frames} frames have masks)"
    return f"Written: {file.name}{part}"
