"""Packed videos: shards that any program reads as tar files, and clips at random places of them."""

import itertools
import json
import os
import pickle
import re
import shutil
import tarfile
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos import cli
from densevos.base import console
from densevos.base.errors import InputError
from densevos.config import ClipConfig
from densevos.data.clips import ClipDataset
from densevos.data.packing import PackConfig, PackResult, pack_videos
from densevos.data.sources.open import open_source
from densevos.data.sources.shard_index import INDEX, RECORD, SETTINGS, read_index, write_index
from densevos.data.sources.shards import ShardSource, open_shards
from densevos.data.sources.source import frame_rate, iterate_frames
from densevos.data.sources.video import open_frames
from densevos.data.sources.video_index import frame_index
from densevos.data.sources.video_proof import proved_times
from tests.densevos.conftest import write_frames
from tests.densevos.data.sources.test_video_file import X264, encode, number_of

VIDEOS = ["a", "bad", "b", "c"]
CLIPS = ClipConfig(frames=3, size=32, short_side=(32, 40), gap=2)


def pack(source: Path, out: Path, **changes) -> PackResult:
    """Pack videos in one process; `changes` are settings of PackConfig, or arguments of
    pack_videos.
    """
    settings = {"format": "jpeg", "short_side": 36, "every": 1, "shard_size": 2, **changes}
    config = PackConfig(**{field.name: settings.pop(field.name) for field in fields(PackConfig)})
    return pack_videos(source, out, config, **{"workers": 1, **settings})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frame folders, a video file and a broken one, listed; packed as JPEG frames and as
    clips.
    """
    folder = tmp_path_factory.mktemp("packed")
    write_frames(folder / "a", 9, seed=0)
    write_frames(folder / "c", 7, seed=1)
    encode(folder / "b.mp4", *X264, "-g", "250", frames=30, size=(72, 150))
    (folder / "bad.mp4").write_text("no video")
    (folder / "list.txt").write_text("a\nbad.mp4\nb.mp4\nc\n")
    for format in ("jpeg", "clips"):
        pack(folder / "list.txt", folder / format, format=format)
    return folder


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies of the packed videos, to be damaged."""
    return lambda format: Path(shutil.copytree(folder / format, tmp_path / format))


@pytest.mark.parametrize("format", ["jpeg", "clips"])
def test_any_frames_of_any_video(folder: Path, format: str) -> None:
    source = pickle.loads(pickle.dumps(open_source(folder / format)))
    assert source.names == ["a", "b", "c"]
    assert source.inputs == (folder / format,)
    assert source.title(1) == f"{folder / format}/shard-00001.tar:b"
    for index, path in enumerate(("a", "b.mp4", "c")):
        reader, original = source.open(index), open_frames(folder / path)
        assert reader.names == original.names
        assert len(reader) == len(original)
        in_order = np.stack(list(iterate_frames(reader)))
        np.testing.assert_array_equal(source.open(index).read([5, 0, 6, 0]), in_order[[5, 0, 6, 0]])
        shrunk = [
            Image.fromarray(f).resize(in_order.shape[2:0:-1])
            for f in original.read(range(len(original)))
        ]
        brightness = [
            np.asarray(image.convert("L"), int)
            for image in (*map(Image.fromarray, in_order), *shrunk)
        ]
        packed, expected = np.array_split(np.stack(brightness), 2)  # Colours are subsampled.
        assert abs(packed - expected).mean() < 8
    assert [number_of(frame) for frame in source.open(1).read([29, 3, 17])] == [29, 3, 17]
    assert frame_rate(source.open(1)) == pytest.approx(25)
    assert source.open(0).seconds() is None
    with pytest.raises(IndexError):
        source.open(0).read([9])


@pytest.mark.parametrize(("format", "size"), [("jpeg", (75, 36)), ("clips", (74, 36))])
def test_the_index_tells_sizes_and_lengths(
    folder: Path, format: str, size: tuple[int, int]
) -> None:
    index = read_index(folder / format / INDEX)
    assert index.frames.tolist() == [9, 30, 7]
    assert index.key.tolist() == [0, 2, 3]
    assert index.shard.tolist() == [0, 1, 1]
    assert (index.width[1], index.height[1]) == size
    assert json.loads((folder / format / RECORD).read_text())["broken"][0].startswith(
        f"{folder}/bad.mp4: video cannot"
    )


