"""Foreground maps of whole folders of videos."""

import json
import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.cli import dispatch
from densevos.data.foreground import maps
from densevos.data.foreground.crf import CrfConfig
from densevos.data.foreground.map_files import MapFolder
from densevos.data.foreground.maps import make_maps
from densevos.data.foreground.probability import ForegroundConfig, foreground_probability, to_map
from tests.densevos.conftest import worker_killed_once, write_frames

Y, X = np.mgrid[:80, :120]
QUICK = ForegroundConfig(method="saliency", short_side=40, crf=None)


def disk(t: int) -> np.ndarray:
    return (Y - 40) ** 2 + (X - 50 - 4 * t) ** 2 <= 18**2


def frame(t: int) -> np.ndarray:
    noise = np.random.default_rng(t).integers(0, 30, (80, 120, 3))
    return (np.where(disk(t)[..., None], (210, 180, 40), (40, 60, 50)) + noise).astype(np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frame folders and a video file, three frames each."""
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for t in range(3):
            Image.fromarray(frame(t)).save(tmp_path / "data" / name / f"{t:05d}.png")
    iio.imwrite(
        tmp_path / "data" / "clip.mp4",
        np.stack([frame(t) for t in range(3)]),
        fps=10,
        codec="libx264",
    )
    return tmp_path / "data"


def maps_of(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))


@pytest.mark.slow
def test_every_frame_gets_a_map_and_a_second_run_goes_on(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    made = make_maps(root, out, QUICK, workers=2)
    assert (made.written, made.kept, made.broken) == (9, 0, ())
    assert maps_of(out) == [
        f"{name}/{t:05d}.png" for name in ("clip", "one", "two") for t in range(3)
    ]
    assert json.loads((out / "foreground.json").read_text())["method"] == "saliency"
    for t in range(3):
        ids = read_mask(out / "one" / f"{t:05d}.png")
        assert ids.shape == (80, 120)  # of the frame, not of the 40 pixels it was computed at
        assert set(np.unique(ids)) <= {0, 1, 255}
        assert ((ids == 1) & disk(t)).sum() / ((ids == 1) | disk(t)).sum() > 0.7

    before = (out / "one" / "00000.png").stat().st_mtime_ns
    (out / "two" / "00001.png").rename(
        out / "two" / ".00001.png.99.part"
    )  # what a killed process leaves
    made = make_maps(root, out, QUICK, workers=1)
    assert (made.written, made.kept) == (1, 8)
    assert (out / "two" / "00001.png").is_file()
    assert (out / "one" / "00000.png").stat().st_mtime_ns == before


@pytest.mark.slow
def test_broken_videos_are_told_and_the_others_finished(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "one" / "00001.png").write_bytes((root / "one" / "00001.png").read_bytes()[:300])
    (root / "clip.mp4").write_text("no video")
    command = (
        f"data foreground {root} --out {tmp_path / 'maps'} --method saliency --no-crf "
        f"--short-side 40 --workers 1"
    )
    assert console.run(lambda: dispatch(command.split())) == 1
    assert maps_of(tmp_path / "maps") == [
        "one/00000.png",
        "one/00002.png",
        *(f"two/{t:05d}.png" for t in range(3)),
    ]
    told = capsys.readouterr().err
    assert "00001.png: image cannot be read" in told
    assert "clip.mp4: video cannot be decoded" in told
    assert "2 videos could not be read completely" in told


@pytest.mark.slow
def test_a_worker_that_dies_costs_some_frames_and_a_second_run_makes_them(
    root: Path, tmp_path: Path
) -> None:
    write_frames(root / "a-long-one", 60)
    out = tmp_path / "maps"
    with worker_killed_once(out / "a-long-one"):
        made = make_maps(root, out, QUICK, workers=1)
    (reason,) = made.broken
    assert reason.startswith(f"{root / 'a-long-one'}: its process died (exit status -9)")
    assert 9 <= made.written < 69
    again = make_maps(root, out, QUICK, workers=1)
    assert (again.kept + again.written, again.broken) == (69, ())


@pytest.mark.slow
def test_maps_made_in_another_way_are_not_mixed(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    make_maps(root, out, QUICK, workers=1)
    other = ForegroundConfig(method="saliency", short_side=48, crf=CrfConfig())
    with pytest.raises(InputError, match=r"made with another crf, short_side .*--overwrite"):
        make_maps(root, out, other)
    (out / "foreground.json").unlink()
    with pytest.raises(InputError, match="not empty; pass --overwrite"):
        make_maps(root, out, QUICK)
    assert make_maps(root, out, QUICK, workers=1, overwrite=True).written == 9


def test_unusable_options_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--workers 0"):
        make_maps(root, tmp_path / "maps", QUICK, workers=0)
    with pytest.raises(InputError, match=r"lies in .*choose another --out"):
        make_maps(root, root / "maps", QUICK)
    with pytest.raises(InputError, match=r"--short-side 8"):
        ForegroundConfig(method="cam", short_side=8)
    with pytest.raises(InputError, match=r"--uncertain 0.5"):
        ForegroundConfig(method="cam", uncertain=0.5)
    with pytest.raises(InputError, match=r"--network vgg16"):
        make_maps(
            root, tmp_path / "maps", ForegroundConfig(method="cam", crf=None, network="vgg16")
        )
    assert not (tmp_path / "maps").exists()


def test_the_crf_sharpens_the_map() -> None:
    found = foreground_probability(frame(0), ForegroundConfig(method="saliency")) > 0.5
    assert (found & disk(0)).sum() / (found | disk(0)).sum() > 0.95


def test_maps_are_resized_before_they_are_cut() -> None:
    probability = np.tile(np.linspace(0, 1, 11, dtype=np.float32), (4, 1))
    ids = to_map(probability, (8, 110), uncertain=0.1)
    assert ids.shape == (8, 110)
    assert [int(ids[0, x]) for x in (0, 40, 55, 70, 109)] == [0, 0, 255, 1, 1]
    assert not (to_map(probability, (8, 110), uncertain=0) == 255).any()


@pytest.mark.slow
def test_maps_of_motion_and_consensus_go_on_too(root: Path, tmp_path: Path) -> None:
    for method in ("motion", "consensus"):
        out, config = tmp_path / method, ForegroundConfig(method=method, crf=None)
        made = make_maps(root, out, config, workers=1)
        assert (made.written, made.kept, made.broken) == (9, 0, ())
        ids = read_mask(out / "one" / "00001.png")
        assert ids.shape == (80, 120)
        assert set(np.unique(ids)) <= {0, 1, 255}

        whole = (out / "one" / "00002.png").read_bytes()
        (out / "one" / "00002.png").unlink()
        made = make_maps(
            root, out, config, workers=1
        )  # the window once more, but only what is missing is written
        assert (made.written, made.kept) == (1, 8)
        assert (out / "one" / "00002.png").read_bytes() == whole


def test_a_window_with_a_broken_frame_is_told(root: Path, tmp_path: Path) -> None:
    (root / "one" / "00001.png").write_bytes((root / "one" / "00001.png").read_bytes()[:300])
    made = make_maps(
        root, tmp_path / "maps", ForegroundConfig(method="motion", crf=None), workers=1
    )
    assert made.written == 6
    (reason,) = made.broken
    assert "00001.png: image cannot be read" in reason


def test_maps_made_before_there_were_encoders_are_gone_on_with(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    make_maps(root, out, QUICK, workers=1)
    record = json.loads((out / "foreground.json").read_text())
    assert record.pop("encoder") is None
    (out / "foreground.json").write_text(json.dumps(record))
    assert make_maps(root, out, QUICK, workers=1).kept == 9


def test_an_encoder_is_for_consensus_alone() -> None:
    with pytest.raises(InputError, match="--encoder: is for --method consensus, not for saliency"):
        ForegroundConfig(method="saliency", encoder="encoder.safetensors")


@pytest.mark.slow
def test_packed_maps_are_the_loose_ones_and_go_on(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    loose, out = tmp_path / "loose", tmp_path / "maps"
    make_maps(root, loose, QUICK, workers=1)
    command = (
        f"data foreground {root} --out {out} --method saliency --no-crf --short-side 40 "
        f"--workers 1 --pack"
    )
    assert console.run(lambda: dispatch([*command.split(), "--shard", "1/2"])) == 0
    assert sorted(file.name for file in out.iterdir()) == ["clip.zip", "foreground.json", "two.zip"]

    # What a killed run left waits to be packed; of what is packed already nothing is made again.
    (out / ".one.part").mkdir()
    (loose / "one" / "00001.png").rename(out / ".one.part" / "00001.png")
    write_frames(tmp_path / "more", 4)
    (tmp_path / "more" / "00003.png").rename(root / "two" / "00003.png")
    Image.fromarray(frame(3)).save(root / "two" / "00003.png")
    assert console.run(lambda: dispatch(command.split())) == 0
    assert "3 maps written, 7 kept" in capsys.readouterr().out
    assert sorted(file.name for file in out.iterdir()) == [
        "clip.zip",
        "foreground.json",
        "one.zip",
        "two.zip",
    ]

    packed = MapFolder(out)
    assert packed.frames("two") == {f"{t:05d}" for t in range(4)}
    for name in ("clip", "two"):
        for t, ids in enumerate(packed.read(name, ["00000", "00001", "00002"])):
            np.testing.assert_array_equal(ids, read_mask(loose / name / f"{t:05d}.png"))
    assert make_maps(root, out, QUICK, workers=1, pack=True).kept == 10


def test_archives_of_maps_are_read_by_name(tmp_path: Path) -> None:
    maps = MapFolder(tmp_path)
    for number in range(3):
        folder = maps.to_be_packed("v") if number < 2 else maps.loose("v")
        folder.mkdir(exist_ok=True)
        write_mask(folder / f"{number}.png", np.full((4, 6), number % 2, np.uint8))
    maps.pack("v")
    assert not maps.to_be_packed("v").exists()
    maps.pack("v")  # nothing waits
    assert maps.frames("v") == {"0", "1", "2"}  # one of them was made before the others were packed
    assert [ids.max() for ids in maps.read("v", ["1", "0", "2"])] == [1, 0, 0]
    with pytest.raises(InputError, match=r"v\.zip/7\.png: mask is missing"):
        maps.read("v", ["7"])

    strange = [np.full((4, 6), 7, np.uint8), np.zeros((4, 6, 3), np.uint8)]
    for name, pixels in zip("ab", strange, strict=True):
        maps.to_be_packed(name).mkdir()
        Image.fromarray(pixels).save(maps.to_be_packed(name) / "0.png")
        maps.pack(name)
    with pytest.raises(InputError, match=r"a\.zip/0\.png: holds 7"):
        maps.read("a", ["0"])
    with pytest.raises(InputError, match=r"b\.zip/0\.png: mask is RGB"):
        maps.read("b", ["0"])
    maps.archive("v").write_bytes(maps.archive("v").read_bytes()[:100])
    with pytest.raises(
        InputError, match=r"v\.zip: archive of maps cannot be read .*remove it and make it again"
    ):
        maps.frames("v")


@pytest.mark.slow
def test_a_video_that_hangs_costs_its_timeout(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    made = make_maps(root, tmp_path / "maps", QUICK, workers=1, timeout=6)
    assert made.written == 9
    (reason,) = made.broken
    assert reason.startswith(f"{root / 'pipe.mp4'}: gave nothing for 6 s")


def test_only_the_windows_of_one_video_wait_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Many:
        names = tuple(f"v{k}" for k in range(500))
        inputs = ()

        def __len__(self) -> int:
            return len(self.names)

        def title(self, index: int) -> str:
            return self.names[index]

    def work(task: maps.Task, on_step, **more) -> maps.Opened | maps.Written | None:
        if isinstance(task, maps.Opening):
            windows = [maps.Window(task.index, task.video, range(3), ((0, "0"),))] * 3
            return maps.Opened(1, tuple(windows), waiting=False)
        return maps.Written(1, None) if isinstance(task, maps.Window) else None

    waiting, packed = [], []

    def one_by_one(function, tasks, *rest, **more):
        for task in tasks:
            packed.extend([task.video] * isinstance(task, maps.Packing))
            yield task, function(task, print)
            waiting.append(len(tasks._added))

    monkeypatch.setattr(maps, "open_source", lambda *_: Many())
    monkeypatch.setattr(maps, "in_processes", one_by_one)
    monkeypatch.setattr(maps, "_work", work)
    made = make_maps(tmp_path / "data", tmp_path / "maps", QUICK, pack=True)
    assert (made.written, made.kept) == (1500, 500)
    assert packed == list(Many.names)
    assert max(waiting) == 3
