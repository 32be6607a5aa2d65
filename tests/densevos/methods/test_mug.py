"""MuG from frames and maps to a trained network: network, samples, learner, rounds."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet50

from densevos.base.errors import InputError, Stopped
from densevos.base.masks import read_mask, write_mask
from densevos.config import (
    EncoderConfig,
    LoopConfig,
    MugClipConfig,
    MugConfig,
    MugObjectiveConfig,
    OptimiserConfig,
)
from densevos.data.foreground.map_files import MapFolder
from densevos.data.sources.open import open_source
from densevos.data.sources.video import open_frames
from densevos.data.video_samples import (
    VideoSamples,
    abstract_indices,
    distant_pair,
    is_uninformative,
    short_indices,
)
from densevos.engine import checkpoint
from densevos.inference.info import describe
from densevos.inference.segmenter import Segmenter, middle_frames
from densevos.learners.mug import GRANULARITIES, Mug
from densevos.methods import mug
from densevos.methods.mug import MODEL, area_threshold, binary_map, check_maps, relabel
from densevos.methods.registry import read_config, write_config
from densevos.models.encoder import load_encoder
from densevos.models.mug import MugNetwork, Readout, load_model, save_model
from densevos.models.resnet import DenseResNet
from densevos.objectives.video import instance_loss
from densevos.training import export, train
from tests.densevos.conftest import write_frames
from tests.ranks import run_two_ranks

SMALL = EncoderConfig(
    architecture="resnet18", stride=8, last="res3", channels=24, key_channels=8, head="linear"
)
CLIPS = MugClipConfig(size=96, segments=4, pair_gap=3, zoom=(0.8, 1.0))


@pytest.fixture
def maps(videos: Path) -> Path:
    """Foreground maps of the four videos: a square that is not the same in all."""
    for k, video in enumerate(sorted(videos.iterdir())):
        (videos.parent / "maps" / video.name).mkdir(parents=True)
        for frame in video.iterdir():
            ids = np.zeros((40, 56), np.uint8)
            ids[8 : 24 + 2 * k, 10:30] = 1
            ids[:, 50:] = 255
            write_mask(videos.parent / "maps" / video.name / f"{frame.stem}.png", ids)
    return videos.parent / "maps"


@pytest.fixture
def tiny_mug(videos: Path, maps: Path) -> MugConfig:
    """Two rounds of two steps."""
    return MugConfig(
        data=videos,
        foreground=maps,
        encoder=SMALL,
        clips=CLIPS,
        objective=MugObjectiveConfig(patch=32, match_size=12),
        optimiser=OptimiserConfig(lr=1e-3),
        loop=LoopConfig(
            batch=2,
            epochs=1,
            workers=0,
            log_every=1,
            checkpoint_every=1,
            device="cpu",
            precision="fp32",
        ),
    )


def test_the_published_backbone_is_torchvisions_dilated_resnet() -> None:
    torch.manual_seed(0)
    theirs = resnet50(replace_stride_with_dilation=[True, True, False]).eval()
    ours = DenseResNet("resnet50", 4, last="res3", dilated=True).eval()
    ours.load_state_dict({name: theirs.state_dict()[name] for name in ours.state_dict()})
    frames = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(frames))))
        expected = theirs.layer3(theirs.layer2(theirs.layer1(x)))
        torch.testing.assert_close(ours(frames), expected)
    assert expected.shape == (1, 1024, 16, 16)


def test_sizes_are_those_of_the_paper() -> None:
    config = MugConfig(data=Path("x"), foreground=Path("y"))
    config.check()
    network = MugNetwork(config.encoder, "conv", 0.07).eval()
    with torch.inference_mode():
        x, stages = network.encode(torch.randn(1, 3, 64, 64))  # a quarter of the paper's side
        key, value = network.recall(x)
        r = network.gather(key, value, key[:, None], value[:, None])
        assert x.shape == (1, 512, 16, 16)
        assert network.encoder.keys(x).shape == (1, 64, 16, 16)
        assert r.shape == (1, 256, 16, 16)
        assert network.nu(r, stages).shape == network.foreground(x).shape == (1, 16, 16)


def test_frames_are_drawn_as_the_paper_says() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        length = int(rng.integers(8, 60))
        abstract = abstract_indices(length, 8, rng)
        edges = np.linspace(0, length, 9).astype(int)
        assert all(a <= i < b for a, i, b in zip(edges, abstract, edges[1:], strict=False))
        short = short_indices(length, 6, rng)
        assert short[0] < short[1] < short[2] < length
        assert short[2] - short[0] < 6
        i, j = distant_pair(abstract, 6, rng)
        widest = abstract[-1] - abstract[0]
        assert abs(abstract[i] - abstract[j]) >= min(6, widest)


def test_maps_follow_their_frames_through_crop_and_mirror(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "data" / "v", 9, width=64, height=64)
    for frame in folder.iterdir():  # the map is the red channel of its frame, at half the size
        red = np.asarray(Image.open(frame))[::2, ::2, 0]
        (tmp_path / "maps" / "v").mkdir(parents=True, exist_ok=True)
        write_mask(tmp_path / "maps" / "v" / f"{frame.stem}.png", (red > 128).astype(np.uint8))
    config = MugClipConfig(size=64, segments=4, zoom=(0.5, 0.9))
    samples = VideoSamples(open_source(folder), config, 0, tmp_path / "maps")
    for epoch in range(4):
        sample = samples[epoch, 0]
        agreement = ((sample.frames[:, 0] > 128) == (sample.initial == 1)).float().mean()
        assert agreement > 0.85  # near 0.5 anywhere else
        assert torch.equal(sample.initial, sample.predicted)


def test_packed_maps_give_the_same_samples(tiny_mug: MugConfig) -> None:
    source, folder = open_source(tiny_mug.data), MapFolder(tiny_mug.foreground)
    loose = VideoSamples(source, CLIPS, 0, tiny_mug.foreground)[0, 1]
    for name in source.names:
        folder.loose(name).rename(folder.to_be_packed(name))
        folder.pack(name)
    assert sorted(file.name for file in tiny_mug.foreground.iterdir()) == [
        f"video{k}.zip" for k in range(4)
    ]
    assert torch.equal(
        VideoSamples(source, CLIPS, 0, tiny_mug.foreground)[0, 1].initial, loose.initial
    )
    check_maps(source, tiny_mug)

    folder.archive("video2").unlink()
    with pytest.raises(InputError, match=r"9 frames have no map: .*video2/00000\.png"):
        check_maps(source, tiny_mug)


def test_maps_that_say_nothing_are_dropped_and_counted(videos: Path, maps: Path) -> None:
    video = sorted(videos.iterdir())[0]
    for file in (maps / video.name).iterdir():
        write_mask(file, np.ones((40, 56), np.uint8))
    samples = VideoSamples(open_source(video), CLIPS, 0, maps)
    sample = samples[0, 0]
    assert sample.dropped == 7
    assert (sample.initial == 255).all()
    assert is_uninformative(np.array([[0, 255]], np.uint8))
    assert not is_uninformative(np.array([[0, 1]], np.uint8))


@pytest.mark.parametrize("readout", ["conv", "refine", "fine"])
def test_one_step_has_all_losses_and_a_gradient_everywhere(
    tiny_mug: MugConfig, readout: str
) -> None:
    torch.manual_seed(0)
    learner = Mug(SMALL, dataclasses.replace(tiny_mug.objective, readout=readout)).train()
    samples = VideoSamples(open_source(tiny_mug.data), CLIPS, 0, tiny_mug.foreground)
    batch = samples.collate([samples[0, 0], samples[0, 1]])
    losses = learner(batch, torch.Generator().manual_seed(0))
    o = tiny_mug.objective
    expected = losses["frame"] + losses["readout"] + o.short_weight * losses["short"]
    expected = expected + o.long_weight * losses["long"] + o.video_weight * losses["video"]
    torch.testing.assert_close(losses["loss"], expected)
    assert {"peak", "missed_by", "inliers", "maps_dropped"} < losses.keys()
    losses["loss"].backward()
    without = [name for name, p in learner.named_parameters() if p.grad is None]
    assert without == []


def test_videos_of_a_steps_batches_are_told_apart(
    tiny_mug: MugConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decision D30: accumulated batches share one softmax of the instance loss."""
    torch.manual_seed(0)
    learner = Mug(SMALL, tiny_mug.objective).train()
    seen = []

    def watched(queries: torch.Tensor, instances: torch.Tensor, *others: Any) -> torch.Tensor:
        seen.append(instances)
        return instance_loss(queries, instances, *others)

    monkeypatch.setattr("densevos.learners.mug.instance_loss", watched)
    rs = [torch.randn(2, 4, 6, 3, 3, requires_grad=True) for _ in range(3)]
    learner.begin_step(batches=3)
    losses = [
        learner._video(r, torch.tensor([2 * k, 2 * k + 1]), torch.Generator())
        for k, r in enumerate(rs)
    ]
    assert [len(instances) for instances in seen] == [2, 4, 6]
    assert torch.equal(seen[2], torch.cat([seen[2][:2], seen[0], seen[1][:2]]))
    losses[2].backward()
    assert rs[0].grad is None  # what was kept is a constant
    assert rs[2].grad is not None
    learner.begin_step(batches=1)
    for r in rs:
        learner._video(r, torch.arange(2), torch.Generator())
    assert [len(instances) for instances in seen[3:]] == [2, 2, 2]
    del seen[:]
    loop = dataclasses.replace(tiny_mug.loop, batch=1, accumulate=2)
    train(
        dataclasses.replace(tiny_mug, loop=loop, rounds=1), tmp_path / "run"
    )  # four videos, two steps
    assert [len(instances) for instances in seen] == [1, 2, 1, 2]