def test_clips_begin_a_group_every_12_frames_and_may_be_read_in_any_order(
    folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(folder / "clips" / "shard-00001.tar") as shard:
        assert shard.getnames() == [
            "00000002.mp4",
            "00000002.json",
            "00000003.mp4",
            "00000003.json",
        ]
        member = shard.extractfile("00000002.mp4")
        assert member is not None
        (tmp_path / "00000002.mp4").write_bytes(member.read())
    assert proved_times(tmp_path / "00000002.mp4") is not None
    assert frame_index(tmp_path / "00000002.mp4").keys.tolist() == [0, 12, 24]


def test_tar_reads_every_frame(folder: Path) -> None:
    with tarfile.open(folder / "jpeg" / "shard-00000.tar") as shard:
        *frames, about = shard.getnames()
        assert frames == [f"00000000.{number:05d}.jpg" for number in range(9)]
        told = json.load(shard.extractfile(about))
        assert (told["name"], told["names"][8], len(told["sizes"])) == ("a", "00008", 9)
        first = Image.open(shard.extractfile(frames[0]))
        reader = open_source(folder / "jpeg").open(0)
        np.testing.assert_array_equal(np.asarray(first), reader.read([0])[0])


@pytest.mark.parametrize(
    ("format", "members"), [("jpeg", ["00009.jpg", "json"]), ("clips", ["mp4", "json"])]
)
def test_members_of_a_video_share_a_key_as_webdataset_finds_it(
    folder: Path, format: str, members: list[str]
) -> None:
    with tarfile.open(folder / format / "shard-00001.tar") as shard:
        keys = [
            re.fullmatch(r"((?:.*/|)[^.]+)[.]([^/]*)", name).groups() for name in shard.getnames()
        ]
    grouped = [
        (key, [suffix for _, suffix in group])
        for key, group in itertools.groupby(keys, key=itemgetter(0))
    ]
    assert [key for key, _ in grouped] == ["00000002", "00000003"]
    assert set(members) <= set(grouped[0][1])


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_stopped_command_goes_on(folder: Path, copied: Callable[[str], Path]) -> None:
    shards = copied("jpeg")
    for name in ("shard-00001.json", RECORD, INDEX):
        (shards / name).unlink()
    (shards / "shard-00001.tar").write_bytes(b"an older one")
    with pytest.raises(InputError, match="packing is not finished; repeat `densevos data pack`"):
        open_source(shards)
    before = (shards / "shard-00000.tar").stat().st_mtime_ns
    assert pack(folder / "list.txt", shards).packed == 3
    assert contents(shards) == contents(folder / "jpeg")
    assert (shards / "shard-00000.tar").stat().st_mtime_ns == before


def test_several_machines_share_the_work(folder: Path, tmp_path: Path) -> None:
    first = pack(folder / "list.txt", tmp_path / "shards", shard="1/2")
    assert first == PackResult(packed=1, broken=first.broken, missing=1)
    assert pack(folder / "list.txt", tmp_path / "shards", shard="2/2").missing == 0
    assert contents(tmp_path / "shards") == contents(folder / "jpeg")


def test_every_other_frame_keeps_its_name(folder: Path, tmp_path: Path) -> None:
    arguments = [
        "data",
        "pack",
        folder / "b.mp4",
        "--out",
        tmp_path / "shards",
        "--format",
        "clips",
        "--every",
        "3",
    ]
    options = [
        "--short-side",
        "24",
        "--shard-size",
        "1",
        "--workers",
        "1",
        "--shard",
        "1/1",
        "--timeout",
        "100",
    ]
    assert (
        console.run(lambda: cli.dispatch([str(argument) for argument in (*arguments, *options)]))
        == 0
    )
    source = open_source(tmp_path / "shards")
    reader = source.open(0)
    assert reader.names[:3] == ["00000", "00003", "00006"]
    assert number_of(reader.read([4])[0]) == 12
    assert reader.read([0]).shape == (1, 24, 50, 3)
    assert frame_rate(reader) == pytest.approx(25 / 3, rel=1e-3)


@pytest.mark.slow
def test_a_video_that_hangs_is_left_out(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "list.txt").write_text(f"pipe.mp4\n{folder / 'c'}\n")
    result = pack(tmp_path / "list.txt", tmp_path / "shards", workers=2, timeout=8)
    assert open_source(tmp_path / "shards").names == ["c"]
    (line,) = result.broken
    assert line.startswith(f"{tmp_path}/pipe.mp4: ")
    assert "nothing for 8 s" in line


def test_the_identity_is_of_what_was_packed(folder: Path, copied: Callable[[str], Path]) -> None:
    jpeg = open_shards(folder / "jpeg")
    assert jpeg.identity() == open_shards(copied("jpeg")).identity()
    assert jpeg.identity() != open_shards(folder / "clips").identity()


def lines_left_out(source: ShardSource) -> list[str]:
    """Why videos are left out, one line each, once every video was asked for."""
    dataset = ClipDataset(source, CLIPS, seed=0)
    reasons: set[str] = set()
    for index in range(len(source)):
        clip = dataset[0, index]
        assert clip.frames.shape == (3, 3, 32, 32)
        reasons.update(clip.skipped)
    assert all("\n" not in reason for reason in reasons)
    return sorted(reasons)


@pytest.mark.parametrize("format", ["jpeg", "clips"])
def test_a_truncated_shard_costs_the_videos_that_it_lost(
    copied: Callable[[str], Path], format: str
) -> None:
    shards = copied(format)
    index = read_index(shards / INDEX)
    shard = shards / "shard-00001.tar"
    shard.write_bytes(shard.read_bytes()[: index.start[2] + 100])
    with pytest.warns(
        UserWarning,
        match=r"shard-00001\.tar: shard is truncated to \d+ bytes, 1 of its 2 videos are",
    ):
        source = open_source(shards)
    (line,) = lines_left_out(source)
    assert line.startswith(f"{shard}:c: shard is truncated (")
    shard.unlink()
    with pytest.warns(
        UserWarning, match=r"shard-00001\.tar: shard is missing, 2 of its 2 videos are left out"
    ):
        source = open_source(shards)
    assert [line.partition(": shard cannot be read")[0] for line in lines_left_out(source)] == [
        f"{shard}:b",
        f"{shard}:c",
    ]


@pytest.mark.parametrize("format", ["jpeg", "clips"])
@pytest.mark.parametrize("place", ["start", "about"])
def test_a_shard_replaced_by_garbage_in_mid_run(
    copied: Callable[[str], Path], format: str, place: str
) -> None:
    shards = copied(format)
    source = open_source(shards)
    index = source.index
    assert lines_left_out(source) == []
    begin, stop = (
        (index.start[1], index.about[1]) if place == "start" else (index.about[1], index.stop[1])
    )
    content = bytearray((shards / "shard-00001.tar").read_bytes())
    content[begin:stop] = np.random.default_rng(0).bytes(stop - begin)
    (shards / "shard-00001.tar").write_bytes(content)
    (line,) = lines_left_out(source)
    assert line.startswith(f"{shards}/shard-00001.tar:b: shard does not match its index (")


@pytest.mark.parametrize("format", ["jpeg", "clips"])
def test_damaged_members_are_refused_by_name(copied: Callable[[str], Path], format: str) -> None:
    shards = copied(format)
    source = open_source(shards)
    start, about = int(source.index.start[1]), int(source.index.about[1])
    content = bytearray((shards / "shard-00001.tar").read_bytes())
    for block in range(start, about, 512):
        if content[block : block + 9] != b"00000002.":  # Headers stay.
            content[block : block + 512] = bytes(512)
    (shards / "shard-00001.tar").write_bytes(content)
    (line,) = lines_left_out(source)
    assert line.startswith(f"{shards}/shard-00001.tar:b: ")
    assert "cannot be" in line


def test_a_video_file_replaced_by_garbage_in_mid_run(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copy(folder / "b.mp4", tmp_path / f"{name}.mp4")
    source = open_source(tmp_path)
    assert lines_left_out(source) == []
    (tmp_path / "two.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (line,) = lines_left_out(source)
    assert line.startswith(f"{tmp_path}/two.mp4: video cannot be decoded")


def test_an_index_of_other_shards_is_noticed(copied: Callable[[str], Path]) -> None:
    shards = copied("jpeg")
    index = read_index(shards / INDEX)
    write_index(shards / INDEX, replace(index, start=index.start + 512))
    with pytest.raises(
        InputError, match=r"shard-00000\.tar:a: shard does not match its index \(sizes of frames\)"
    ):
        open_source(shards).open(0)
    write_index(shards / INDEX, replace(index, about=index.about + 10**9, stop=index.stop + 10**9))
    with pytest.warns(UserWarning, match="shard is truncated"):
        source = open_source(shards)
    with pytest.raises(InputError, match=r"shard-00000\.tar:a: shard is truncated"):
        source.open(0)


def spoil(name: str, content: str) -> Callable[[Path], object]:
    return lambda shards: (shards / name).write_text(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (spoil(INDEX, "none"), r"index\.npz: index of shards cannot be read"),
        (spoil(RECORD, "none"), r"shards\.json: is no record of shards"),
        (spoil(RECORD, "[]"), r"shards\.json: is no record of shards"),
        (
            spoil(RECORD, '{"version": 2, "format": "jpeg"}'),
            "format jpeg in version 2 is not known here",
        ),
        (lambda shards: (shards / RECORD).unlink(), "packing is not finished"),
    ],
)
def test_folders_that_cannot_be_opened(
    copied: Callable[[str], Path], damage: Callable[[Path], object], message: str
) -> None:
    shards = copied("jpeg")
    damage(shards)
    with pytest.raises(InputError, match=message), warnings.catch_warnings():
        open_source(shards)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"short_side": 24},
            r"was packed with another short_side \(pack\.json\); choose another --out",
        ),
        ({"short_side": 0}, "--short-side 0: must be at least 1"),
        ({"timeout": 0}, "--timeout: must be above 0 seconds"),
        ({"every": 0}, "--every 0: must be at least 1"),
        ({"shard_size": 0}, "--shard-size 0: must be at least 1"),
        ({"shard": "3/2"}, "--shard 3/2: must be I/N"),
        (
            {"shard": "1/2", "overwrite": True},
            "--overwrite: would delete the shards of other commands",
        ),
    ],
)
def test_what_cannot_be_packed(
    copied: Callable[[str], Path], folder: Path, settings: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        pack(folder / "list.txt", copied("jpeg"), **settings)


def test_videos_of_which_none_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(
        InputError, match=r"none of its 1 videos can be read; the first: .*bad\.mp4: video cannot"
    ):
        pack(tmp_path / "bad.mp4", tmp_path / "shards")
    (tmp_path / "shards" / SETTINGS).write_text("[]")
    with pytest.raises(InputError, match=r"pack\.json: is no record of packing"):
        pack(tmp_path / "bad.mp4", tmp_path / "shards")
