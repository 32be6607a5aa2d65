"""The index of videos: made, gone on with, merged, checked, described, trained on."""

import contextlib
import multiprocessing
import os
import pickle
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.packed import PackedStrings
from densevos.base.parallel import DiedError, HungError
from densevos.cli import dispatch
from densevos.config import TrainConfig
from densevos.data import index as index_module
from densevos.data.catalogue.registry import find_layout
from densevos.data.index import make_index, status_of
from densevos.data.probe import probe
from densevos.data.sources.index_file import Status, VideoIndex, merged, read_index, write_index
from densevos.data.sources.indexed import IndexedSource, indexed_source
from densevos.data.sources.open import open_paths, open_source
from densevos.data.stats import ClipNeed, statistics
from tests.densevos.conftest import write_frames
from tests.densevos.data.catalogue import layout_copies as copies

FOLDER = find_layout("folder")
PATIENCE = 6
"""Seconds; a process that is busy importing decoders must not seem to hang."""


def densevos(*arguments: object) -> int:
    return console.run(lambda: dispatch([str(argument) for argument in arguments]))


def an_index(root: Path, rows: dict[str, int], **more) -> VideoIndex:
    """An index of frame folders by path, with their numbers of frames; 0: it cannot be opened."""
    frames = np.array(list(rows.values()), np.int32)
    values = {
        "root": str(root),
        "dataset": "folder",
        "split": "all",
        "paths": PackedStrings.of(rows),
        "folder": np.array([not path.endswith(".mp4") for path in rows]),
        "frames": frames,
        "width": np.full(len(rows), 56, np.int32),
        "height": np.full(len(rows), 40, np.int32),
        "rate": np.full(len(rows), 25, np.float32),
        "status": np.where(frames == 0, np.uint8(Status.UNREADABLE), np.uint8(0)),
        "reasons": PackedStrings.of(
            "" if count else f"{path}: is broken" for path, count in rows.items()
        ),
    }
    return VideoIndex(**{**values, **more})


