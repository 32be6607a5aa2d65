"""Projects: marks become given masks, propagation follows them, and the command line understands
the folder.
"""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.data.sources.video import open_frames
from densevos_eval.runs.runner import write_all
from densevos_eval.sequences.own_video import own_video
from densevos_eval.studio.jobs import Job
from densevos_eval.studio.project import open_project, stretches, up_to_date
from densevos_eval.studio.session import ConflictError, Session
from tests.eval.studio.clips import FRAMES, HEIGHT, WIDTH, disc, propagation, square, write_clip

DISC = [{"kind": "click", "x": 24, "y": 30}]


def box_of(mask: np.ndarray) -> list[dict[str, Any]]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return [
        {
            "kind": "box",
            "places": [
                [int(columns[0]) - 3, int(rows[0]) - 3],
                [int(columns[-1]) + 3, int(rows[-1]) + 3],
            ],
        }
    ]


def revision(session: Session) -> int:
    return int(session.state()["revision"])


def mark(session: Session, frame: int, id: int, marks: list[dict[str, Any]]) -> None:
    if id not in {one["id"] for one in session.state()["objects"]}:
        session.set_object(revision(session), None, None, None)
    session.accept(revision(session), frame, id, marks)


def finish(session: Session) -> dict[str, Any]:
    """Wait for the job, and say how it ended."""
    session.worker.wait()
    job = session.state()["job"]
    assert job["state"] == "done", job
    return job  # type: ignore[no-any-return]


def propagate(session: Session) -> dict[str, Any]:
    session.ready(propagation())
    session.propagate(revision(session))
    return finish(session)


