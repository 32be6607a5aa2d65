"""Instance-level segmentation, from the command line to masks, tracks, scores and pages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base import console
from densevos.base.masks import read_mask, write_mask
from densevos.config.image_to_video import NetworkConfig
from densevos.data.sources.source import iterate_frames
from densevos.data.sources.video import open_frames
from densevos.models.segmentation.network import make_network, save_network
from densevos_eval import cli
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.object_level import ObjectLevel
from densevos_eval.zeroshot.proposals.proposal import Proposal
from densevos_eval.zeroshot.proposals.registry import load_proposals
from densevos_eval.zeroshot.proposals.saved import write_proposals

HEIGHT, WIDTH, FRAMES = 48, 64, 5
NAMES = ("cars", "dogs")


class Bright:
    """A source of foreground: whatever is bright."""

    inputs: tuple[Path, ...] = ()

    def settings(self) -> dict[str, Any]:
        return {"model": "bright"}

    def title(self) -> str:
        return "brightness"

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        for frame in iterate_frames(sequence.frames()):
            yield np.where(frame.max(axis=2) > 128, 0.9, 0.1).astype(np.float32)


@pytest.fixture(autouse=True)
def _bright(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(device: str, **options: Any) -> ObjectLevel:
        return ObjectLevel(source=Bright(), crf=options["crf"])

    monkeypatch.setattr(ObjectLevel, "loaded", loaded)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DAVIS unsupervised: in each sequence two bright squares that move over a dark ground."""
    root = tmp_path / "DAVIS"
    for name in NAMES:
        write_sequence(root, name)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("\n".join(NAMES))
    return root


def truth(t: int) -> np.ndarray:
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[6:18, 4 + t : 20 + t] = 1
    ids[28:40, 40 - t : 56 - t] = 2
    return ids


def write_sequence(root: Path, name: str, *, frames: int = FRAMES, empty: bool = False) -> None:
    ground = np.random.default_rng(0).integers(0, 90, (HEIGHT, WIDTH, 3), np.uint8)
    images, annotations = (
        root / kind / "480p" / name for kind in ("JPEGImages", "Annotations_unsupervised")
    )
    for folder in (images, annotations):
        folder.mkdir(parents=True)
    for t in range(frames):
        ids = np.zeros_like(truth(t)) if empty else truth(t)
        picture = np.where(ids[..., None] > 0, (220, 200, 160), ground)
        Image.fromarray(picture.astype(np.uint8)).save(images / f"{t:05d}.png")
        write_mask(annotations / f"{t:05d}.png", ids)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def zeroshot(root: Path, out: Path, *more: object, dataset: str = "davis17-unsupervised") -> int:
    fixed = ("zeroshot", "--model", "unused", "--device", "cpu", "--workers", 1, "--no-crf")
    return evaluator(*fixed, "--dataset", dataset, "--root", root, "--out", out, *more)


