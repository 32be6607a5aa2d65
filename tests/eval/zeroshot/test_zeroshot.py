"""Object-level zero-shot segmentation from a trained network to masks, scores and pages, as a user
does it.
"""

import json
import shutil
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.config import EncoderConfig
from densevos.data.foreground.crf import PRESETS, CrfConfig
from densevos.data.foreground.maps import make_maps
from densevos.data.foreground.probability import ForegroundConfig
from densevos.data.sources.source import iterate_frames
from densevos.data.sources.video import open_frames
from densevos.models import card
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos.models.mug import MugNetwork, save_model
from densevos_eval import cli
from densevos_eval.inputs.footage import Unlabelled
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.runs.runner import write_all
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot import object_level
from densevos_eval.zeroshot.foreground import TrainedModel
from densevos_eval.zeroshot.model import load_segmenter, model_file
from densevos_eval.zeroshot.object_level import ObjectLevel, usual_workers
from densevos_eval.zeroshot.options import CrfOptions, ZeroShotOptions
from tests.eval.copies import COPIES

SMALL = EncoderConfig(
    architecture="resnet18", stride=8, last="res3", channels=16, key_channels=8, head="linear"
)
HEIGHT, WIDTH, FRAMES = 40, 56, 5
NAMES = ("boat", "camel")  # both have T in DAVIS-2016
ABLE = tuple(
    name for name, protocol in PROTOCOLS.items() if protocol.foreground
)  # benchmarks that judge foreground


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two rounds with networks of their own."""
    run = tmp_path_factory.mktemp("trained")
    for number in (1, 2):
        torch.manual_seed(number)
        network = MugNetwork(SMALL, "conv", 0.07)
        torch.nn.init.zeros_(network.nu.conv.bias)  # type: ignore[union-attr, arg-type]  # finds something, not everywhere
        torch.nn.init.normal_(network.nu.conv.weight)  # type: ignore[union-attr, arg-type]
        (run / f"round{number}").mkdir()
        save_model(
            run / f"round{number}" / "model.safetensors", network, size=64, segments=3, training={}
        )
    return run


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """DAVIS-2016 of two sequences: a light rectangle moves over a dark texture."""
    root = tmp_path / "DAVIS"
    for k, name in enumerate(NAMES):
        write_sequence(root, name, seed=k)
    (root / "ImageSets" / "2016").mkdir(parents=True)
    (root / "ImageSets" / "2016" / "val.txt").write_text("\n".join(NAMES))
    return root


def write_sequence(root: Path, name: str, *, seed: int, frames: int = FRAMES) -> None:
    rng = np.random.default_rng(seed)
    texture = np.asarray(
        Image.fromarray(rng.integers(0, 120, (5, 7, 3), np.uint8)).resize((WIDTH, HEIGHT))
    )
    images, annotations = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
    for folder in (images, annotations):
        folder.mkdir(parents=True)
    for t in range(frames):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[8:24, 5 + 4 * t : 25 + 4 * t] = 1
        Image.fromarray(np.where(mask[..., None] > 0, 220, texture).astype(np.uint8)).save(
            images / f"{t:05d}.png"
        )
        write_mask(annotations / f"{t:05d}.png", 255 * mask)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def zeroshot(model: Path, root: Path, out: Path, *more: object, dataset: str = "davis16") -> int:
    fixed = ("--model", model, "--device", "cpu", "--workers", 1, "--no-flip", "--scales", 1)
    return evaluator("zeroshot", *fixed, "--dataset", dataset, "--root", root, "--out", out, *more)


def one_line(capsys: pytest.CaptureFixture) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def masks(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*.png")}


def test_both_kinds_of_masks_are_scored_compared_and_reported(
    model, davis, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    assert (
        zeroshot(
            model, davis, out, "--threshold", 0.45, "--crf-preset", "matnet", "--crf-iterations", 2
        )
        == 0
    )
    assert sorted(masks(out)) == sorted(
        f"{folder}{name}/{t:05d}.png"
        for folder in ("", "no-crf/")
        for name in NAMES
        for t in range(FRAMES)
    )
    settings, before = (
        json.loads((at / "propagation.json").read_text()) for at in (out, out / "no-crf")
    )
    assert settings["model"] == str(model / "round2" / "model.safetensors")
    assert (settings["size"], settings["references"], settings["threshold"]) == (64, 3, 0.45)
    assert settings["crf"] == {**vars(PRESETS["matnet"]), "iterations": 2}
    assert {**settings, "crf": None} == before
    assert zeroshot(model, davis, tmp_path / "plain", "--threshold", 0.45, "--no-crf") == 0
    assert masks(tmp_path / "plain") == masks(out / "no-crf")
    assert read_mask(out / "camel" / "00002.png").shape == (HEIGHT, WIDTH)

    where = ("--dataset", "davis16", "--root", davis)
    for folder in (out, out / "no-crf"):
        assert evaluator("score", *where, "--results", folder, "--workers", 1) == 0
        overall = json.loads((folder / "results.json").read_text())["overall"]
        assert {"J-Mean", "F-Mean", "T-Mean"} < overall.keys()
    capsys.readouterr()
    assert evaluator("compare", out, out / "no-crf", "--published") == 0
    printed = capsys.readouterr()
    assert "no-crf" in printed.out
    assert "MuG" not in printed.out  # Published figures are of all sequences of the split.
    assert printed.err.startswith("note: ")
    assert evaluator("report", out, *where, "--against", out / "no-crf") == 0
    assert "camel" in (out / "report.html").read_text()


def test_the_crf_takes_the_threshold_for_an_even_chance(model, davis, monkeypatch) -> None:
    seen = []

    def refine(probability: np.ndarray, image: np.ndarray, config: CrfConfig) -> np.ndarray:
        assert image.shape == (*probability.shape, 3)
        seen.append(probability)
        return 1 - probability

    monkeypatch.setattr(object_level, "refine", refine)
    sequence = sequence_of(davis, "camel")
    segmenter = load_segmenter(model_file(model), torch.device("cpu"))
    expected = list(segmenter(sequence.frames()))
    threshold = float(np.median(expected))
    source = TrainedModel(segmenter=segmenter, model=Path("m"))
    writer = ObjectLevel(source=source, threshold=threshold, crf=PRESETS["mug"])
    for (refined, plain), probability in zip(writer.foregrounds(sequence), expected, strict=True):
        np.testing.assert_array_equal(plain.probability, probability)
        np.testing.assert_array_equal(plain.mask, probability >= threshold)
        np.testing.assert_array_equal(seen[-1] >= 0.5, probability >= threshold)
        np.testing.assert_array_equal(refined.mask, seen[-1] <= 0.5)
    assert 0 < plain.mask.mean() < 1


def sequence_of(root: Path, name: str) -> VideoSequence:
    (found,) = Unlabelled(dataset="davis16", root=root, sequences=(name,)).find()
    return found


def test_references_and_threshold_matter_and_rounds_are_chosen(
    model, davis, tmp_path: Path
) -> None:
    assert model_file(model / "round1") == model_file(model / "round1" / "model.safetensors")
    (model / "round10").mkdir()
    shutil.copy(model / "round1" / "model.safetensors", model / "round10")
    assert model_file(model).parent.name == "round10"
    made = {}
    soft = "camel/probabilities/1/00002.png"
    options = {
        "a": (),
        "b": ("--references", 1),
        "c": ("--threshold",),
        "d": ("--flip", "--scales", 1, 1.5),
    }
    for name, more in options.items():
        if name == "c":  # so that half of the pixels are above it
            more = (*more, np.median(np.asarray(Image.open(tmp_path / "a" / soft))) / 255)
        assert (
            zeroshot(
                model / "round2", davis, tmp_path / name, "--no-crf", "--save-probabilities", *more
            )
            == 0
        )
        made[name] = masks(tmp_path / name)
    assert made["a"][soft] != made["b"][soft]
    assert made["a"][soft] != made["d"][soft]
    settings = json.loads((tmp_path / "d" / "propagation.json").read_text())
    assert (settings["flip"], settings["scales"]) == (True, [1.0, 1.5])
    assert made["a"][soft] == made["c"][soft]
    assert made["a"] != made["c"]


def test_soft_maps_are_written_where_asked_for(model, davis, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        zeroshot(model, davis, out, "--no-crf", "--save-probabilities", "--sequences", "camel") == 0
    )
    background, objects = (
        np.asarray(Image.open(out / "camel" / "probabilities" / id / "00003.png"), int)
        for id in ("0", "1")
    )
    assert objects.shape == (HEIGHT, WIDTH)
    assert abs(background + objects - 255).max() <= 1
    sure = abs(objects - 127.5) > 1
    np.testing.assert_array_equal(
        read_mask(out / "camel" / "00003.png")[sure], (objects > 127)[sure]
    )


@pytest.mark.slow
def test_processes_resume_and_shards_make_the_same_files(
    model, davis, tmp_path: Path, capsys
) -> None:
    file = model_file(model)
    sequences = Unlabelled(dataset="davis16", root=davis).find()
    options = ZeroShotOptions(model=file, flip=False, scales=(1.0,))
    load = partial(ObjectLevel.loaded, "cpu", options=options, crf=None)
    run = partial(write_all, sequences, load())
    ticks: list[str] = []
    assert run(tmp_path / "one") == {}
    assert run(tmp_path / "two", loads=[load], on_step=ticks.append) == {}
    assert masks(tmp_path / "one") == masks(tmp_path / "two")
    assert sorted(ticks) == sorted(NAMES * FRAMES)
    shutil.rmtree(tmp_path / "two" / "camel")
    kept = (tmp_path / "two" / "boat" / "00000.png").stat().st_mtime_ns
    assert run(tmp_path / "two", resume=True) == {}
    assert masks(tmp_path / "one") == masks(tmp_path / "two")
    assert (tmp_path / "two" / "boat" / "00000.png").stat().st_mtime_ns == kept
    for part in ("1/2", "2/2"):
        assert zeroshot(model, davis, tmp_path / "shards", "--no-crf", "--shard", part) == 0
    assert masks(tmp_path / "one") == masks(tmp_path / "shards")

    shutil.move(model, tmp_path / "elsewhere")
    assert zeroshot(tmp_path / "elsewhere", davis, tmp_path / "one", "--no-crf", "--resume") == 0
    for more, said in (
        ((), "holds a run; pass --resume"),
        (("--resume", "--threshold", 0.4), "has threshold 0.5, not 0.4"),
        (("--resume", "--references", 2), "has references 3, not 2"),
        (("--resume", "--model", tmp_path / "elsewhere" / "round1"), "has model"),
    ):
        capsys.readouterr()
        assert zeroshot(tmp_path / "elsewhere", davis, tmp_path / "one", "--no-crf", *more) == 2
        assert said in one_line(capsys)


def test_a_resumed_run_makes_both_kinds_where_one_is_missing(
    model, davis, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(object_level, "refine", lambda probability, image, config: 1 - probability)
    out = tmp_path / "out"
    assert zeroshot(model, davis, out) == 0
    expected = masks(out)
    assert len(expected) == 4 * FRAMES
    (out / "no-crf" / "boat" / "00001.png").unlink()
    assert zeroshot(model, davis, out, "--resume") == 0
    assert masks(out) == expected
    assert zeroshot(model, davis, out, "--no-crf", "--overwrite") == 0
    assert len(masks(out)) == 2 * FRAMES


def test_a_broken_sequence_does_not_lose_the_others(model, davis, tmp_path: Path, capsys) -> None:
    out, frame = tmp_path / "out", davis / "JPEGImages" / "480p" / "boat" / "00003.png"
    whole = frame.read_bytes()
    frame.write_bytes(whole[:100])
    assert zeroshot(model, davis, out, "--no-crf") == 1
    broken, last = capsys.readouterr().err.splitlines()
    assert broken.startswith(f"boat: {frame}: image cannot be read")
    assert (
        last == "error: 1 of 2 sequences have no result, the others do; fix them and pass --resume"
    )
    assert {path.name for path in out.iterdir()} == {".propagation", "camel", "propagation.json"}
    frame.write_bytes(whole)
    assert zeroshot(model, davis, out, "--no-crf", "--resume") == 0
    assert len(masks(out)) == 2 * FRAMES


def test_every_benchmark_that_can_judge_it(model, tmp_path: Path) -> None:
    for dataset in ABLE:
        root, out = tmp_path / dataset, tmp_path / "out" / dataset
        COPIES[dataset](root)
        names = ("--sequences", "bird/0001" if dataset == "ytobjects" else "one")
        assert zeroshot(model, root, out, "--no-crf", *names, dataset=dataset) == 0
        score = (
            "score",
            "--dataset",
            dataset,
            "--root",
            root,
            *names,
            "--results",
            out,
            "--workers",
            1,
        )
        assert evaluator(*score) == 0
        assert (out / "results.json").is_file()


def test_annotations_are_not_needed(model, davis, tmp_path: Path) -> None:
    shutil.rmtree(davis / "Annotations")
    assert zeroshot(model, davis, tmp_path / "a", "--no-crf", "--sequences", "boat") == 0
    shutil.move(davis / "JPEGImages" / "480p", davis / "x")
    shutil.rmtree(davis / "JPEGImages")
    shutil.move(davis / "x", davis / "JPEGImages")
    shutil.rmtree(davis / "ImageSets")
    assert zeroshot(model, davis, tmp_path / "b", "--no-crf", dataset="folder") == 0
    assert len(masks(tmp_path / "b")) == 2 * FRAMES


@pytest.mark.parametrize("dataset", [name for name in PROTOCOLS if name not in ABLE])
def test_benchmarks_that_cannot_are_refused(model, tmp_path: Path, capsys, dataset: str) -> None:
    assert zeroshot(model, tmp_path, tmp_path / "out", dataset=dataset) == 2
    said = one_line(capsys)
    assert f"--dataset {dataset}: asks for the objects of the first annotation" in said
    assert f"take {', '.join(ABLE)}, or densevos-eval propagate" in said


def test_ones_own_video_gets_a_movie_and_one_frame_is_enough(model, davis, tmp_path: Path) -> None:
    frames = iterate_frames(open_frames(davis / "JPEGImages" / "480p" / "boat"))
    iio.imwrite(
        tmp_path / "clip.mp4", np.stack(list(frames)), fps=5, codec="libx264", macro_block_size=2
    )
    fixed = (
        "zeroshot",
        "--model",
        model,
        "--device",
        "cpu",
        "--no-crf",
        "--video",
        tmp_path / "clip.mp4",
    )
    assert evaluator(*fixed, "--start", 1, "--end", 3, "--out", tmp_path / "out") == 0
    assert sorted(masks(tmp_path / "out")) == [f"clip/{t:05d}.png" for t in (1, 2, 3)]
    assert len(open_frames(tmp_path / "out" / "clip.mp4")) == 3
    assert evaluator(*fixed, "--start", 2, "--end", 2, "--out", tmp_path / "single") == 0
    assert list(masks(tmp_path / "single")) == ["clip/00002.png"]


@pytest.mark.parametrize("scales", [(0,), (1, 9)])
def test_unusable_sizes_are_refused(
    model, davis, tmp_path: Path, capsys, scales: tuple[int, ...]
) -> None:
    assert zeroshot(model, davis, tmp_path / "out", "--no-crf", "--scales", *scales) == 2
    assert "--scales: give one or more sizes within 0.25..4" in one_line(capsys)


def test_unusable_models_say_what_to_give(model, davis, tmp_path: Path, capsys) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    encoder = tmp_path / "dul"
    encoder.mkdir()
    save_encoder(encoder / "encoder.safetensors", DenseEncoder(SMALL), {})
    whole = (model / "round2" / "model.safetensors").read_bytes()
    (bare / "cut.safetensors").write_bytes(whole[:1000])
    weights, facts = card.load(model / "round1" / "model.safetensors", "densevos-mug-1", "model")
    for name, lacks in (("old", "size"), ("other", "readout")):
        told = {key: value for key, value in facts.items() if key != lacks}
        card.save(bare / f"{name}.safetensors", weights, told)
    for path, said in {
        tmp_path / "nowhere": "no such run folder",
        bare: "holds no model.safetensors, nor does a round1 in it",
        encoder: "holds an encoder alone",
        encoder / "encoder.safetensors": "has no densevos model card",
        bare / "cut.safetensors": "not a complete safetensors file",
        bare / "old.safetensors": "its card is of another version",
        bare / "other.safetensors": "weights do not fit",
    }.items():
        assert zeroshot(path, davis, tmp_path / "out", "--no-crf") == 2
        assert said in one_line(capsys)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--threshold", 1), "--threshold: must lie between 0 and 1, is 1"),
        (("--references", 0), "--references: must be 1 or more"),
        (("--workers", 0), "--workers: must be 1 or more"),
        (("--crf-clip", 0.5), "--crf-clip: must be above 0"),
        (("--crf-bilateral-sxy", 0), "--crf-bilateral-sxy: must be above 0"),
        (("--crf-gaussian-compat", -1), "--crf-gaussian-compat: must be 0 or more"),
        (("--crf-iterations", 0), "--crf-iterations: must be 1 or more"),
        (("--no-crf", "--crf-iterations", 2), "--crf-iterations: is a parameter of the CRF"),
        (("--video", "clip.mp4"), "give --dataset and --root, or a --video"),
        (("--sequences", "tank"), "480p/tank"),
    ],
)
def test_options_that_cannot_be(
    model, davis, tmp_path: Path, capsys, more: tuple, said: str
) -> None:
    assert zeroshot(model, davis, tmp_path / "out", *more) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_parameters_of_the_crf_win_over_the_preset() -> None:
    assert CrfOptions().config() == CrfConfig()
    assert CrfOptions(crf_preset="cosnet").config() == PRESETS["cosnet"]
    mixed = CrfOptions(crf_preset="cosnet", crf_normalise=False, crf_bilateral_sxy=20).config()
    assert mixed
    assert (mixed.normalise, mixed.bilateral_sxy, mixed.gaussian_sxy) == (False, 20, 1)
    assert CrfOptions(crf=False).config() is None
    with pytest.raises(InputError, match="--crf-bilateral-srgb"):
        CrfOptions(crf_bilateral_srgb=0).config()


def test_the_crf_gets_a_process_a_core_and_a_gpu_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_level.os, "cpu_count", lambda: 16)
    refined = CrfConfig()
    assert [usual_workers(refined, n) for n in (1, 3, 30)] == [None, 3, 16]
    assert usual_workers(None, 30) is None
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert usual_workers(refined, 30) == 8


def test_foreground_maps_are_scored_as_they_are(davis, tmp_path: Path) -> None:
    """The knowledge that MuG starts from, beside what it makes of it."""
    config = ForegroundConfig(method="saliency", short_side=32, crf=None, uncertain=0)
    make_maps(davis / "JPEGImages" / "480p", tmp_path / "maps", config, workers=1)
    assert set(np.unique(read_mask(tmp_path / "maps" / "camel" / "00002.png"))) == {0, 1}
    score = (
        "score",
        "--dataset",
        "davis16",
        "--root",
        davis,
        "--results",
        tmp_path / "maps",
        "--workers",
        1,
    )
    assert evaluator(*score) == 0
    assert json.loads((tmp_path / "maps" / "results.json").read_text())["overall"]["J-Mean"] > 0.5
