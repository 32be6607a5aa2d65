"""Semantic segmentation from a trained network to masks, overlays and scores, as a user does it."""

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, read_mask, write_mask
from densevos.config.image_to_video import NetworkConfig
from densevos.data.sources.frame_folder import FolderReader
from densevos.models.encoder import normalise
from densevos.models.segmentation.base import SegmentationNetwork
from densevos.models.segmentation.network import make_network, save_network
from densevos_eval import cli
from densevos_eval.drawing.legend import LINE, legend
from densevos_eval.drawing.overlay import overlay
from densevos_eval.runs.runner import write_all
from densevos_eval.segmentation.classifier import (
    Classifier,
    class_of_pixels,
    clip_of,
    groups,
    load_classifier,
    model_file,
    seen_size,
)
from densevos_eval.segmentation.options import (
    NetworkOptions,
    Pictures,
    SegmentationInput,
    ids_by_name,
)
from densevos_eval.segmentation.segment import SemanticSegmentation
from densevos_eval.sequences.sequence import VideoSequence
from tests.densevos.data.segmentation import segmentation_copies as copies

CLASSES = ("red", "green", "blue")
CPU = torch.device("cpu")
COLOURS = np.array([(230, 10, 10), (10, 230, 10), (10, 10, 230)], np.uint8)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class ByColour(SegmentationNetwork):
    """The class of a pixel is its strongest colour; keeps what it saw."""

    head_name = ""

    def __init__(self, clip_frames: int = 1):
        super().__init__(3, {"stage4": (3, 32)})
        self.clip_frames = clip_frames
        self.seen: list[Tensor] = []

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        self.seen.append(frames)
        return {"global": F.avg_pool2d(frames.flatten(0, 1), 4).unflatten(0, frames.shape[:2])}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["global"]


def by_colour(clip_frames: int = 1, size: int = 64, gap: int = 1) -> Classifier:
    return Classifier(ByColour(clip_frames), CLASSES, size, CPU, gap=gap)


def blocks(name: str, height: int = 60, width: int = 90) -> np.ndarray:
    """Ids [H,W] in 2 x 3 blocks."""
    few = np.random.default_rng(list(name.encode())).integers(0, 3, (2, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.NEAREST))