def one_line(capsys: pytest.CaptureFixture) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def masks(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.png")}


def tracks(out: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((out / name / "tracks.json").read_text())


def test_objects_are_told_apart_scored_compared_and_reported(
    root: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    assert zeroshot(root, out, "--instances") == 0
    assert "tracks.json" in capsys.readouterr().out
    for name in NAMES:
        for t in range(FRAMES):
            np.testing.assert_array_equal(read_mask(out / name / f"{t:05d}.png"), truth(t))
        found = [(row["id"], row["first_frame"], row["last_frame"]) for row in tracks(out, name)]
        assert found == [(1, "00000", "00004"), (2, "00000", "00004")]

    settings = json.loads((out / "propagation.json").read_text())
    assert (settings["method"], settings["proposals"]) == ("zero-shot, instance level", "parts")
    assert (settings["linking"], settings["flow"], settings["linking_least_iou"]) == (
        "association",
        "dis",
        0.1,
    )

    where = ("--dataset", "davis17-unsupervised", "--root", root)
    assert evaluator("score", *where, "--results", out, "--workers", 1) == 0
    assert json.loads((out / "results.json").read_text())["overall"]["J&F-Mean"] == 1
    assert zeroshot(root, tmp_path / "object") == 0
    assert evaluator("score", *where, "--results", tmp_path / "object", "--workers", 1) == 0
    assert evaluator("compare", out, tmp_path / "object") == 0
    assert evaluator("report", out, *where) == 0
    assert (
        evaluator(
            "show", *where, "--results", f"parts={out}", "--out", tmp_path / "show", "--no-movies"
        )
        == 0
    )


def test_a_resumed_run_makes_the_same_files(root: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert zeroshot(root, out, "--instances") == 0
    expected, listed = masks(out), tracks(out, "dogs")
    kept = (out / "cars" / "00000.png").stat().st_mtime_ns
    (out / "dogs" / "tracks.json").unlink()
    assert zeroshot(root, out, "--instances", "--resume") == 0
    assert (masks(out), tracks(out, "dogs")) == (expected, listed)
    assert (out / "cars" / "00000.png").stat().st_mtime_ns == kept

    capsys.readouterr()
    assert zeroshot(root, out, "--instances", "--proposals", "edgebox", "--resume") == 2
    assert "propagation.json: has " in one_line(capsys)
    assert zeroshot(root, out, "--resume") == 2


def test_ones_own_video_and_a_folder(root: Path, tmp_path: Path) -> None:
    frames = iterate_frames(open_frames(root / "JPEGImages" / "480p" / "dogs"))
    iio.imwrite(
        tmp_path / "clip.mp4", np.stack(list(frames)), fps=5, codec="libx264", macro_block_size=2
    )
    fixed = (
        "zeroshot",
        "--model",
        "unused",
        "--no-crf",
        "--instances",
        "--video",
        tmp_path / "clip.mp4",
    )
    assert evaluator(*fixed, "--out", tmp_path / "own") == 0
    assert len(open_frames(tmp_path / "own" / "clip.mp4")) == FRAMES
    assert [row["id"] for row in tracks(tmp_path / "own", "clip")] == [1, 2]
    assert evaluator(*fixed, "--start", 2, "--end", 2, "--out", tmp_path / "single") == 0
    assert [row["first_frame"] for row in tracks(tmp_path / "single", "clip")] == ["00002", "00002"]
    assert (
        zeroshot(root, tmp_path / "folder", "--instances", "--sequences", "dogs", dataset="folder")
        == 0
    )
    assert set(np.unique(read_mask(tmp_path / "folder" / "dogs" / "00001.png"))) == {0, 1, 2}


def test_no_object_anywhere_is_no_error(root: Path, tmp_path: Path) -> None:
    write_sequence(root, "nothing", empty=True)
    for kind in ("parts", "edgebox"):
        out = tmp_path / kind
        assert (
            zeroshot(root, out, "--instances", "--proposals", kind, "--sequences", "nothing") == 0
        )
        assert tracks(out, "nothing") == []
        assert not read_mask(out / "nothing" / "00002.png").any()


def test_boxes_find_the_squares_too(root: Path, tmp_path: Path) -> None:
    assert (
        zeroshot(
            root, tmp_path / "out", "--instances", "--proposals", "edgebox", "--sequences", "dogs"
        )
        == 0
    )
    found = read_mask(tmp_path / "out" / "dogs" / "00002.png")
    assert (found > 0).sum() > 0.8 * (truth(2) > 0).sum()
    settings = json.loads((tmp_path / "out" / "propagation.json").read_text())
    assert (settings["edge_map"], settings["grabcut_iterations"]) == (None, 3)


def save_truth(
    folder: Path, *, frames: int = FRAMES, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> None:
    """Proposals of `dogs`: each of the two squares."""
    for t in range(frames):
        found = [
            Proposal(mask=(truth(t) == id)[: size[0], : size[1]], score=id / 2) for id in (1, 2)
        ]
        write_proposals(folder / "dogs" / f"{t:05d}.npz", found, size)


def test_proposals_on_disk_are_used(root: Path, tmp_path: Path, capsys) -> None:
    save_truth(tmp_path / "saved")
    more = ("--instances", "--sequences", "dogs", "--proposals", tmp_path / "saved")
    assert zeroshot(root, tmp_path / "out", *more) == 0
    first, second = tracks(tmp_path / "out", "dogs")
    assert (first["score"], second["score"]) == (25, 12.5)
    np.testing.assert_array_equal(
        read_mask(tmp_path / "out" / "dogs" / "00001.png") == 1, truth(1) == 2
    )

    save_truth(tmp_path / "saved", frames=1)
    assert zeroshot(root, tmp_path / "out", *more, "--resume") == 0  # the files are the same
    write_proposals(tmp_path / "saved" / "dogs" / "00000.npz", [], (HEIGHT, WIDTH))
    capsys.readouterr()
    assert zeroshot(root, tmp_path / "out", *more, "--resume") == 2
    assert "has proposal_files" in one_line(capsys)


def test_proposals_of_other_frames_are_refused(root: Path, tmp_path: Path, capsys) -> None:
    cases = {"fewer": "dogs/00004.npz: file is missing", "more": "dogs/00005.npz: is of no frame"}
    save_truth(tmp_path / "fewer", frames=FRAMES - 1)
    save_truth(tmp_path / "more", frames=FRAMES + 1)
    save_truth(tmp_path / "small", size=(24, 32))
    for folder, said in {**cases, "small": "has masks of 32x24 for a frame of 64x48"}.items():
        more = ("--instances", "--sequences", "dogs", "--proposals", tmp_path / folder)
        assert zeroshot(root, tmp_path / "out", *more, "--overwrite") == 2
        assert said in one_line(capsys)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--proposals", "parts"),
            "--proposals parts: distinguishes objects; add --instances, or leave it out",
        ),
        (("--flow", "dis"), "--flow dis: distinguishes objects"),
        (("--edge-map", "a:b"), "--edge-map a:b: distinguishes objects"),
        (("--instances", "--proposals", "boxes"), "is no kind of proposals and no folder"),
        (
            ("--instances", "--proposals", "nowhere:boxes"),
            "--proposals nowhere:boxes: cannot be imported",
        ),
        (("--instances", "--edge-map", "nowhere:edges"), "is for --proposals edgebox"),
        (
            ("--instances", "--proposals", "edgebox", "--edge-map", "nowhere:edges"),
            "cannot be imported",
        ),
        (("--instances", "--proposal-weights", "COCO_V1"), "is for --proposals maskrcnn"),
        (("--instances", "--flow-weights", "C_T_V2"), "is for --flow raft"),
        (
            ("--instances", "--save-probabilities"),
            "--save-probabilities: instances have no soft masks",
        ),
    ],
)
def test_options_that_cannot_be(root: Path, tmp_path: Path, capsys, more: tuple, said: str) -> None:
    assert zeroshot(root, tmp_path / "out", *more) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "more"),
    [
        ("--proposal-weights", ("--proposals", "maskrcnn")),
        ("--flow-weights", ("--flow", "raft")),
    ],
)
def test_weights_of_another_network_are_refused(
    root: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, flag: str, more: tuple
) -> None:
    file = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    assert zeroshot(root, tmp_path / "out", "--instances", *more, flag, file) == 2
    assert f"{flag} {file}: is of another network" in one_line(capsys)

    def offline(*_: object, **__: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert zeroshot(root, tmp_path / "out", "--instances", *more) == 2
    # Torch says what it downloads, in some versions on the same stream.
    said = [
        line
        for line in capsys.readouterr().err.splitlines()
        if not line.startswith("Downloading: ")
    ]
    assert len(said) == 1
    assert "cannot be fetched (no way out); give a file with the weights of" in said[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dataset", ["davis16", "ytobjects"])
def test_a_benchmark_of_one_object_is_refused(
    root: Path, tmp_path: Path, capsys, dataset: str
) -> None:
    assert zeroshot(root, tmp_path / "out", "--instances", dataset=dataset) == 2
    assert f"--dataset {dataset} has one object in each video; leave --instances out" in one_line(
        capsys
    )


def test_frames_of_another_size_are_refused(root: Path, tmp_path: Path, capsys) -> None:
    frame = root / "JPEGImages" / "480p" / "dogs" / "00003.png"
    Image.open(frame).resize((32, 24)).save(frame)
    assert zeroshot(root, tmp_path / "out", "--instances") == 1
    broken, last = capsys.readouterr().err.splitlines()
    assert broken.startswith("dogs: optical flow: frames of 32x24 and 64x48 pixels")
    assert last.startswith("error: 1 of 2 sequences have no result")


def boxes(frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
    return [Proposal(mask=foreground > 0.5, score=1.0)]


def small_boxes(frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
    return [Proposal(mask=foreground[::2] > 0.5, score=1.0)]


def broken_boxes(frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
    raise KeyError("no\nboxes")


def white(frame: np.ndarray) -> np.ndarray:
    return np.ones((3, 3))


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    module = ModuleType("my_proposals")
    for function in (boxes, small_boxes, broken_boxes, white):
        setattr(module, function.__name__, function)
    module.number = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_proposals", module)


@pytest.mark.usefixtures("outside")
def test_functions_of_ones_own(root: Path, tmp_path: Path, capsys) -> None:
    fixed = ("--instances", "--overwrite", "--sequences", "dogs", "--proposals")
    assert zeroshot(root, tmp_path / "out", *fixed, "my_proposals:boxes") == 0
    assert len(tracks(tmp_path / "out", "dogs")) == 1
    capsys.readouterr()
    for more, said in {
        ("my_proposals:number",): "is a int; must be a function",
        ("my_proposals:small_boxes",): "returned a proposal without a mask [48, 64] of bool",
        ("my_proposals:broken_boxes",): "failed (KeyError: 'no\\nboxes'); fix the function",
        ("edgebox", "--edge-map", "my_proposals:number"): "is a int; must be a function of a frame",
        ("edgebox", "--edge-map", "my_proposals:white"): "returned [3, 3] for a frame of [48, 64]",
    }.items():
        assert zeroshot(root, tmp_path / "out", *fixed, *more) == 2
        assert said in one_line(capsys)


@pytest.mark.parametrize(
    "options", [(), ("--embedding", "random:resnet18", "--embedding-pooling", "mask")]
)
def test_unovost_tells_objects_apart_too(
    root: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    assert zeroshot(root, out, "--instances", "--linking", "unovost", *options) == 0
    for t in range(FRAMES):
        ids = read_mask(out / "dogs" / f"{t:05d}.png")
        np.testing.assert_array_equal(ids > 0, truth(t) > 0)
    assert [row["masks"] for row in tracks(out, "dogs")] == [FRAMES, FRAMES]

    settings = json.loads((out / "propagation.json").read_text())
    assert (settings["linking"], settings["linking_clip_iou"], settings["linking_flow_iou"]) == (
        "unovost",
        0.2,
        0.05,
    )
    assert settings["embedding"] == (options[1] if options else "colour")
    assert settings.get("embedding_pooling") == ("mask" if options else None)


def test_one_network_of_segmentation_makes_proposals_and_tells_how_they_look(
    root: Path, tmp_path: Path
) -> None:
    swin = NetworkConfig(embed_dim=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, hidden=8)
    run = tmp_path / "run"
    run.mkdir()
    network = make_network(swin, 2)
    save_network(
        run / "model.safetensors", network, config=swin, classes=("a", "b"), size=64, training={}
    )

    (root / "ImageSets" / "2017" / "val.txt").write_text("dogs")
    out = tmp_path / "out"
    looks = ("--embedding", run, "--embedding-layer", "stage2")
    assert (
        zeroshot(
            root,
            out,
            "--instances",
            "--proposals",
            f"segments:{run}",
            "--linking",
            "unovost",
            *looks,
        )
        == 0
    )
    assert tracks(out, "dogs")
    settings = json.loads((out / "propagation.json").read_text())
    assert settings["proposal_weights"] == settings["embedding_weights"]
    assert (settings["proposal_size"], settings["embedding_layer"]) == (64, "stage2")

    by_file = load_proposals(str(run / "model.safetensors"), device="cpu", threshold=0.5)
    assert by_file.settings["proposal_weights"] == settings["proposal_weights"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--embedding", "nowhere.safetensors"),
            "nowhere.safetensors: no such encoder file; --embedding takes default, our",
        ),
        (
            ("--embedding", "random:resnet18", "--embedding-layer", "x"),
            "--embedding random:resnet18: has no layer x;",
        ),
        (
            ("--embedding-pooling", "box"),
            "--embedding-pooling box: is for the features of an encoder; name one with",
        ),
        (
            ("--embedding", "colour", "--embedding-layer", "x"),
            "--embedding-layer x: is for the features of an encoder",
        ),
        (
            ("--proposals", "segments:nowhere"),
            "--proposals segments:nowhere: no such file, or no model.safetensors",
        ),
    ],
)
def test_looks_and_segments_that_cannot_be_had(
    root: Path, tmp_path: Path, capsys, options, message: str
) -> None:
    assert zeroshot(root, tmp_path / "out", "--instances", "--linking", "unovost", *options) == 2
    assert message in one_line(capsys)