@pytest.mark.parametrize("readout", ["conv", "refine", "fine"])
def test_an_untrained_network_expects_little_foreground(readout: Readout) -> None:
    torch.manual_seed(0)
    network = MugNetwork(SMALL, readout, 0.07).train()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.zeros_(parameter)
    x, stages = network.encode(torch.rand(2, 3, 48, 48))
    key, value = network.recall(x)
    r = network.gather(key, value, key[:, None], value[:, None])
    for logits in (network.foreground(x), network.nu(r, stages)):
        torch.testing.assert_close(torch.sigmoid(logits), torch.full_like(logits, 0.15))


def test_batch_statistics_are_those_of_frames_alone(tiny_mug: MugConfig) -> None:
    learner = Mug(tiny_mug.encoder, tiny_mug.objective).train()
    frames = torch.rand(4, 3, 48, 48)
    before = learner.network.encoder.backbone.bn1.running_mean.clone()
    learner._embed_patches(frames)
    assert learner.training
    assert learner.network.encoder.training
    assert torch.equal(learner.network.encoder.backbone.bn1.running_mean, before)
    learner.network.encode(frames)
    assert not torch.equal(learner.network.encoder.backbone.bn1.running_mean, before)


def test_round_robin_takes_turns(tiny_mug: MugConfig) -> None:
    torch.manual_seed(0)
    learner = Mug(SMALL, dataclasses.replace(tiny_mug.objective, round_robin=True)).train()
    samples = VideoSamples(open_source(tiny_mug.data), CLIPS, 0, tiny_mug.foreground)
    batch = samples.collate([samples[0, 0], samples[0, 1]])
    for name in (*GRANULARITIES, "frame"):
        learner.begin_step(batches=2)
        learner(batch, torch.Generator().manual_seed(0))
        losses = learner(batch, torch.Generator().manual_seed(0))  # a turn is a whole step
        assert set(GRANULARITIES) & losses.keys() == {name}
        losses["loss"].backward()
        assert all(p.grad is not None for p in learner.parameters())
        learner.zero_grad()