def statuses(index: VideoIndex) -> dict[str, Status]:
    return {
        path: Status(status)
        for path, status in zip(index.paths, index.status.tolist(), strict=True)
    }


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of frames, a video file, and what can be wrong with others."""
    root = tmp_path / "data"
    write_frames(root / "frames", 9)
    copies.movie(root / "movie.mp4")
    whole = (root / "movie.mp4").read_bytes()
    (root / "garbage.mp4").write_bytes(b"no video" * 100)
    (root / "empty.mp4").touch()
    (root / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (root / os.fsdecode(b"caf\xe9.mp4")).write_bytes(whole)  # not in UTF-8
    os.mkfifo(root / "pipe.mp4")  # reading it would never end
    return root


@pytest.mark.slow
def test_every_video_is_looked_at_and_one_that_hangs_costs_its_timeout(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mixed.npz"
    start = time.monotonic()
    command = (
        "data",
        "index",
        mixed,
        "--dataset",
        "folder",
        "--out",
        out,
        "--workers",
        1,
        "--timeout",
        PATIENCE,
    )
    assert densevos(*command) == 0
    assert time.monotonic() - start < 60
    index = read_index(out)
    bad = {path: status for path, status in statuses(index).items() if status}
    unreadable = dict.fromkeys(("cut.mp4", "empty.mp4", "garbage.mp4"), Status.UNREADABLE)
    assert bad == {**unreadable, "pipe.mp4": Status.HUNG}
    said = capsys.readouterr()
    assert f"broken: {mixed}/pipe.mp4: gave nothing for {PATIENCE} s" in said.err
    assert "4 of 7 videos are left out (3 cannot be opened, 1 took too long)" in said.out

    row = list(index.paths).index("movie.mp4")
    assert (index.frames[row], index.width[row], index.height[row], index.rate[row]) == (
        12,
        48,
        32,
        25,
    )
    row = list(index.paths).index("frames")
    assert (index.frames[row], index.width[row], index.height[row], index.rate[row]) == (
        9,
        56,
        40,
        0,
    )

    # Repeated, it looks only at what could not be used and at what is new.
    (mixed / "garbage.mp4").unlink()
    (mixed / "empty.mp4").unlink()
    (mixed / "pipe.mp4").unlink()
    write_frames(mixed / "added", 3)
    shutil.rmtree(mixed / "frames")
    (mixed / "frames").mkdir()
    (mixed / "frames" / "0.png").touch()  # What is known of it stays.
    assert densevos(*command) == 0
    again = read_index(out)
    assert {Path(path).stem for path in again.paths} == {
        "added",
        os.fsdecode(b"caf\xe9"),
        "cut",
        "frames",
        "movie",
    }
    assert again.frames[list(again.paths).index("frames")] == 9
    assert not list(tmp_path.glob("*.part*"))


@contextlib.contextmanager
def killed_while_reading(pipe: Path) -> Iterator[None]:
    """Kill the processes of this one as soon as one of them reads the pipe, as a decoder that
    crashes would.
    """

    def kill() -> None:
        deadline = time.monotonic() + 60
        opened = None
        while opened is None and time.monotonic() < deadline:
            time.sleep(0.01)
            with contextlib.suppress(OSError):  # nobody reads it yet
                opened = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        for process in multiprocessing.active_children():
            process.kill()
        if opened is not None:
            os.close(opened)

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()


@pytest.mark.slow
def test_a_video_that_kills_its_process_costs_only_itself(tmp_path: Path) -> None:
    for name in ("a", "z"):
        copies.frames(tmp_path / "data" / name, ["0.png"])
    os.mkfifo(tmp_path / "data" / "m.mp4")
    with killed_while_reading(tmp_path / "data" / "m.mp4"):
        index = make_index(tmp_path / "data", FOLDER, tmp_path / "index.npz", workers=1)
    assert statuses(index) == {"a": Status.USABLE, "m.mp4": Status.CRASHED, "z": Status.USABLE}
    assert index.reasons[1].startswith(
        f"{tmp_path / 'data' / 'm.mp4'}: its process died (exit status -9)"
    )


def test_heads_of_truncated_videos_are_not_believed(tmp_path: Path) -> None:
    copies.movie(tmp_path / "movie.mp4", length=25)
    with (
        av.open(str(tmp_path / "movie.mp4")) as given,
        av.open(str(tmp_path / "first.mp4"), "w", options={"movflags": "faststart"}) as made,
    ):
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                made.mux(packet)
    with av.open(str(tmp_path / "first.mp4")) as copied:
        if sum(packet.size > 0 for packet in copied.demux(copied.streams.video[0])) != 25:
            pytest.skip("this version of PyAV does not copy packets whole")
    assert probe(tmp_path / "first.mp4", 0).frames == 25
    whole = (tmp_path / "first.mp4").read_bytes()
    (tmp_path / "first.mp4").write_bytes(whole[:-40])
    assert 0 < probe(tmp_path / "first.mp4", 0).frames < 25


@pytest.mark.slow
def test_a_stopped_index_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    for k in range(6):
        copies.frames(root / f"v{k}", ["0.png", "1.png"])
    whole = make_index(root, FOLDER, tmp_path / "whole.npz", workers=1)

    looked: list[str] = []

    def stopped_after_three(function, items, *rest, **more):
        for item in items:
            if len(looked) == 3:
                raise KeyboardInterrupt
            looked.append(item[1])
            yield item, function(item, print)

    monkeypatch.setattr(index_module, "in_processes", stopped_after_three)
    out = tmp_path / "index.npz"
    with pytest.raises(KeyboardInterrupt):
        make_index(root, FOLDER, out, workers=1)
    assert not out.exists()
    assert len(read_index(tmp_path / "index.part.npz")) == 3
    looked[:] = []
    monkeypatch.setattr(
        index_module,
        "in_processes",
        lambda function, items, *rest, **more: (
            (item, function(item, looked.append(item[1]))) for item in items
        ),
    )
    index = make_index(root, FOLDER, out, workers=1)
    assert looked == ["v3", "v4", "v5"]
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    for name in ("frames", "width", "status"):
        np.testing.assert_array_equal(getattr(index, name), getattr(whole, name))

    # Shards, one after another, are the same as all at once.
    shards = [make_index(root, FOLDER, tmp_path / f"{i}.npz", shard=f"{i}/2") for i in (1, 2)]
    assert [list(shard.paths) for shard in shards] == [["v0", "v2", "v4"], ["v1", "v3", "v5"]]
    assert (
        densevos(
            "data", "merge", tmp_path / "1.npz", tmp_path / "2.npz", "--out", tmp_path / "both.npz"
        )
        == 0
    )
    assert list(read_index(tmp_path / "both.npz").paths) == list(whole.paths)


def test_what_is_no_index_of_this_set_is_refused(tmp_path: Path) -> None:
    copies.frames(tmp_path / "a" / "v", ["0.png"])
    write_index(tmp_path / "other.npz", an_index(tmp_path / "b", {"v": 1}))
    with pytest.raises(
        InputError, match=r"other\.npz: is an index of .*b \(folder, split all\); choose another"
    ):
        make_index(tmp_path / "a", FOLDER, tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"must be called FILE\.npz"):
        make_index(tmp_path / "a", FOLDER, tmp_path / "index")
    with pytest.raises(InputError, match="--timeout: must be above 0"):
        make_index(tmp_path / "a", FOLDER, tmp_path / "index.npz", timeout=0)
    one, two = an_index(tmp_path, {"a": 1, "c": 2}), an_index(tmp_path, {"b": 0, "c": 3})
    with pytest.raises(InputError, match="1 and 2: both hold c"):
        merged([one, two], ["1", "2"])
    with pytest.raises(InputError, match="2: its root is"):
        merged([one, an_index(tmp_path / "x", {"b": 1})], ["1", "2"])
    joined = merged([one, an_index(tmp_path, {"b": 0})], ["1", "2"])
    assert list(joined.paths) == ["a", "b", "c"]
    assert joined.frames.tolist() == [1, 0, 2]
    assert list(joined.reasons) == ["", "b: is broken", ""]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_files_that_are_no_index_are_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "index.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"index\.npz: is no index of videos"):
        open_source(tmp_path / "index.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match=r"other\.npz: is no index of videos"):
        open_source(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"none\.npz: no such index of videos"):
        open_source(tmp_path / "none.npz")


def test_an_index_is_a_source_of_its_usable_videos(videos: Path, tmp_path: Path) -> None:
    file = tmp_path / "index.npz"
    write_index(file, an_index(videos, {"gone": 0, "video0": 9, "video1": 9, "video3": 9}))
    with pytest.warns(UserWarning, match="1 of 4 videos are left out") as warned:
        source = open_source(file)
    assert len(warned) == 1
    assert isinstance(source, IndexedSource)
    plain = open_paths(videos)
    assert list(source.names) == ["video0", "video1", "video3"]
    assert source.names[1:] == ["video1", "video3"]
    assert source.title(2) == plain.title(3)
    np.testing.assert_array_equal(source.open(2).read([3]), plain.open(3).read([3]))
    assert source.inputs == (file, videos)

    copied = pickle.loads(pickle.dumps(source))
    assert copied.title(0) == source.title(0)
    assert copied.identity() == source.identity()
    write_index(file, an_index(videos, {"gone": 1, "video0": 9, "video1": 9, "video3": 9}))
    assert indexed_source(file).identity() != source.identity()


def test_names_are_those_of_a_folder(tmp_path: Path) -> None:
    rows = ["a/x.1", "a/y.mp4", "b/c/img", "b/d/img", "b/z.z.mp4"]
    for path in rows:
        if path.endswith(".mp4"):
            copies.movie(tmp_path / path, length=2)
        else:
            copies.frames(tmp_path / path, ["0.png"])
    write_index(tmp_path / "index.npz", an_index(tmp_path, dict.fromkeys(rows, 1)))
    source = indexed_source(tmp_path / "index.npz")
    assert list(source.names) == open_paths(tmp_path).names == ["x.1", "y", "c-img", "d-img", "z.z"]
    same = an_index(tmp_path, {"a/x.1": 1, "b/b/img": 1, "c/b/img": 1})
    with pytest.raises(InputError, match="b-img: two videos have this name"):
        len(IndexedSource(tmp_path, tmp_path, same).names)


def test_an_index_moves_with_its_folder(videos: Path, tmp_path: Path) -> None:
    write_index(videos / "index.npz", an_index(videos, {"video0": 9}))
    videos.rename(tmp_path / "moved")
    assert indexed_source(tmp_path / "moved" / "index.npz").path(0) == tmp_path / "moved" / "video0"
    (tmp_path / "moved" / "index.npz").rename(tmp_path / "index.npz")
    with pytest.raises(
        InputError, match="video0, which does not exist; if the data moved, put the index into"
    ):
        indexed_source(tmp_path / "index.npz")
    write_index(tmp_path / "broken.npz", an_index(videos, {"video0": 0}))
    with pytest.raises(InputError, match="none of its 1 videos is usable"):
        indexed_source(tmp_path / "broken.npz")


@pytest.mark.slow
def test_checking_decodes_and_marks_what_is_broken(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "index.npz", tmp_path / "checked.npz"
    write_index(file, an_index(videos, {f"video{k}": 9 for k in range(4)}))
    (videos / "video1" / "00004.png").write_bytes(
        b"cut"
    )  # the middle one of five that are looked at
    (videos / "video2" / "00008.png").unlink()  # one fewer than the index says
    assert densevos("data", "check", file, "--all", "--workers", 1) == 2
    said = capsys.readouterr().err
    assert "video1/00004.png: image cannot be read" in said
    assert "1 of 4 videos are broken; pass --out to mark them" in said

    assert densevos("data", "check", file, "--all", "--workers", 1, "--out", out) == 0
    assert "4 videos decoded, 1 of them broken" in capsys.readouterr().out
    checked = read_index(out)
    assert statuses(checked)["video1"] == Status.DAMAGED
    assert checked.frames.tolist() == [9, 9, 8, 9]
    assert len(indexed_source(out)) == 3
    assert densevos("data", "check", out, "--sample", 2, "--workers", 1) == 0
    assert "2 videos decoded, none of them broken" in capsys.readouterr().out
    assert densevos("data", "check", out, "--sample", 0) == 2


def test_statistics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"a": 9, "b": 40, "c": 0, "d": 100, "e": 3}
    index = an_index(tmp_path, rows, rate=np.array([25, 30, 25, 25, 0], np.float32))
    described = dict(statistics(index, ClipNeed(recipe="dul_ytvos", frames=5, gap=2)))
    assert described["videos"] == "5, 4 of them usable"
    assert described["frames"] == "152"
    assert described["frames of a video"] == "3 to 100, median 24"
    assert described["sizes"] == "56x40 (4)"
    assert described["frames per second"] == "25 (2), 30 (1)"
    assert described["hours"].endswith("of 3 videos whose rate is known")
    assert described["shorter than 5"].startswith("1 ")
    assert described["shorter than 10"].startswith("2 ")
    assert described["cannot be opened"] == "1"

    write_index(tmp_path / "index.npz", index)
    assert densevos("data", "stats", tmp_path / "index.npz", "--recipe", "dul_kinetics") == 0
    assert "shorter than 50" in capsys.readouterr().out
    assert densevos("data", "stats", tmp_path / "index.npz", "--recipe", "mug_small") == 2
    assert densevos("data", "layouts") == 0
    assert "trackingnet: TrackingNet, 30,132 videos" in capsys.readouterr().out
    write_index(tmp_path / "nothing.npz", an_index(tmp_path, {"a": 0}, dataset="oxuva"))
    assert densevos("data", "stats", tmp_path / "nothing.npz") == 0
    assert "clip of dul_oxuva" in capsys.readouterr().out


@pytest.mark.slow
def test_list_is_in_order_and_opens_nothing_of_an_index(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert densevos("data", "list", mixed, "--workers", 2, "--timeout", PATIENCE) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7].strip() for line in lines] == ["12", "-", "-", "9", "-", "12", "-"]
    write_index(tmp_path / "index.npz", an_index(mixed, {"garbage.mp4": 7}))
    assert densevos("data", "list", tmp_path / "index.npz") == 0
    assert capsys.readouterr().out == f"      7  {mixed / 'garbage.mp4'}\n"


def test_why_a_video_has_no_outcome() -> None:
    outcomes = (HungError("x"), DiedError("x"), InputError("x"))
    assert [status_of(outcome) for outcome in outcomes] == [
        Status.HUNG,
        Status.CRASHED,
        Status.UNREADABLE,
    ]


def test_packed_strings() -> None:
    texts = ["a", "", os.fsdecode(b"\xe9"), "ü/x"]
    packed = PackedStrings.of(texts)
    assert list(packed) == texts
    assert (len(packed), packed[3], list(packed[1:3])) == (4, "ü/x", texts[1:3])
    with pytest.raises(IndexError):
        packed[4]


def test_training_takes_an_index(videos: Path, tmp_path: Path, tiny: TrainConfig) -> None:
    from densevos.methods.self_training import prepare

    write_index(tmp_path / "index.npz", an_index(videos, {f"video{k}": 9 for k in range(4)}))
    job = prepare(TrainConfig(**{**vars(tiny), "data": tmp_path / "index.npz"}))
    assert job.data.videos == 4
    assert len(job.rounds[0].data(tmp_path)[0, 2].frames) == 2
