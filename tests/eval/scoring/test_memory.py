"""Masks in memory get the scores that they get on disk, and no file and no torch is needed."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos_eval.inputs.sequences import load_sequences
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.registry import find_protocol
from densevos_eval.scoring.memory import evaluate
from densevos_eval.scoring.score import score
from tests.eval.conftest import FRAMES, moving_rectangles

NAMES = [f"{t:05d}" for t in range(FRAMES)]


def results_of(benchmark) -> dict[str, np.ndarray]:
    return {
        name: np.stack([read_mask(benchmark.result(name, t)) for t in range(FRAMES)])
        for name in ("one", "two")
    }


@pytest.mark.parametrize("dataset", ["davis16", "davis17"])
def test_sequences_of_a_benchmark_score_as_on_disk(benchmark, dataset: str) -> None:
    sequences = load_sequences(dataset, benchmark.root)
    metric = benchmark_metric(find_protocol(dataset))
    expected = score(sequences, benchmark.results, metric, split="val")
    scores = evaluate(results_of(benchmark), sequences, dataset=dataset)
    np.testing.assert_equal(asdict(scores.rows), asdict(expected.rows))


def test_arrays_score_as_a_folder_of_them_does(benchmark) -> None:
    truth = {
        name: np.stack([read_mask(benchmark.annotation(name, t)) for t in range(FRAMES)])
        for name in ("one", "two")
    }
    for folder, kept in (
        (benchmark.root / "JPEGImages", "480p"),
        (benchmark.root / "Annotations", "480p"),
    ):
        for sequence in (folder / kept).iterdir():
            sequence.rename(folder / sequence.name)
        (folder / kept).rmdir()
    metric = benchmark_metric(find_protocol("folder"))
    expected = score(
        load_sequences("folder", benchmark.root), benchmark.results, metric, split="val"
    )
    for masks in (
        results_of(benchmark),
        {name: list(one.astype(float)) for name, one in results_of(benchmark).items()},
    ):
        np.testing.assert_equal(asdict(evaluate(masks, truth).rows), asdict(expected.rows))


def test_one_video_needs_no_name_and_frames_may_have_names() -> None:
    truth = moving_rectangles({1: 8})
    assert evaluate(truth == 1, truth).overall["J&F-Mean"] == 1
    some = {NAMES[t]: truth[t] for t in (0, 2, 3)}
    named = {name: np.roll(mask, 4, 1) for name, mask in zip(NAMES, truth, strict=True)}
    scores = evaluate(named, some)
    assert scores.details["video"]["objects"]["1"]["J"].tolist() == [0.5]
    assert (
        evaluate(named, some, count_ends=True).details["video"]["objects"]["1"]["J"].tolist()
        == [0.5] * 3
    )


def test_scores_are_shown_as_tables() -> None:
    truth = moving_rectangles({1: 1, 2: 14})
    scores = evaluate({"a<b": truth}, {"a<b": truth})
    lines = str(scores).splitlines()
    assert lines[0] == "folder in memory, mean over objects (2)"
    assert lines[2].split() == [
        "sequence",
        "J&F-Mean",
        "J-Mean",
        "J-Recall",
        "J-Decay",
        "F-Mean",
        "F-Recall",
        "F-Decay",
    ]
    assert lines[-1].split()[:3] == ["a<b", "1.000", "1.000"]
    assert "<td>a&lt;b</td><td>1.000</td>" in scores._repr_html_()


@pytest.mark.parametrize(
    ("results", "truth", "options", "message"),
    [
        ({"a": 1}, {"a": 1}, {"dataset": "jhmdb"}, "dataset jhmdb: is scored by joints"),
        ({"a": 1}, {"b": 1}, {}, "results: lack sequence b; they have a"),
        (1, {"a": 1, "b": 1}, {}, r"results: are of one video, and there are 2; give them by name"),
        (
            "masks",
            1,
            {},
            "results: sequence video: must be ids .* is a str; densevos-eval score takes folders",
        ),
        (0.5, 1, {}, "results: sequence video, frame 00000: mask must hold ids .* not whole"),
        (
            1,
            1,
            {"dataset": "davis17", "count_ends": True},
            "count_ends: davis17 itself says which frames count",
        ),
    ],
)
def test_what_cannot_be_scored(results, truth, options: dict, message: str) -> None:
    def masks(value):
        if isinstance(value, dict):
            return {name: masks(one) for name, one in value.items()}
        return value if isinstance(value, str) else moving_rectangles({1: 8}) * value

    with pytest.raises(InputError, match=message):
        evaluate(masks(results), masks(truth), **options)


def test_masks_that_are_missing_or_of_another_size(benchmark) -> None:
    truth = moving_rectangles({1: 8})
    with pytest.raises(InputError, match="sequence video: has 5 masks of 6 frames"):
        evaluate(truth[1:], truth)
    with pytest.raises(InputError, match="sequence video, frame 00003: mask is missing"):
        evaluate(dict.fromkeys(NAMES[:3], truth[0]), dict(zip(NAMES, truth, strict=True)))
    with pytest.raises(InputError, match="frame 00001: mask is 20x24 but its annotation is 40x24"):
        evaluate(truth[:, :, ::2], truth)
    with pytest.raises(
        InputError, match=r"mask must be ids \[H,W\], is \[40\]; give ids \[T,H,W\]"
    ):
        evaluate(truth[0], truth[0])
    with pytest.raises(InputError, match="dataset: is missing; name the benchmark"):
        evaluate(results_of(benchmark), load_sequences("davis17", benchmark.root))


def test_sequences_of_ones_own_video(benchmark, tmp_path: Path) -> None:
    frames = benchmark.root / "JPEGImages" / "480p" / "one"
    write_mask(tmp_path / "first.png", moving_rectangles({1: 8})[0])
    (sequence,) = load_sequences(video=frames, mask=tmp_path / "first.png", end="3")
    assert len(list(sequence.video())) == 4
    assert {t: mask.max() for t, mask in sequence.masks().items()} == {0: 1}
    with pytest.raises(InputError, match="either a dataset with its root, or a video"):
        load_sequences()
    with pytest.raises(InputError, match="are for video, not for a dataset"):
        load_sequences("davis17", benchmark.root, start="3")


def test_scoring_in_memory_loads_no_torch() -> None:
    code = (
        "import sys, densevos, numpy as np\n"
        "from densevos_eval import evaluate, load_sequences, overlay, read_masks\n"
        "from densevos import open_video, read_mask, write_mask\n"
        "masks = np.ones((4, 8, 9), int)\n"
        "assert evaluate(masks, masks).overall['J-Mean'] == 1\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