@pytest.mark.slow
def test_two_rounds_end_with_an_encoder_and_maps_and_resume_bit_identical(
    tiny_mug: MugConfig, tmp_path: Path
) -> None:
    result = train(tiny_mug, tmp_path / "whole")
    assert result.steps == 4
    assert read_config(tmp_path / "whole" / "config.json") == tiny_mug
    encoder, card = load_encoder(tmp_path / "whole" / "encoder.safetensors")
    assert encoder.config == SMALL
    assert encoder.layers == ("x", "res3", "key")
    assert card["training"]["steps"] == 4
    made = tmp_path / "whole" / "round1" / "maps"
    assert sorted(p.name for p in made.iterdir()) == [f"video{k}" for k in range(4)]
    assert set(np.unique(read_mask(made / "video0" / "00000.png"))) <= {0, 1}
    line = json.loads(
        (tmp_path / "whole" / "round2" / "metrics.jsonl").read_text().splitlines()[-1]
    )
    assert {"frame", "readout", "short", "long", "video", "peak"} <= line.keys()

    # What a run that was killed in the middle of relabelling leaves: a whole first round, half of
    # its maps.
    again = tmp_path / "again"
    train(dataclasses.replace(tiny_mug, rounds=1), again)
    write_config(again / "config.json", tiny_mug)
    (again / "round1" / "maps" / "video0").mkdir(parents=True)
    for name in ("00000.png", "00001.png"):
        (again / "round1" / "maps" / "video0" / name).write_bytes(
            (made / "video0" / name).read_bytes()
        )
    train(tiny_mug, again, resume="auto")
    for name in ("round1", "round2"):
        first, second = (
            checkpoint.load(checkpoint.latest(run / name / "checkpoints"))
            for run in (tmp_path / "whole", again)
        )
        assert all(torch.equal(first["learner"][k], second["learner"][k]) for k in first["learner"])
    assert json.loads((again / "provenance.json").read_text())["resumed_from"] is None
    assert (again / "provenance-round1-step-00000002.json").exists()


