"""Encoders that remember frames: one memory for each video, and the same features whoever asks for
them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.data.sources.source import iterate_frames
from densevos_eval import PropagationConfig, Propagator
from densevos_eval.adapters.describe import facts
from densevos_eval.adapters.encoder import Encoder, load_encoder
from densevos_eval.propagation.pose import propagate_joints
from densevos_eval.propagation.propagate import Propagation, propagate
from densevos_eval.propagation.settings import Setup
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.runs.runner import write_all
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.sweep.remembering import FeatureFile, Remembering
from densevos_eval.sweep.sweep import sweep
from tests.conftest import ROOT
from tests.eval.conftest import Benchmark

NETWORKS = "tests.eval.adapters.remembering_networks"
FRAMES = np.random.default_rng(0).integers(0, 256, (7, 24, 40, 3), np.uint8)
CONFIG = PropagationConfig(context=2, radius=3, topk=3)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def loaded(name: str, **options) -> Encoder:
    return load_encoder(f"{NETWORKS}:{name}", device="cpu", **options)


def cells(images: np.ndarray) -> torch.Tensor:
    """Unit features [C,h,w] of the mean colours of cells of 8 pixels of an image [H,W,3], of any
    scale.
    """
    pixels = torch.from_numpy(np.asarray(images, np.float32) / 255).permute(2, 0, 1)
    return F.normalize(F.avg_pool2d(pixels, 8), dim=0)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_network_of_frames_remembers_nothing() -> None:
    encoder = load_encoder("random:resnet18", layer="res3", device="cpu")
    stream = encoder.stream()
    for frame in FRAMES[[0, 1, 0]]:
        assert torch.equal(stream.step(frame), encoder.of_frame(frame))


def test_a_memory_holds_the_frames_of_one_video() -> None:
    encoder = loaded("total")
    first, second = encoder.stream(), encoder.stream()
    for number, frame in enumerate(FRAMES, start=1):
        expected = cells(FRAMES[:number].astype(np.float32).sum(0))
        close(first.step(frame), expected)
        assert torch.equal(second.step(frame), encoder.stream().step(frame)) == (number == 1)
        close(encoder.of_frame(frame), cells(frame))  # as of the first frame of a video


def test_clips_end_with_the_frame_and_begin_with_the_first_one_repeated() -> None:
    encoder = loaded("clips")
    stream = encoder.stream()
    for number, frame in enumerate(FRAMES):
        window = [FRAMES[max(0, number - age)].astype(np.float32) for age in (2, 1, 0)]
        close(stream.step(frame), cells(window[0] + 2 * window[1] + 4 * window[2]))
    close(encoder.of_frame(FRAMES[3]), cells(FRAMES[3]))
    batch = torch.from_numpy(FRAMES[:2]).permute(0, 3, 1, 2).float() / 255
    close(encoder(batch)[1], encoder.of_frame(FRAMES[1]))


def test_frames_of_a_clip_have_one_size() -> None:
    stream = loaded("clips").stream()
    stream.step(FRAMES[0])
    with pytest.raises(
        InputError, match="frame: is 24x32 after frames of 24x40 pixels; a clip must have"
    ):
        stream.step(FRAMES[1][:, :32])


def test_tubelets_are_new_every_few_frames_and_repeated_in_between() -> None:
    encoder = loaded("tubelets")
    assert (encoder.every, encoder.between) == (2, "repeat")
    every_frame = loaded("tubelets", every=1)
    exact = list(every_frame.stream().over(FRAMES))
    found = list(encoder.stream().over(FRAMES))
    for number, features in enumerate(found):
        assert torch.equal(features, exact[number - number % 2])
    stream = encoder.stream()
    assert all(
        torch.equal(stream.step(frame), features)
        for frame, features in zip(FRAMES, found, strict=True)
    )


@pytest.mark.parametrize("name", ["total", "clips", "random"])
@pytest.mark.parametrize("every", [2, 3, 4, 9])
def test_features_in_between_are_means_by_distance(name: str, every: int) -> None:
    spec = "random:resnet18" if name == "random" else f"{NETWORKS}:{name}"
    encoder = load_encoder(spec, every=every, between="interpolate", device="cpu")
    exact = list(replace(encoder, every=1).stream().over(FRAMES))
    found = list(encoder.stream().over(iter(FRAMES)))
    assert len(found) == len(FRAMES)
    for number, features in enumerate(found):
        before, after = number - number % every, number - number % every + every
        expected = exact[before]
        if after < len(FRAMES):
            share = (number - before) / every
            expected = F.normalize((1 - share) * exact[before] + share * exact[after], dim=0)
        torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="--between interpolate: needs frames ahead"):
        encoder.stream().step(FRAMES[0])


def test_frames_are_read_no_further_ahead_than_is_needed() -> None:
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for number, frame in enumerate(FRAMES):
            taken.append(number)
            yield frame

    features = loaded("clips", every=3, between="interpolate").stream().over(frames())
    ahead = [max(taken) - number for number, _ in enumerate(features)]
    assert max(ahead) == 2


@pytest.mark.parametrize(
    ("value", "message"), [(0, "--every: must be 1 or more frames, is 0"), (-1, "is -1")]
)
def test_numbers_of_frames_that_are_none(value: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_encoder("random:resnet18", every=value, device="cpu")


def test_clips_of_no_whole_number_of_frames() -> None:
    with pytest.raises(
        InputError, match=r"its clip_frames must be a whole number of frames, is 2\.5"
    ):
        loaded("wrong_clips")


def test_facts_say_what_an_encoder_sees() -> None:
    told = facts(loaded("tubelets"))
    assert told["sees"] == "clips of 4 frames that end with it"
    assert told["encoded"] == "every 2 frames; between them features are repeated"
    told = facts(loaded("tubelets", every=3, between="interpolate"))
    assert told["encoded"] == "every 3 frames; between them features are interpolated"
    assert facts(loaded("total"))["sees"] == "all frames before as well"
    assert "sees" not in facts(load_encoder("random:resnet18", device="cpu"))


MODES = [{"name": "total"}, {"name": "clips"}, {"name": "tubelets"}]
AHEAD = [
    {"name": "tubelets", "between": "interpolate"},
    {"name": "clips", "every": 4, "between": "interpolate"},
]


def sequences(benchmark: Benchmark) -> list[VideoSequence]:
    return load_sequences(PROTOCOLS["davis17"], benchmark.root, "val")


def noisy(benchmark: Benchmark) -> Benchmark:
    """The benchmark with frames of noise, of which some are equal."""
    from PIL import Image

    for name in ("one", "two"):
        for t, frame in enumerate(FRAMES[[0, 1, 1, 2, 0, 3]]):
            Image.fromarray(frame).save(
                benchmark.root / "JPEGImages" / "480p" / name / f"{t:05d}.jpg", quality=95
            )
    return benchmark


def masks(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.png")}


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_those_of_the_whole_sequence(benchmark: Benchmark, mode: dict) -> None:
    encoder = loaded(**mode)
    sequence = sequences(noisy(benchmark))[1]
    whole = dict(propagate(sequence, encoder, CONFIG))
    propagator = Propagator(encoder, CONFIG)
    given = next(iter(whole.values()))
    frames = iterate_frames(sequence.frames())
    for number, (frame, expected) in enumerate(zip(frames, whole.values(), strict=True)):
        found = propagator.step(frame, given if number == 0 else None)
        np.testing.assert_array_equal(found, expected)
    assert any((labels != given).any() for labels in whole.values())


@pytest.mark.parametrize("mode", [*MODES, *AHEAD])
def test_memory_begins_anew_with_each_sequence_and_resumed_runs_are_the_same(
    benchmark: Benchmark, tmp_path: Path, mode: dict
) -> None:
    several = sequences(noisy(benchmark))
    writer = Propagation(encoder=loaded(**mode), config=CONFIG)
    write_all(several, writer, tmp_path / "once")
    for sequence in several:
        write_all(
            [sequence], replace(writer, encoder=loaded(**mode)), tmp_path / "resumed", resume=True
        )
    write_all(several[::-1], writer, tmp_path / "reversed")
    expected = masks(tmp_path / "once")
    assert len(expected) == 12
    assert masks(tmp_path / "resumed") == expected == masks(tmp_path / "reversed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 1}, "has every 2, not 1"),
        ({"every": 2, "between": "interpolate"}, "has between repeat, not interpolate"),
        ({"std": (1.0, 1.0, 0.5)}, r"has std \[0\.229, .*, not \[1\.0, 1\.0, 0\.5\]"),
    ],
)
def test_a_run_cannot_be_resumed_with_other_features(
    benchmark: Benchmark, tmp_path: Path, change: dict, message: str
) -> None:
    encoder = loaded("tubelets")
    write_all(
        sequences(benchmark)[:1], Propagation(encoder=encoder, config=CONFIG), tmp_path / "out"
    )
    other = Propagation(encoder=replace(encoder, **change), config=CONFIG)
    with pytest.raises(InputError, match=message):
        write_all(sequences(benchmark), other, tmp_path / "out", resume=True)


@pytest.mark.parametrize("mode", [MODES[0], *AHEAD])
def test_sweeps_compute_features_once_and_give_the_masks_of_propagation(
    benchmark: Benchmark, tmp_path: Path, mode: dict
) -> None:
    several, encoder = sequences(noisy(benchmark)), loaded(**mode)
    settings = {"a": Setup(propagation=CONFIG), "b": Setup(propagation=replace(CONFIG, context=1))}
    sweep(several, encoder, settings, PROTOCOLS["davis17"], tmp_path / "sweep", split="val")
    for name, setup in settings.items():
        write_all(several, Propagation(encoder=encoder, config=setup.propagation), tmp_path / name)
        assert masks(tmp_path / "sweep" / name) == masks(tmp_path / name)


def test_kept_features_know_the_frames_before() -> None:
    encoder = loaded("clips", every=2)
    with tempfile.TemporaryFile() as file:
        remembering = Remembering.of(encoder, FeatureFile(file=file))
        expected = list(encoder.stream().over(FRAMES[[0, 1, 0, 1, 2]]))
        for _ in range(2):
            found = list(remembering.stream().over(FRAMES[[0, 1, 0, 1, 2]]))
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        assert len(remembering.memory.places) == 3
        assert not torch.equal(
            expected[0], expected[2]
        )  # the frame is the same, those before it are not


@pytest.mark.parametrize("mode", [*MODES, *AHEAD])
def test_joints_come_from_the_same_stream(mode: dict) -> None:
    encoder = loaded(**mode)
    first = np.array([[10.0, 10.0], [30.0, 15.0]])
    features = list(encoder.stream().over(FRAMES))
    again = iter(features)

    class Fixed(Encoder):
        def of_frame(self, frame: np.ndarray) -> torch.Tensor:
            return next(again)

    names = {
        name: getattr(encoder, name) for name in ("name", "layer", "stride", "network", "device")
    }
    plain = Fixed(**names)
    found, expected = (
        list(propagate_joints(FRAMES, first, one, CONFIG)) for one in (encoder, plain)
    )
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))


@pytest.mark.slow
def test_the_command_takes_an_encoder_with_a_memory(benchmark: Benchmark, tmp_path: Path) -> None:
    noisy(benchmark)
    where = [
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    ]
    options = ["--every", 2, "--between", "interpolate", "--workers", 2]
    command = [
        sys.executable,
        "-m",
        "densevos_eval",
        "propagate",
        "--encoder",
        f"{NETWORKS}:total",
        *where,
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "eval")])}
    finished = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment
    )
    assert finished.returncode == 0, finished.stderr
    encoder = loaded("total", every=2, between="interpolate")
    write_all(
        sequences(benchmark),
        Propagation(encoder=encoder, config=PropagationConfig()),
        tmp_path / "here",
    )
    assert masks(tmp_path / "out") == masks(tmp_path / "here")