def write_set(root: Path, clips: Mapping[str, list[str]]) -> None:
    """A `folder` set of coloured blocks, split val: images for clip "", else a folder of frames
    each.
    """
    for clip, names in clips.items():
        for name in names:
            for kind in ("images", "masks"):
                (root / kind / "val" / clip).mkdir(parents=True, exist_ok=True)
            ids = blocks(clip + name)
            Image.fromarray(COLOURS[ids]).save(root / "images" / "val" / clip / f"{name}.png")
            write_mask(root / "masks" / "val" / clip / f"{name}.png", ids)
    (root / "classes.txt").write_text("\n".join(CLASSES))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", {"": ["a", "b", "c"]})
    return tmp_path / "set"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    write_set(
        tmp_path / "clips", {"one": [f"{t:05d}" for t in range(6)], "two": ["00000", "00001"]}
    )
    (tmp_path / "clips" / "masks" / "val" / "one" / "00003.png").unlink()
    return tmp_path / "clips"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a CNN of random weights."""
    config = NetworkConfig(architecture="deeplabv3", backbone="resnet18")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_network(
        file, make_network(config, 3), config=config, classes=CLASSES, size=64, training={}
    )
    return file.parent


def run(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


def segment(root: Path, out: Path, model: Path, **more: bool) -> dict:
    return write_all(
        sequences_of(root), writer(root, model, overlays=more.pop("overlays", False)), out, **more
    )


def sequences_of(root: Path, **more: str) -> list[VideoSequence]:
    return Pictures(set=f"folder:{root}", **more).load().sequences


def writer(
    root: Path, model: Path, *, size: int = 64, overlays: bool = False, **more: str
) -> SemanticSegmentation:
    material = Pictures(set=f"folder:{root}", **more).load()
    file = model / "model.safetensors"
    return SemanticSegmentation(
        classifier=by_colour(size=size), model=file, material=material, overlays=overlays
    )


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((360, 480), (160, 224)),
        ((480, 360), (224, 160)),
        ((160, 160), (160, 160)),
        ((9, 9), (160, 160)),
    ],
)
def test_the_short_side_is_that_of_training(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert seen_size(size, 160) == seen


@given(
    count=st.integers(1, 30),
    clip=st.integers(1, 5),
    gap=st.integers(1, 4),
    batch=st.integers(1, 4),
    data=st.data(),
)
def test_every_wanted_frame_is_told_once(
    count: int, clip: int, gap: int, batch: int, data: st.DataObject
) -> None:
    wanted = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    read = list(groups(count, clip, wanted, gap=gap, batch=batch))
    told = [index for _, kept in read for _, index in kept]
    assert (told if clip == 1 or gap == 1 else sorted(told)) == wanted
    for indices, kept in read:
        assert all(indices[place] == index for place, index in kept)
        assert max(indices) < count
        if clip > 1 and count > 1:
            assert len(indices) == clip


@given(count=st.integers(2, 30), clip=st.integers(2, 5), gap=st.integers(1, 4), data=st.data())
def test_a_frame_is_in_the_same_clip_whatever_else_is_wanted(
    count: int, clip: int, gap: int, data: st.DataObject
) -> None:
    wanted = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    clips = {
        index: indices
        for indices, kept in groups(count, clip, range(count), gap=gap)
        for _, index in kept
    }
    for indices, kept in groups(count, clip, wanted, gap=gap):
        assert all(clips[index] == indices for _, index in kept)


@given(count=st.integers(4, 60), clip=st.integers(2, 5), gap=st.integers(1, 6), data=st.data())
def test_frames_of_a_clip_are_as_far_apart_as_in_training(
    count: int, clip: int, gap: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, count - 1))
    indices = clip_of(index, count, clip, gap)
    assert index in indices
    if count >= clip:
        (step,) = set(np.diff(indices).tolist())
        assert step <= gap
        # Training takes the widest step at which some clip around the frame lies within the video.
        assert step == gap or all(
            index % wider + (clip - 1) * wider >= count for wider in range(step + 1, gap + 1)
        )


def test_clips_interlace() -> None:
    clips = [indices for indices, _ in groups(18, 4, range(18), gap=2)]
    assert clips == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
        [8, 10, 12, 14],
        [9, 11, 13, 15],
        [10, 12, 14, 16],
        [11, 13, 15, 17],
    ]
    assert [indices for indices, _ in groups(6, 4, range(6), gap=2)] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert [indices for indices, _ in groups(7, 4, [1, 2], gap=2)] == [[0, 1, 2, 3], [0, 2, 4, 6]]


@pytest.mark.parametrize("classes", [1, 8, 19, 150])
def test_a_few_classes_at_a_time_are_as_good_as_all(classes: int) -> None:
    logits = torch.randn(classes, 6, 9, generator=torch.Generator().manual_seed(classes))
    logits[: classes // 2] = logits[classes // 2 : 2 * (classes // 2)]  # of equals the first
    for size in ((6, 9), (45, 70), (4, 5)):
        large = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
        assert torch.equal(class_of_pixels(logits, size), large.argmax(dim=0).to(torch.uint8))


def test_classes_are_told_at_the_size_of_the_frames(clips: Path) -> None:
    reader = FolderReader(clips / "images" / "val" / "one")
    found = dict(by_colour()(reader, [1, 4]))
    assert list(found) == [1, 4]
    for index, mask in found.items():
        truth = blocks(f"one{index:05d}")
        assert mask.shape == truth.shape
        assert mask.dtype == np.uint8
        assert np.mean(mask == truth) > 0.93  # all but the borders of blocks


def test_a_network_of_clips_sees_clips(clips: Path) -> None:
    classifier = by_colour(clip_frames=4)
    long, short = (FolderReader(clips / "images" / "val" / name) for name in ("one", "two"))
    every, single = dict(classifier(long, range(6))), dict(by_colour()(long, range(6)))
    for index in range(6):
        np.testing.assert_array_equal(every[index], single[index])
    assert [seen.shape for seen in classifier.network.seen] == [(1, 4, 3, 64, 96)] * 2
    classifier.network.seen.clear()
    assert list(dict(classifier(short, [0, 1]))) == [0, 1]
    (seen,) = classifier.network.seen
    torch.testing.assert_close(seen[0, 2], seen[0, 1])
    torch.testing.assert_close(seen[0, 3], seen[0, 1])


def test_the_gap_is_that_of_the_models_card(tmp_path: Path) -> None:
    sizes = {"embed_dim": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "hidden": 8}
    config = NetworkConfig(architecture="video_swin", clip_frames=2, **sizes)
    for training, gap in (({"config": {"clips": {"gap": 3}}}, 3), ({}, 1)):
        file = tmp_path / f"{gap}.safetensors"
        save_network(
            file,
            make_network(config, 3),
            config=config,
            classes=CLASSES,
            size=64,
            training=training,
        )
        classifier = load_classifier(file, CPU)
        assert classifier.gap == gap
        material = SegmentationInput(sequences=[], open={})
        assert (
            SemanticSegmentation(classifier=classifier, model=file, material=material).settings()[
                ""
            ]["gap"]
            == gap
        )
    assert (
        "gap"
        not in SemanticSegmentation(
            classifier=by_colour(), model=file, material=material
        ).settings()[""]
    )


def test_a_network_of_clips_sees_them_with_their_gap(clips: Path) -> None:
    classifier, reader = (
        by_colour(clip_frames=3, gap=2),
        FolderReader(clips / "images" / "val" / "one"),
    )
    every, single = dict(classifier(reader, range(6))), dict(by_colour()(reader, range(6)))
    for index in range(6):
        np.testing.assert_array_equal(every[index], single[index])
    first, second = (seen[0] for seen in classifier.network.seen)
    alone = by_colour()
    dict(alone(reader, range(6)))
    torch.testing.assert_close(first, alone.network.seen[0][0, [0, 2, 4]])
    torch.testing.assert_close(second, alone.network.seen[0][0, [1, 3, 5]])


def test_an_image_is_a_clip_with_empty_frames(images: Path) -> None:
    """As in training, where those are zeros after normalisation."""
    classifier = by_colour(clip_frames=4)
    work = Pictures(set=f"folder:{images}").load()
    ((index, mask),) = classifier(work.open["a"](), [0])
    assert (index, mask.shape) == (0, (60, 90))
    (seen,) = classifier.network.seen
    assert not seen[0, 1:].any()
    picture = torch.from_numpy(COLOURS[blocks("a")]).permute(2, 0, 1).float() / 255
    assert seen[0, 0].mean() == pytest.approx(float(normalise(picture).mean()), abs=0.02)


def test_masks_of_images(images: Path, model: Path, tmp_path: Path) -> None:
    assert segment(images, tmp_path / "out", model) == {}
    told = json.loads((tmp_path / "out" / "segment.json").read_text())
    assert told["classes"] == list(CLASSES)
    assert (told["dataset"], told["split"], told["frames"], told["size"]) == (
        "folder",
        "val",
        "labelled",
        64,
    )
    for name in ("a", "b", "c"):
        with Image.open(tmp_path / "out" / name / f"{name}.png") as mask:
            assert (mask.mode, mask.size) == ("P", (90, 60))
            assert mask.getpalette()[:9] == PALETTE[:3].ravel().tolist()
            assert np.mean(np.asarray(mask) == blocks(name)) > 0.93
    assert not (tmp_path / "out" / "overlays").exists()


def test_of_clips_the_labelled_frames_or_all(clips: Path, model: Path, tmp_path: Path) -> None:
    segment(clips, tmp_path / "out", model)
    written = sorted(file.stem for file in (tmp_path / "out" / "one").iterdir())
    assert written == ["00000", "00001", "00002", "00004", "00005"]
    shutil.rmtree(clips / "masks")
    write_all(
        sequences_of(clips, frames="all"), writer(clips, model, frames="all"), tmp_path / "all"
    )
    assert len(list((tmp_path / "all" / "one").iterdir())) == 6
    same = (read_mask(tmp_path / out / "one" / "00004.png") for out in ("out", "all"))
    np.testing.assert_array_equal(*same)


def test_overlays_are_frames_with_a_legend(images: Path, model: Path, tmp_path: Path) -> None:
    segment(images, tmp_path / "out", model, overlays=True)
    with Image.open(tmp_path / "out" / "overlays" / "a" / "a.jpg") as picture:
        assert picture.width == 90
        assert picture.height > 60 + LINE
    assert segment(images, tmp_path / "out", model, resume=True) == {}


def test_resume_goes_on_and_overwrite_begins_anew(
    images: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segment(images, out, model)
    times = {name: (out / name / f"{name}.png").stat().st_mtime_ns for name in "abc"}
    (out / "b" / "b.png").write_bytes(b"spoilt")
    with pytest.raises(InputError, match="holds a run; pass --resume"):
        segment(images, out, model)
    counted: list[str] = []
    write_all(sequences_of(images), writer(images, model), out, resume=True, on_step=counted.append)
    assert sorted(counted) == ["a", "b", "c"]
    assert (out / "a" / "a.png").stat().st_mtime_ns == times["a"]
    assert read_mask(out / "b" / "b.png").shape == (60, 90)
    segment(images, out, model, overwrite=True)
    assert (out / "a" / "a.png").stat().st_mtime_ns != times["a"]


def test_resume_refuses_other_settings_and_other_images(
    images: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segment(images, out, model)
    sequences = sequences_of(images)
    with pytest.raises(InputError, match=r"segment\.json: has size 64, not 32; pass the same"):
        write_all(sequences, writer(images, model, size=32), out, resume=True)
    Image.new("RGB", (90, 60)).save(images / "images" / "val" / "a.png")
    with pytest.raises(InputError, match="was made from other frames"):
        write_all(sequences, writer(images, model), out, resume=True)


def test_one_bad_image_does_not_end_the_others(
    images: Path, model: Path, tmp_path: Path, capsys
) -> None:
    (images / "images" / "val" / "b.png").write_bytes(b"no image")
    where = (
        "--set",
        f"folder:{images}",
        "--model",
        model,
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    )
    assert run("segment", *where) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"b: {images / 'images' / 'val' / 'b.png'}: image cannot be read")
    assert lines[1].startswith("error: 1 of 3 sequences have no result")
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name[0] != ".") == [
        "a",
        "c",
        "segment.json",
    ]


@pytest.mark.slow
def test_another_process_writes_the_same(clips: Path, model: Path, tmp_path: Path) -> None:
    material = Pictures(set=f"folder:{clips}").load()
    file = model / "model.safetensors"
    load = partial(
        SemanticSegmentation.loaded, "cpu", options=NetworkOptions(model=file), material=material
    )
    for out, loads in (("one", ()), ("two", (load,))):
        assert write_all(material.sequences, load(), tmp_path / out, loads=loads) == {}
    for mask in (tmp_path / "one").glob("*/*.png"):
        np.testing.assert_array_equal(
            read_mask(mask), read_mask(tmp_path / "two" / mask.parent.name / mask.name)
        )


def test_segment_then_score(
    images: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, out = ("--set", f"folder:{images}"), tmp_path / "out"
    assert (
        run("segment", *where, "--model", model, "--device", "cpu", "--out", out, "--overlays") == 0
    )
    assert run("score", "--set", f"folder:{images}", "--results", out, "--workers", "1") == 0
    truth = np.concatenate([blocks(name) for name in "abc"])
    found = np.concatenate([read_mask(out / name / f"{name}.png") for name in "abc"])
    told = json.loads((out / "results.json").read_text())
    assert told["overall"]["pixel accuracy"] == pytest.approx(np.mean(truth == found))
    assert (
        run(
            "segment",
            *where,
            "--model",
            model,
            "--device",
            "cpu",
            "--out",
            out,
            "--resume",
            "--overlays",
        )
        == 0
    )
    assert "mean over" in capsys.readouterr().out


def test_own_video_gets_masks_and_a_movie(clips: Path, model: Path, tmp_path: Path) -> None:
    video, out = clips / "images" / "val" / "one", tmp_path / "out"
    assert (
        run(
            "segment",
            "--video",
            video,
            "--start",
            "2",
            "--model",
            model,
            "--device",
            "cpu",
            "--out",
            out,
        )
        == 0
    )
    assert sorted(file.stem for file in (out / "one").iterdir()) == [
        "00002",
        "00003",
        "00004",
        "00005",
    ]
    assert (out / "one.mp4").stat().st_size > 0
    assert json.loads((out / "segment.json").read_text())["classes"] == list(CLASSES)


def test_classes_go_by_their_names() -> None:
    known = ("background", "cat", "dog", "car")
    np.testing.assert_array_equal(ids_by_name(known, ("background", "car", "dog")), [0, 0, 2, 1])
    np.testing.assert_array_equal(ids_by_name(("sky", "road"), ("road", "sky")), [1, 0])
    with pytest.raises(
        InputError, match="does not know horse, a class of the set; it knows background, cat"
    ):
        ids_by_name(known, ("background", "horse"))
    with pytest.raises(
        InputError, match="knows background, which is no class of the set: cat, dog, car"
    ):
        ids_by_name(known, ("cat", "dog", "car"))


def test_classes_go_by_the_names_of_coco_where_their_own_are_not_there() -> None:
    np.testing.assert_array_equal(
        ids_by_name(("background", "motorcycle", "tv"), ("background", "tvmonitor", "motorbike")),
        [0, 2, 1],
    )
    np.testing.assert_array_equal(
        ids_by_name(("background", "sofa"), ("background", "couch")), [0, 1]
    )
    np.testing.assert_array_equal(
        ids_by_name(("background", "sofa", "couch"), ("background", "couch")), [0, 0, 1]
    )
    with pytest.raises(
        InputError, match="does not know couch, a class of the set; it knows background, sofa"
    ):
        ids_by_name(("background", "sofa"), ("background", "sofa", "couch"))


def test_what_the_user_should_know_of_a_set_is_told(tmp_path: Path, model: Path, capsys) -> None:
    copies.fbms(tmp_path / "fbms")
    where = ("--set", f"fbms:{tmp_path / 'fbms'}", "--split", "train")
    note = f"note: {tmp_path / 'fbms' / 'classes.csv'}: names no region of farm01; left out"
    assert (
        run("segment", *where, "--model", model, "--device", "cpu", "--out", tmp_path / "out") == 2
    )
    assert capsys.readouterr().err.splitlines()[0] == note
    assert (
        run(
            "score",
            "--set",
            f"fbms:{tmp_path / 'fbms'}",
            "--split",
            "train",
            "--results",
            tmp_path / "out",
            "--workers",
            "1",
        )
        == 2
    )
    assert capsys.readouterr().err.splitlines()[0] == note


def test_a_model_of_other_classes_is_refused_before_anything_is_written(
    images: Path, model: Path, tmp_path: Path
) -> None:
    (images / "classes.txt").write_text("sky\nroad\ntree")
    with pytest.raises(InputError, match="--model: does not know sky"):
        segment(images, tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "segment: give a --set, or a --video"),
        (["--video", "clip.mp4", "--set", "folder:."], "segment: give a --set, or a --video"),
        (["--video", "clip.mp4", "--split", "test"], "--split: is for a --set, not for a --video"),
        (["--set", "folder:nowhere"], "nowhere: no such folder"),
        (
            ["--set", "nonsense:."],
            "nonsense:.: is no SET:ROOT, where SET is one of ade20k, camvid, coco",
        ),
        (["--dataset", "folder", "--root", "."], "--dataset: is now --set SET:ROOT"),
        (["--set", "folder:.", "--classes", "sky"], "--classes: is now --wanted"),
        (["--set", "folder:.", "--size", "8"], "--size: must be 32 pixels or more, is 8"),
        (["--set", "folder:.", "--workers", "0"], "--workers: must be 1 or more"),
        (["--set", "folder:.", "--fps", "9"], "--fps: is for the movie of a --video"),
    ],
)
def test_options_that_cannot_be(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", "--model", "run", "--out", "out", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_model_that_is_not_there(tmp_path: Path, model: Path) -> None:
    assert (
        model_file(model) == model_file(model / "model.safetensors") == model / "model.safetensors"
    )
    with pytest.raises(
        InputError, match=r"no such file, or no model\.safetensors in it; give the run folder"
    ):
        model_file(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 9)
    with pytest.raises(InputError, match="not a complete safetensors file"):
        load_classifier(model_file(tmp_path), CPU)


@pytest.mark.parametrize("background", [True, False])
def test_id_0_is_tinted_unless_it_is_background(background: bool) -> None:
    frame, ids = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), np.uint8)
    ids[:, 30:] = 1
    drawn = overlay(frame, ids, background=background)
    assert (drawn[20, 5] == 200).all() == background
    assert not (drawn[20, 55] == 200).all()
    assert (drawn[20, 29] == 200).all() == background  # the contour, on the side of id 0


def test_a_legend_takes_as_many_lines_as_it_needs() -> None:
    names = {k: f"class number {k}" for k in range(8)}
    wide, narrow = legend(names, 2000), legend(names, 300)
    assert wide.shape[1] == 2000
    assert narrow.shape[0] > 3 * wide.shape[0]