@pytest.mark.slow
def test_a_finished_round_goes_on_from_its_end_alone(tiny_mug: MugConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny_mug, run)
    first = run / "round1" / "checkpoints" / "step-00000001.pt"
    with pytest.raises(InputError, match=r"step-00000001\.pt: is of a round that is finished"):
        train(tiny_mug, run, resume=str(first))
    export(first, tmp_path / "first.safetensors")
    assert load_encoder(tmp_path / "first.safetensors")[1]["training"]["steps"] == 1
    described = describe(str(run / "round2"))
    assert described["training"]["steps"] == 2
    assert described["parameters"] > describe(str(run))["parameters"]


@pytest.mark.slow
def test_relabelling_stops_when_asked_and_goes_on(
    tiny_mug: MugConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def write_and_ask(path: Path, mask: np.ndarray) -> None:
        write_mask(path, mask)
        made.append(path)
        if len(made) == 12:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(mug, "write_mask", write_and_ask)
    with pytest.raises(Stopped, match="--resume auto"):
        train(tiny_mug, tmp_path / "run")
    assert len(made) == 12
    train(tiny_mug, tmp_path / "run", resume="auto")
    assert len(list((tmp_path / "run" / "round1" / "maps").glob("*/*.png"))) == 36


def test_relabelled_maps_are_packed_where_the_initial_ones_are(
    tiny_mug: MugConfig, tmp_path: Path
) -> None:
    source, initial, made = (
        open_source(tiny_mug.data),
        MapFolder(tiny_mug.foreground),
        MapFolder(tmp_path / "made"),
    )
    for name in source.names[:2]:
        initial.loose(name).rename(initial.to_be_packed(name))
        initial.pack(name)
    network = mug.make_learner(tiny_mug).network
    for _ in range(2):  # the second time all is there
        relabel(network, tiny_mug, source, made.root, torch.device("cpu"))
    assert sorted(file.name for file in made.root.iterdir()) == [
        "video0.zip",
        "video1.zip",
        "video2",
        "video3",
    ]
    for name in source.names:
        assert len(made.frames(name)) == 9
        VideoSamples(source, CLIPS, 0, tiny_mug.foreground, made.root)[0, 0]


def _train_as_rank(rank: int, config: MugConfig, out: Path) -> None:
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank)}  # as torchrun leaves them

    def keep_and_relabel(network: MugNetwork, *rest: Any) -> None:
        torch.save(network.state_dict(), out.parent / f"{rank}.pt")
        relabel(network, *rest)

    mug.relabel = keep_and_relabel
    train(config, out)


