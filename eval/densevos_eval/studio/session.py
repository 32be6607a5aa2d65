"""The state of an open project, which all tabs share, and everything that a page can do with it."""

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.source import frame_rate
from densevos_eval.propagation.both_ways import affected
from densevos_eval.studio.drafts import Drafts
from densevos_eval.studio.exports import Exports
from densevos_eval.studio.frames import Frames
from densevos_eval.studio.jobs import Job, Worker
from densevos_eval.studio.marks import parse_marks
from densevos_eval.studio.project import (
    MOST_OBJECTS,
    Project,
    TrackedObject,
    fingerprints,
    new_object,
    read_objects,
    save,
    stretches,
    up_to_date,
)

if TYPE_CHECKING:
    from densevos_eval.propagation.propagate import Propagation


class ConflictError(Exception):
    """A request does not fit the present state of the project, or a job that is running."""


class Session:
    """The state of an open project, which several threads may use.

    Args:
        project: The project.
        encoder: The encoder's name, for the page and the command line.
    """

    # The lock guards all fields that change. It is reentrant, since methods call each other.

    def __init__(self, project: Project, *, encoder: str):
        self.project = project
        self.frames = Frames(project.clip.frames())
        self.worker = Worker()
        self._encoder = encoder
        self._propagation: Propagation | None = None
        self._lock = RLock()
        self._revision = 1  # counts changes by users, not by jobs
        self._runs = 0  # counts jobs
        self._given = project.read_given()
        self._objects = read_objects(project, self._given)
        # Frames whose masks follow from the given ones; all others wait to be propagated.
        self._fresh = up_to_date(project)
        # Whether the given masks have been rewritten, which the first change does.
        self._rewritten = False
        self._drafts = Drafts()
        self._exports = Exports(project)
        # Folders of images have no times; 24 frames per second is the rate of films.
        self._rate = frame_rate(project.clip.frames()) or 24

    def ready(self, propagation: "Propagation") -> None:
        """Take the loaded encoder; masks that were made by another one are then out of date."""
        from densevos_eval.studio.runner import has_same_settings

        with self._lock:
            self._propagation = propagation
            if self._fresh and not has_same_settings(self.project, propagation):
                self._fresh.clear()

    def close(self) -> None:
        """End the job after its present frame, and save the project."""
        # Without the lock: the job itself takes it after a frame, and to save the project.
        self.worker.stop()
        with self._lock:
            self._save()

    def state(self) -> dict[str, Any]:
        """What the page shows, without pictures, as JSON values."""
        with self._lock:
            job = self.worker.job
            height, width = self.frames.size
            given = {}
            for frame, ids in sorted(self._given.items()):
                given[frame] = np.unique(ids[ids > 0]).tolist()

            return {
                "revision": self._revision,
                "clip": self.project.clip.name,
                "folder": str(self.project.folder),
                "command": self._command(),
                "frames": len(self.frames),
                "first": self.project.clip.frame_names[0],
                "rate": self._rate,
                "size": [width, height],
                "view": [self.frames.view[1], self.frames.view[0]],
                "encoder": {"name": self._encoder, "ready": self._propagation is not None},
                "objects": [vars(tracked) for tracked in self._objects.values()],
                "given": given,
                "fresh": stretches(self._fresh),
                "job": job.facts() if job else None,
                "exports": self._exports.names(),
            }

    def mask(self, frame: int) -> np.ndarray:
        """The ids [H,W] uint8 of a frame: the propagated mask, covered by the given one."""
        with self._lock:
            given = self._given.get(frame)
            exists = np.zeros(256, bool)
            exists[list(self._objects)] = True

        # Read without the lock, so that a slow disk delays no other thread.
        result = self.project.result(frame)
        if result is None or result.shape != self.frames.size:
            result = np.zeros(self.frames.size, np.uint8)

        # Propagated masks may still contain objects that have been removed.
        ids = np.where(exists[result], result, 0).astype(np.uint8)
        if given is not None:
            # A given object replaces its propagated mask, also where it is smaller.
            ids[np.isin(ids, np.unique(given[given > 0]))] = 0
            ids = np.where(given > 0, given, ids)

        return ids

    def cut(self, frame: int, id: int, values: object) -> np.ndarray:
        """Cut out an object.

        Args:
            frame: Index of the frame.
            id: The object.
            values: Marks as the page sends them; see `marks.parse_marks`.

        Returns:
            The mask [H,W] bool.

        Raises:
            InputError: The object does not exist, or the values are no marks.
        """
        marks = tuple(parse_marks(values, self.frames.size))
        with self._lock:
            self._existing(id)
            # Everything that the mask before the marks depends on.
            key = (self._revision, self._runs, frame, id, frame in self._fresh)

        # Functions instead of arrays: neither is needed if the mask is in the cache.
        return self._drafts.mask(
            key, marks, lambda: self.frames.full(frame), lambda: self.mask(frame) == id
        )

    def accept(self, revision: object, frame: int, id: int, values: object) -> None:
        """Add the mask of an object, as its marks say, to the given mask of a frame.

        Args:
            revision: The revision that the page shows.
            frame: Index of the frame.
            id: The object.
            values: Marks as the page sends them.

        Raises:
            ConflictError: The page is out of date, or a job is running.
            InputError: The mask is empty, the object does not exist, or the values are no marks.
        """
        # Cut before the lock is taken, since it may take long; `_check` then finds changes that
        # were made meanwhile.
        mask = self.cut(frame, id, values)
        with self._lock:
            self._check(revision)
            if not mask.any():
                raise InputError(
                    "The mask is empty: mark the object first, or remove it from this frame."
                )

            # A copy, since another thread may be reading the present mask.
            ids = self._given.get(frame, np.zeros(self.frames.size, np.uint8)).copy()
            # The new mask replaces the object's old one, and covers other objects.
            ids[ids == id] = 0
            ids[mask] = id
            self._give({frame: ids})

    def forget(self, revision: object, frame: int, id: int) -> None:
        """Take an object out of the given mask of a frame.

        Raises:
            ConflictError: The page is out of date, or a job is running.
            InputError: The object is not marked in the frame.
        """
        with self._lock:
            self._check(revision)
            ids = self._given.get(frame)
            if ids is None or id not in ids:
                raise InputError("This object is not marked in this frame.")

            self._give({frame: np.where(ids == id, 0, ids).astype(np.uint8)})

    def set_object(
        self, revision: object, id: int | None, name: str | None, colour: str | None
    ) -> int:
        """Rename or recolour an object, or make a new one.

        Args:
            revision: The revision that the page shows.
            id: The object; None for a new one.
            name: Its name; None keeps the present one.
            colour: Its colour `#rrggbb`; None keeps the present one.

        Returns:
            The object's id.

        Raises:
            ConflictError: The page is out of date.
            InputError: The object does not exist, name or colour are wrong, or there are too many
                objects.
        """
        with self._lock:
            # Names and colours do not change masks, so a job may be running.
            self._check(revision, idle=False)
            if id is None:
                free = set(range(1, MOST_OBJECTS + 1)) - set(self._objects)
                if not free:
                    raise InputError(
                        f"There are {MOST_OBJECTS} objects already; masks hold no more."
                    )

                # Ids of removed objects are used again, since there are few of them.
                id = min(free)
                self._objects[id] = new_object(id, name, colour)
            else:
                old = self._existing(id)
                self._objects[id] = new_object(id, name or old.name, colour or old.colour)

            self._changed()
            return id

    def remove_object(self, revision: object, id: int) -> None:
        """Delete an object and all its given masks.

        Raises:
            ConflictError: The page is out of date, or a job is running.
            InputError: The object does not exist.
        """
        with self._lock:
            self._check(revision)
            self._existing(id)
            del self._objects[id]

            # Frames without the object keep their masks.
            masks = {}
            for frame, ids in self._given.items():
                if id in ids:
                    masks[frame] = np.where(ids == id, 0, ids).astype(np.uint8)

            self._give(masks)

    def propagate(self, revision: object) -> None:
        """Start to compute all masks that are missing or out of date.

        Raises:
            ConflictError: The page is out of date, a job is running, or the encoder is not loaded.
            InputError: No object is marked, or all masks are up to date.
        """
        from densevos_eval.studio.runner import propagate, steps, waiting

        with self._lock:
            self._check(revision)
            propagation = self._loaded()
            ways = waiting(self.project, self._fresh)

            if not self._given:
                raise InputError(
                    "Nothing is marked yet: choose a frame, click the object and press Accept."
                )

            if not ways:
                raise InputError("All masks are up to date.")

            # A copy: the job adds to the original while it runs.
            fresh = set(self._fresh)

            # Called in the job's thread after each frame.
            def note(job: Job, frame: int) -> None:
                with self._lock:
                    self._fresh.add(frame)
                job.step()

            def work(job: Job) -> str:
                propagate(self.project, propagation, fresh, partial(note, job))
                return f"All {len(self.frames)} frames have masks."

            self._begin(Job(kind="propagate", total=steps(ways)), work)

    def export(self, revision: object, kind: str) -> None:
        """Start to write the masks, the movie or soft masks into one file.

        Args:
            revision: The revision that the page shows.
            kind: "masks", "movie" or "soft".

        Raises:
            ConflictError: The page is out of date, a job is running, or the encoder is not loaded.
            InputError: There are no masks, or the kind is unknown.
        """
        with self._lock:
            self._check(revision)
            if not self._fresh:
                raise InputError("There is nothing to export yet: press Propagate first.")

            # A copy of the objects, which users may rename while the job runs.
            total, work = self._exports.job(kind, dict(self._objects), self._rate, self._loaded)
            self._begin(Job(kind=kind, total=total), work)

    def cancel(self) -> None:
        """End the job after its present frame."""
        if self.worker.job:
            self.worker.job.cancel()

    def exported(self, name: str) -> Path:
        """The file of an export; see `Exports.file`."""
        return self._exports.file(name)

    def _begin(self, job: Job, work: Callable[[Job], str]) -> None:
        """Start a job; the project is saved when it ends, however it ends."""

        def saved(job: Job) -> str:
            try:
                return work(job)
            finally:
                with self._lock:
                    # The job may have changed masks that drafts in the cache started from.
                    self._runs += 1
                    self._save()

        self.worker.start(job, saved)

    def _give(self, masks: dict[int, np.ndarray]) -> None:
        """Write given masks, and mark the results that they change as out of date."""
        # Fingerprints before and after the change tell which results depend on it.
        before = fingerprints(self._given)
        merged = {**self._given, **masks}
        # A mask without any object is not a given mask.
        self._given = {frame: ids for frame, ids in merged.items() if ids.any()}
        # The first change rewrites all files, and later ones only what they change.
        if self._rewritten:
            self.project.write_given(self._given, masks)
        else:
            self.project.rewrite_given(self._given)
            self._rewritten = True

        self._fresh -= set(affected(before, fingerprints(self._given), len(self.frames)))
        self._changed()

    def _changed(self) -> None:
        """Count a change by a user, and save the project."""
        self._revision += 1
        self._save()

    def _save(self) -> None:
        save(self.project, self._objects, self._given, self._fresh)

    def _check(self, revision: object, *, idle: bool = True) -> None:
        """Raise ConflictError for a page that is out of date, and with `idle` while a job runs."""
        # A page that shows an earlier state could undo what another tab has done.
        if revision != self._revision:
            raise ConflictError(
                "Another tab has changed the project; it is shown anew. Please try again."
            )

        if idle and self.worker.busy:
            raise ConflictError("Something is still running: wait for its end, or press Cancel.")

    def _existing(self, id: int) -> TrackedObject:
        """An object by its id; InputError if it does not exist."""
        if id not in self._objects:
            raise InputError(f"There is no object {id}; choose one of the list.")

        return self._objects[id]

    def _loaded(self) -> "Propagation":
        """The encoder; ConflictError if it is not loaded yet."""
        if self._propagation is None:
            raise ConflictError("The encoder is still being loaded; try again in a few seconds.")

        return self._propagation

    def _command(self) -> str:
        """The command that continues the project on the command line."""
        project = self.project
        words: list[object] = ["densevos-eval", "propagate"]
        words += ["--video", project.video, "--mask", project.given]
        words += ["--out", project.masks, "--encoder", self._encoder, "--resume"]

        return shlex.join(map(str, words))