def masks(folder: Path) -> dict[str, str]:
    """A hash of every mask."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.glob("*.png"))
    }


def with_command_line(tmp_path: Path, out: Path, *, resume: bool = False) -> None:
    """What `propagate --video CLIP --mask WORK/given --out OUT` writes."""
    sequence = own_video(tmp_path / "clip", tmp_path / "work" / "given")
    assert not write_all([sequence], propagation(), out, resume=resume)


def test_marked_propagated_corrected(session: Session, tmp_path: Path) -> None:
    work = tmp_path / "work"
    mark(session, 2, 1, DISC_IN_FRAME_2)
    assert masks(work / "given").keys() == {"00002.png"}
    assert session.state()["given"] == {2: [1]}
    assert propagate(session)["done"] == FRAMES
    assert session.state()["fresh"] == [[0, FRAMES]]

    # Both ways from the frame in the middle, as the command line.
    with_command_line(tmp_path, tmp_path / "other")
    first = masks(work / "masks" / "clip")
    assert len(first) == FRAMES
    assert first == masks(tmp_path / "other" / "clip")

    # A correction leaves the frames before it, and leads to what a run with both masks makes.
    mark(session, 4, 2, box_of(square(4)))
    assert session.state()["fresh"] == [[0, 4]]
    assert (session.mask(4) == 2).any()
    assert propagate(session)["total"] == 2
    with_command_line(tmp_path, tmp_path / "both")
    second = masks(work / "masks" / "clip")
    assert second == masks(tmp_path / "both" / "clip")
    assert [name for name in first if first[name] != second[name]] == ["00004.png", "00005.png"]

    # The command line finds nothing left to do; its own correction is understood when the studio
    # opens again.
    with_command_line(tmp_path, work / "masks", resume=True)
    assert masks(work / "masks" / "clip") == second
    write_mask(work / "given" / "00005.png", np.where(square(5), 2, 0).astype(np.uint8))
    again = Session(open_project(work, tmp_path / "clip"), encoder="random:resnet18")
    assert again.state()["fresh"] == [[0, 5]]
    with_command_line(tmp_path, work / "masks", resume=True)
    assert up_to_date(again.project) == set(range(FRAMES))


DISC_IN_FRAME_2 = [{"kind": "click", "x": 30, "y": 30}]


def test_a_cancelled_run_keeps_what_is_done_and_goes_on(
    session: Session, tmp_path: Path, monkeypatch
) -> None:
    mark(session, 0, 1, DISC)
    step = Job.step

    def cancel_after_three(job: Job) -> None:
        if job.done == 2:
            job.cancel()
        step(job)

    monkeypatch.setattr(Job, "step", cancel_after_three)
    session.ready(propagation())
    session.propagate(revision(session))
    session.worker.wait()
    state = session.state()
    assert (state["job"]["state"], state["fresh"]) == ("cancelled", [[0, 3]])
    assert "kept" in state["job"]["message"]
    monkeypatch.undo()

    # As after the end of the program.
    session.close()
    again = Session(open_project(tmp_path / "work", tmp_path / "clip"), encoder="random:resnet18")
    assert again.state()["fresh"] == [[0, 3]]
    assert propagate(again)["total"] == 3
    with_command_line(tmp_path, tmp_path / "other")
    assert masks(tmp_path / "work" / "masks" / "clip") == masks(tmp_path / "other" / "clip")


def test_exports(session: Session, tmp_path: Path) -> None:
    mark(session, 0, 1, DISC)
    session.set_object(revision(session), 1, "red  disc", "#00ff00")
    propagate(session)
    for kind in ("masks", "movie", "soft"):
        session.export(revision(session), kind)
        assert finish(session)["kind"] == kind
    names = session.state()["exports"]
    assert names == {"masks": "clip-masks.zip", "movie": "clip.mp4", "soft": "clip-soft-masks.zip"}

    with zipfile.ZipFile(session.exported("clip-masks.zip")) as archive:
        assert archive.namelist() == ["objects.txt", *(f"{t:05d}.png" for t in range(FRAMES))]
        assert archive.read("objects.txt").decode() == "1\tred disc\t#00ff00\n"
        archive.extract("00003.png", tmp_path)
    assert (read_mask(tmp_path / "00003.png") == session.mask(3)).all()
    movie = open_frames(session.exported("clip.mp4")).read(range(FRAMES))
    assert movie.shape == (FRAMES, HEIGHT, WIDTH, 3)
    red, green, _ = movie[0][disc(0)].mean(0)
    assert green > red  # The object has the colour that it was given.
    with zipfile.ZipFile(session.exported("clip-soft-masks.zip")) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {
            "objects.txt",
            "0-background",
            "1-red-disc",
        }
        with archive.open("1-red-disc/00003.png") as file:
            soft = np.asarray(Image.open(file))
    assert soft[disc(3)].mean() > soft[~disc(3)].mean() + 50
    with pytest.raises(InputError, match="no export"):
        session.exported("../project.json")

    # What was exported before the masks changed is no longer offered.
    write_mask(session.project.results / "00003.png", session.mask(3))
    assert session.state()["exports"] == {}


def test_objects_are_named_removed_and_found_in_given_masks(
    session: Session, tmp_path: Path
) -> None:
    mark(session, 0, 1, DISC)
    mark(session, 1, 2, box_of(square(1)))
    mark(session, 1, 1, [{"kind": "brush", "places": [[10, 10]], "radius": 3}])
    assert session.state()["given"] == {0: [1], 1: [1, 2]}
    session.forget(revision(session), 1, 1)
    session.remove_object(revision(session), 2)
    assert session.state()["given"] == {0: [1]}
    assert [one["name"] for one in session.state()["objects"]] == ["object 1"]
    with pytest.raises(InputError, match="no object 9"):
        session.accept(revision(session), 0, 9, DISC)
    with pytest.raises(InputError, match="mask is empty"):
        session.accept(revision(session), 0, 1, [{"kind": "clear"}])
    for name, colour in (("", None), ("x" * 61, None), (None, "red")):
        with pytest.raises(InputError, match=r"^(name|colour): "):
            session.set_object(revision(session), None, name, colour)

    # A folder without project.json, as somebody makes it for the command line.
    (tmp_path / "work" / "project.json").unlink()
    assert [one["id"] for one in Session(session.project, encoder="x").state()["objects"]] == [1]


def test_painted_masks_stay_what_they_are_when_one_is_added(tmp_path: Path) -> None:
    given = tmp_path / "work" / "given"
    given.mkdir(parents=True)
    for time, colour in ((0, (250, 10, 200)), (3, (10, 250, 20))):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[disc(time) if time == 0 else square(time)] = colour
        Image.fromarray(picture).save(given / f"{time}.png")
    session = Session(open_project(tmp_path / "work", write_clip(tmp_path / "clip")), encoder="x")
    assert session.state()["given"] == {0: [1], 3: [2]}
    session.forget(revision(session), 0, 1)
    assert masks(given).keys() == {"00003.png"}
    assert (read_mask(given / "00003.png") == np.where(square(3), 2, 0)).all()


def test_what_cannot_be_done_now_is_a_conflict(session: Session) -> None:
    old = revision(session)
    with pytest.raises(InputError, match="no object"):
        session.cut(0, 1, DISC)
    mark(session, 0, 1, DISC)
    with pytest.raises(ConflictError, match="Another tab"):
        session.accept(old, 0, 1, DISC)
    with pytest.raises(ConflictError, match="still being loaded"):
        session.propagate(revision(session))
    with pytest.raises(InputError, match="nothing to export"):
        session.export(revision(session), "masks")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda out: out.write_text("x"), "is a file"),
        (lambda out: (out.mkdir(), (out / "holiday.txt").write_text("x")), "other files"),
        (
            lambda out: (out.mkdir(), (out / "propagation.json").write_text("{}")),
            "move it into a new folder",
        ),
        (
            lambda out: (out.mkdir(), (out / "project.json").write_text('{"clip": "cat"}')),
            "project of cat",
        ),
        (lambda out: (out.mkdir(), (out / "project.json").write_text("{")), "is damaged"),
    ],
)
def test_folders_that_are_no_project_of_the_clip(tmp_path: Path, prepare, message: str) -> None:
    prepare(tmp_path / "work")
    with pytest.raises(InputError, match=message):
        open_project(tmp_path / "work", write_clip(tmp_path / "clip"))


def test_masks_of_another_clip_are_refused(tmp_path: Path) -> None:
    (tmp_path / "work" / "given").mkdir(parents=True)
    write_mask(tmp_path / "work" / "given" / "00000.png", np.ones((5, 5), np.uint8))
    with pytest.raises(InputError, match="mask is 5x5 but the frames"):
        Session(open_project(tmp_path / "work", write_clip(tmp_path / "clip")), encoder="x")


def test_stretches() -> None:
    assert stretches([]) == []
    assert stretches({7, 1, 2, 3, 9}) == [[1, 4], [7, 8], [9, 10]]


def test_the_record_of_a_project_is_plain(session: Session, tmp_path: Path) -> None:
    mark(session, 0, 1, DISC)
    kept = json.loads((tmp_path / "work" / "project.json").read_text())
    assert kept["objects"] == [{"id": 1, "name": "object 1", "colour": "#ff5a5f"}]
    assert kept["clip"] == "clip"