@pytest.mark.slow
def test_two_processes_make_maps_with_one_network(tiny_mug: MugConfig, tmp_path: Path) -> None:
    run_two_ranks(_train_as_rank, tmp_path, tiny_mug, tmp_path / "run")
    assert load_encoder(tmp_path / "run" / "encoder.safetensors")[1]["training"]["steps"] == 2
    kept = load_model(tmp_path / "run" / "round1" / "model.safetensors")[0].state_dict()
    for rank in range(2):
        labelling = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(labelling[name], kept[name]) for name in kept)
    made = tmp_path / "run" / "round1" / "maps"
    assert sorted(p.name for p in made.iterdir()) == [f"video{k}" for k in range(4)]


def test_the_segmenter_gives_maps_at_frame_size_whatever_the_batch(
    tmp_path: Path, videos: Path
) -> None:
    torch.manual_seed(0)
    network = MugNetwork(SMALL, "conv", 0.07).eval()
    save_model(tmp_path / MODEL, network, size=96, segments=4, training={})
    loaded, card = load_model(tmp_path / MODEL)
    reader = open_frames(sorted(videos.iterdir())[0])
    runs = [
        list(Segmenter(n, card["size"], card["segments"], torch.device("cpu"), b)(reader))
        for n, b in ((network, 8), (loaded, 2))
    ]
    assert [p.shape for p in runs[0]] == [(40, 56)] * 9
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-5)
    assert middle_frames(9, 4) == [1, 3, 5, 7]
    assert middle_frames(2, 4) == [0, 1]


def test_missing_maps_are_listed_and_refused(tiny_mug: MugConfig, tmp_path: Path) -> None:
    gone = [
        tiny_mug.foreground / "video1" / "00002.png",
        tiny_mug.foreground / "video3" / "00000.png",
    ]
    for file in gone:
        file.unlink()
    with pytest.raises(InputError, match="2 frames have no map") as caught:
        train(tiny_mug, tmp_path / "run")
    assert all(str(file) in str(caught.value) for file in gone)
    assert not (tmp_path / "run").exists()  # the corrected command may have its place


def test_maps_that_say_nothing_are_refused(tiny_mug: MugConfig, tmp_path: Path) -> None:
    """Also those of 0 and 255, a usual way to save a mask: 255 means unknown here."""
    for file in tiny_mug.foreground.glob("*/*.png"):
        write_mask(file, (read_mask(file) == 1) * np.uint8(255))
    with pytest.raises(
        InputError, match=r"every map is uninformative.*foreground is 1, background 0"
    ):
        train(tiny_mug, tmp_path / "run")


def test_videos_that_begin_without_foreground_are_used(tiny_mug: MugConfig) -> None:
    for file in tiny_mug.foreground.glob("*/00000.png"):
        write_mask(file, np.zeros((40, 56), np.uint8))
    mug.check_maps(open_source(tiny_mug.data), tiny_mug)


@pytest.mark.parametrize("value", [2, 254])
def test_maps_of_ids_and_grey_levels_are_refused(
    tiny_mug: MugConfig, tmp_path: Path, value: int
) -> None:
    file = tiny_mug.foreground / "video2" / "00000.png"
    write_mask(file, np.minimum(read_mask(file), 1) * np.uint8(value))
    with pytest.raises(InputError, match=f"video2/00000.png: holds {value}; foreground is 1"):
        train(tiny_mug, tmp_path / "run")
    samples = VideoSamples(open_source(tiny_mug.data / "video2"), CLIPS, 0, tiny_mug.foreground)
    for other in file.parent.iterdir():
        write_mask(other, read_mask(file))
    with pytest.raises(InputError, match=f"holds {value}"):
        samples[0, 0]


def test_data_of_which_nothing_can_be_used_are_refused_before_a_folder_is_made(
    tiny_mug: MugConfig, tmp_path: Path
) -> None:
    clips = dataclasses.replace(CLIPS, segments=10)
    with pytest.raises(
        InputError, match=r"none of the 4 videos can be used; the first: .*has 9 frames"
    ):
        train(dataclasses.replace(tiny_mug, clips=clips), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_video_that_stands_in_for_another_is_not_told_apart_from_itself(
    tiny_mug: MugConfig, tmp_path: Path
) -> None:
    for video in sorted(tiny_mug.data.iterdir())[1:]:
        for frame in sorted(video.iterdir())[3:]:
            frame.unlink()
    loop = dataclasses.replace(tiny_mug.loop, max_broken=1)
    result = train(dataclasses.replace(tiny_mug, rounds=1, loop=loop), tmp_path / "run")
    assert len(result.skipped) == 3
    lines = (tmp_path / "run" / "round1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["video"] for line in lines] == [0, 0]


def test_maps_in_the_run_folder_are_not_deleted(tiny_mug: MugConfig) -> None:
    with pytest.raises(InputError, match=f"--overwrite would delete {tiny_mug.foreground}"):
        train(tiny_mug, tiny_mug.foreground, overwrite=True)
    assert (tiny_mug.foreground / "video0" / "00000.png").exists()


def test_relabelled_maps_of_a_video_are_as_large_as_the_initial_ones() -> None:
    unsure = np.linspace(0, 0.4, 200, dtype=np.float32).reshape(10, 20)
    half = np.zeros((5, 8), np.uint8)
    half[:2], half[4] = 1, 255
    nothing = np.zeros_like(half)
    assert (unsure >= area_threshold([unsure], [half])).mean() == 0.5
    # One threshold for the video: its frames have 1/2 together, whatever each has. Frames without a
    # map do not count.
    threshold = area_threshold([unsure, unsure / 2, unsure], [half, half, nothing])
    shares = [(p >= threshold).mean() for p in (unsure, unsure / 2)]
    assert sum(shares) / 2 == pytest.approx(0.5, abs=0.01)
    assert shares[0] > 0.6
    # A foreground that is larger already stays as it is.
    assert area_threshold([2 * unsure], [half]) == pytest.approx(0.4, abs=0.01)
    assert area_threshold([unsure + 0.4], [half]) == 0.5
    assert area_threshold([unsure], [nothing]) == 0.5


def test_the_crf_of_relabelling_takes_the_threshold_for_an_even_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probability = np.array([[0.1, 0.2, 0.3, 0.9]], np.float32)
    frame = np.zeros((1, 4, 3), np.uint8)
    monkeypatch.setattr(mug, "refine", lambda neutral, frame: neutral)
    for shown in (None, frame):
        assert binary_map(probability, 0.2, shown).tolist() == [[0, 1, 1, 1]]
        assert binary_map(probability, 0.5, shown).tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("scales", [(), (0.1,), (1, 5)])
def test_unusable_sizes_of_relabelling_are_refused(
    tiny_mug: MugConfig, scales: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match="--relabel-scales must be one or more sizes"):
        dataclasses.replace(tiny_mug, relabel_scales=scales).check()


def test_maps_of_another_size_are_told_of_and_short_videos_left_out(
    tiny_mug: MugConfig, tmp_path: Path
) -> None:
    for file in tiny_mug.foreground.glob("*/*.png"):
        write_mask(file, read_mask(file)[::2, ::2])
    write_frames(tiny_mug.data / "short", 5)
    with pytest.warns(UserWarning, match="maps are 28x20, frames 56x40"):
        result = train(dataclasses.replace(tiny_mug, rounds=1), tmp_path / "run")
    assert len(result.skipped) <= 1
    samples = VideoSamples(open_source(tiny_mug.data / "short"), CLIPS, 0, tiny_mug.foreground)
    with pytest.raises(InputError, match="has 5 frames, fewer than the 6"):
        samples[0, 0]
