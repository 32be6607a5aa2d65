"""Whole runs of image-to-video adaptation: what they leave, resuming, accumulation, bad input,
recipes.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from densevos import cli
from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos.commands.train import parsed_arguments
from densevos.config import I2VConfig, LoopConfig, OptimiserConfig, SetOptions
from densevos.engine import checkpoint
from densevos.methods.domains import open_domains
from densevos.methods.registry import read_config, write_config
from densevos.models.segmentation.network import load_network, make_network, save_network
from densevos.recipes import RECIPES
from densevos.training import export, train
from tests.densevos.conftest import write_frames
from tests.densevos.data.segmentation.test_domain_samples import labelled_clip, labelled_images
from tests.densevos.engine.test_engine import start, wait_for
from tests.densevos.learners.test_image_to_video import PAIRS, STILLS, SWIN, VIDEO, config_of


@pytest.fixture
def tiny_i2v(tmp_path: Path, videos: Path) -> I2VConfig:
    """A run of four steps on four labelled images and four unlabelled videos."""
    spec = labelled_images(tmp_path / "stills", 4)
    return config_of(labelled=(spec,), unlabelled=(f"videos:{videos}",), loss="clustered")


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def last_state(run: Path) -> dict:
    path = checkpoint.latest(run / "checkpoints")
    assert path is not None
    return checkpoint.load(path)


def assert_same(a: object, b: object) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for one, other in zip(a, b, strict=True):  # type: ignore[call-overload]
            assert_same(one, other)
    else:
        assert torch.equal(a, b) if isinstance(a, Tensor) else a == b


def test_a_run_leaves_a_model_and_says_which_step_it_is_of(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    result = train(tiny_i2v, tmp_path / "run")
    assert result.encoder == tmp_path / "run" / "model.safetensors"
    assert result.steps == 4
    assert read_config(tmp_path / "run" / "config.json") == tiny_i2v
    assert json.loads((tmp_path / "run" / "config.json").read_text())["method"] == "i2v"
    network, card = load_network(result.encoder)
    assert card["classes"] == ["low", "high"]
    assert (card["size"], card["training"]["steps"], card["training"]["checkpoint"]) == (
        64,
        4,
        "the last step",
    )
    assert card["training"]["videos"] == 8
    trained = last_state(tmp_path / "run")["learner"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, trained[f"network.{name}"])
    lines = metrics(tmp_path / "run")
    assert {
        "segmentation",
        "adversarial",
        "chance",
        "clusters_used",
        "lr",
        "lr_adversary",
    } <= lines[0].keys()
    assert lines[0]["lr_adversary"] == 1e-2

    best = tmp_path / "run" / "checkpoints" / "best.pt"
    assert (
        checkpoint.load(best)["step"] == min(lines, key=lambda line: line["segmentation"])["step"]
    )
    export(best, tmp_path / "best.safetensors")
    _, card = load_network(tmp_path / "best.safetensors")
    assert card["classes"] == ["low", "high"]
    assert card["training"]["checkpoint"] == "best.pt"


@pytest.mark.slow
def test_training_lowers_the_segmentation_loss(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    loop = dataclasses.replace(tiny_i2v.loop, epochs=25, checkpoint_every=100)
    faster = dataclasses.replace(tiny_i2v.optimiser, lr=1e-2)
    train(dataclasses.replace(tiny_i2v, loop=loop, optimiser=faster), tmp_path / "run")
    losses = [line["segmentation"] for line in metrics(tmp_path / "run")]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


@pytest.mark.slow
def test_killed_and_resumed_ends_bit_identical(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    """Both optimisers, both schedules, dropout, stochastic depth, clusters, the ramp of mu and
    accumulation.
    """
    config = dataclasses.replace(
        tiny_i2v,
        adversarial=dataclasses.replace(PAIRS, ramp_batches=20),
        loop=dataclasses.replace(tiny_i2v.loop, epochs=8, checkpoint_every=3, accumulate=2),
    )
    train(config, tmp_path / "whole")
    process = start(config, tmp_path / "killed", "never")
    wait_for(checkpoint.checkpoint_path(tmp_path / "killed" / "checkpoints", 3))
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    train(config, tmp_path / "killed", resume="auto")
    first, second = (last_state(tmp_path / run) for run in ("whole", "killed"))
    assert first["step"] == 8
    for key in (
        "learner",
        "optimiser.network",
        "optimiser.adversary",
        "schedule.network",
        "schedule.adversary",
    ):
        assert_same(first[key], second[key])
    curves = [[line["loss"] for line in metrics(tmp_path / run)] for run in ("whole", "killed")]
    assert curves[0] == curves[1]


def test_resuming_refuses_another_configuration_and_another_list(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    train(tiny_i2v, tmp_path / "run")
    for changes, reason in (
        ({"sets": SetOptions(others="ignore")}, r"--others \(background there, ignore here\)"),
        ({"weight_frames": 7}, r"--weight-frames \(500 there, 7 here\)"),
        ({"placement": "global"}, r"--placement \(spatial there, global here\)"),
        ({"loss": "general"}, r"--loss \(clustered there, general here\)"),
        (
            {"adversarial": dataclasses.replace(PAIRS, clusters=2)},
            r"--adversarial\.clusters \(3 there, 2 here\)",
        ),
    ):
        with pytest.raises(InputError, match=reason):
            train(dataclasses.replace(tiny_i2v, **changes), tmp_path / "run", resume="auto")
    write_frames(tmp_path / "data" / "one-more", 9)
    with pytest.raises(InputError, match="holds other videos than when"):
        train(tiny_i2v, tmp_path / "run", resume="auto")
    for part in (tmp_path / "stills", tmp_path / "stills" / "masks"):
        with pytest.raises(InputError, match=r"--overwrite would delete .*stills, which is read"):
            train(tiny_i2v, part, overwrite=True)

    # Nor is a set deleted that lies in the folder of an earlier run.
    inside = dataclasses.replace(tiny_i2v, labelled=(f"folder:{tmp_path / 'run' / 'stills'}",))
    shutil.copytree(tmp_path / "stills", tmp_path / "run" / "stills")
    with pytest.raises(InputError, match=r"--overwrite would delete .*stills, which is read"):
        train(inside, tmp_path / "run", overwrite=True)
    shutil.rmtree(tmp_path / "run" / "stills")
    path = str(tmp_path / "run" / "checkpoints" / "best.pt")
    with pytest.raises(InputError, match="is of another encoder or optimiser"):
        train(dataclasses.replace(tiny_i2v, placement="global"), tmp_path / "new", resume=path)


def test_accumulated_batches_have_the_gradient_of_all_of_them(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    """Without BatchNorm and chance, two batches of two are one of four."""
    still = dataclasses.replace(tiny_i2v.clips, flip=False, short_side=(64, 64), crop="centre")
    plain = OptimiserConfig(name="sgd", lr=0.1, momentum=0, weight_decay=0)
    config = dataclasses.replace(
        tiny_i2v,
        loss="none",
        batchnorm="frozen",
        class_weights="none",
        network=dataclasses.replace(SWIN, drop_path=0.0),
        clips=still,
        optimiser=plain,
    )
    for name, batch, accumulate in (("whole", 4, 1), ("parts", 2, 2)):
        loop = dataclasses.replace(config.loop, epochs=1, batch=batch, accumulate=accumulate)
        train(dataclasses.replace(config, loop=loop), tmp_path / name)
    first, second = (last_state(tmp_path / run) for run in ("whole", "parts"))
    assert first["step"] == second["step"] == 1
    for name, tensor in first["learner"].items():
        if isinstance(tensor, Tensor):
            torch.testing.assert_close(tensor, second["learner"][name], atol=1e-6, rtol=1e-4)
    losses = [metrics(tmp_path / run)[0] for run in ("whole", "parts")]
    assert losses[0]["loss"] == pytest.approx(
        losses[1]["loss"], rel=0.05
    )  # void pixels differ in number


def test_labelled_images_and_videos_are_the_two_domains(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    """The COCO+Davis rows: cross entropy on both, told apart as image and video; and Davis alone
    without.
    """
    clips = labelled_clip(tmp_path / "clips", masked=(0, 3, 4, 8))
    both = dataclasses.replace(
        tiny_i2v, labelled=(*tiny_i2v.labelled, clips), unlabelled=(), class_weights="target"
    )
    train(both, tmp_path / "both")
    assert "adversarial" in metrics(tmp_path / "both")[0]
    alone = dataclasses.replace(both, labelled=(clips,), loss="none")
    assert train(alone, tmp_path / "alone").steps == 4
    assert "adversarial" not in metrics(tmp_path / "alone")[0]
    assert "optimiser.adversary" not in last_state(tmp_path / "alone")


def test_a_video_swin_trains_on_images_and_clips(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    network = dataclasses.replace(VIDEO, checkpointing=True)
    clips = dataclasses.replace(STILLS, frames=2, gap=3)
    config = dataclasses.replace(tiny_i2v, network=network, clips=clips, loss="general")
    train(config, tmp_path / "run")
    network, card = load_network(tmp_path / "run" / "model.safetensors")
    assert network.clip_frames == 2
    assert card["network"]["architecture"] == "video_swin"


def run_cli(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


TINY = [
    *(
        "--network.embed-dim",
        8,
        "--network.depths",
        1,
        1,
        1,
        1,
        "--network.heads",
        1,
        1,
        2,
        2,
        "--network.hidden",
        8,
    ),
    *(
        "--clips.size",
        64,
        "--clips.short-side",
        64,
        80,
        "--adversarial.pairs",
        30,
        "--loop.batch",
        2,
    ),
    *("--loop.epochs", 1, "--loop.workers", 0, "--loop.precision", "fp32"),
]


def test_the_command_trains(
    tiny_i2v: I2VConfig, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sets = ("--labelled", *tiny_i2v.labelled, "--unlabelled", *tiny_i2v.unlabelled)
    options = (
        "--loss",
        "general",
        "--placement",
        "stage2",
        "--warm-start",
        0,
        "--out",
        tmp_path / "run",
        *TINY,
    )
    assert run_cli("train", "i2v_small_swin", *sets, *options) == 0
    said = capsys.readouterr()
    assert "model.safetensors: 2 steps" in said.out
    assert re.search(
        r"^diagnosis: .*; source mIoU \d+\.\d before, \d+\.\d after$", said.err, re.MULTILINE
    )
    config = read_config(tmp_path / "run" / "config.json")
    assert isinstance(config, I2VConfig)
    assert (config.loss, config.placement, config.labelled) == (
        "general",
        "stage2",
        tiny_i2v.labelled,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labelled": ()}, "--labelled must name at least one set"),
        ({"unlabelled": ()}, "--unlabelled must name a set for the adversarial loss"),
        ({"labelled": ("coco",)}, "coco: is no SET:ROOT"),
        ({"labelled": ("folder:gone",)}, "gone: no such folder"),
        ({"loop": LoopConfig(batch=1)}, "--loop.batch must be at least 2"),
        (
            {"sets": SetOptions(wanted=("zebra",))},
            "zebra: folder has no such class; it has high, low",
        ),
        (
            {"sets": SetOptions(table=Path("t")), "unlabelled": ("fbms:x",)},
            "--table: both fbms and folder are",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    tiny_i2v: I2VConfig, tmp_path: Path, changes: dict, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        train(dataclasses.replace(tiny_i2v, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_empty_unlabelled_set_is_refused(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no frame folders and no video files"):
        train(
            dataclasses.replace(tiny_i2v, unlabelled=(f"videos:{tmp_path / 'empty'}",)),
            tmp_path / "run",
        )


def test_a_labelled_sub_batch_of_one_is_refused(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    spec = labelled_images(tmp_path / "single", 1)
    with pytest.raises(InputError, match=r"labelled sub-batch of one: .* holds 1 labelled frames"):
        train(dataclasses.replace(tiny_i2v, labelled=(spec,)), tmp_path / "run")
    frozen = dataclasses.replace(tiny_i2v, labelled=(spec,), batchnorm="frozen", loss="none")
    assert train(frozen, tmp_path / "frozen").steps == 2


def test_processes_share_the_labelled_frames(
    tiny_i2v: I2VConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four frames are two for each of two processes, and one for each of three or four."""
    for ranks in (1, 2):
        monkeypatch.setenv("WORLD_SIZE", str(ranks))
        assert open_domains(tiny_i2v).classes == ("low", "high")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(
        InputError,
        match=r"holds 4 labelled frames for 3 processes, and BatchNorm .* needs two in each",
    ):
        open_domains(tiny_i2v)
    open_domains(dataclasses.replace(tiny_i2v, batchnorm="frozen"))


def test_sets_that_do_not_go_together_are_refused(tiny_i2v: I2VConfig, tmp_path: Path) -> None:
    other = labelled_images(tmp_path / "other", 2)
    (tmp_path / "other" / "classes.txt").write_text("low\nhigher\n")
    with pytest.raises(InputError, match=r"have different classes \(high, higher\)"):
        train(dataclasses.replace(tiny_i2v, labelled=(*tiny_i2v.labelled, other)), tmp_path / "run")
    clips = labelled_clip(tmp_path / "clips", masked=(0, 1))
    with pytest.raises(InputError, match="holds no images to tell domains apart"):
        train(dataclasses.replace(tiny_i2v, labelled=(clips,)), tmp_path / "run")
    unlabelled = labelled_images(tmp_path / "unlabelled", 2)
    with pytest.raises(InputError, match=r"--class-weights target: videos:.* has no labels"):
        train(dataclasses.replace(tiny_i2v, class_weights="target"), tmp_path / "run")
    with_labels = dataclasses.replace(tiny_i2v, unlabelled=(unlabelled,), class_weights="target")
    assert train(with_labels, tmp_path / "run").steps == 4


def test_a_class_that_no_labelled_image_shows_is_told_of(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    (tmp_path / "stills" / "classes.txt").write_text("low\nhigh\nunicorn\n")
    with pytest.warns(UserWarning, match="no labelled image with unicorn among those"):
        train(tiny_i2v, tmp_path / "run")


def test_wrong_label_values_stop_the_run_with_file_value_and_count(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    mask = tmp_path / "stills" / "masks" / "train" / "00002.png"
    ids = np.zeros((40, 56), np.uint8)
    ids[:2, :3] = 9
    write_mask(mask, ids)
    with pytest.raises(InputError, match=r"00002\.png.*9.*6 pixels"):
        train(tiny_i2v, tmp_path / "run")


def test_weights_of_another_number_of_classes_begin_with_a_new_last_layer(
    tiny_i2v: I2VConfig, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    other = make_network(SWIN, 5)
    save_network(
        tmp_path / "other.safetensors", other, config=SWIN, classes=[*"abcde"], size=64, training={}
    )
    network = dataclasses.replace(SWIN, weights=str(tmp_path / "other.safetensors"))
    with pytest.warns(
        UserWarning, match="has 5 classes, not 2: the last layer starts from random weights"
    ):
        train(dataclasses.replace(tiny_i2v, network=network), tmp_path / "run")


def test_the_card_names_the_initial_weights_also_after_resuming(
    tiny_i2v: I2VConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is where the run started, not what a later command could fetch."""

    def nowhere(*_: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", nowhere)
    usual = dataclasses.replace(SWIN, weights="openmmlab/upernet-swin-tiny")
    config, out = dataclasses.replace(tiny_i2v, network=usual), tmp_path / "run"
    with pytest.warns(UserWarning, match="openmmlab/upernet-swin-tiny cannot be fetched"):
        file = train(config, out).encoder
    initial_weights = (
        "openmmlab/upernet-swin-tiny cannot be fetched: "
        "a new run starts from random weights (no route to host)"
    )
    assert load_network(file)[1]["training"]["initial_weights"] == initial_weights

    torch.save(make_network(SWIN, 2).state_dict(), tmp_path / "fetched.bin")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(tmp_path / "fetched.bin"))
    assert (
        load_network(train(config, out, resume="auto").encoder)[1]["training"]["initial_weights"]
        == initial_weights
    )
    export(out / "checkpoints" / "best.pt", tmp_path / "best.safetensors")
    assert (
        load_network(tmp_path / "best.safetensors")[1]["training"]["initial_weights"]
        == initial_weights
    )
    assert (
        load_network(train(config, tmp_path / "new").encoder)[1]["training"]["initial_weights"]
        == usual.weights
    )


PUBLISHED = {
    "i2v_cnn": ("deeplabv3", "global", "general", 256, 1, 1e-3, 8),
    "i2v_swin": ("swin_upernet", "spatial", "clustered", 256, 1, 3.2e-3, 32),
    "i2v_videoswin": ("video_swin", "spatial", "general", 512, 4, 1e-4, 16),
}


@pytest.mark.parametrize("name", [*PUBLISHED, "i2v_small_swin", "i2v_small_cnn"])
def test_recipes_start_from_a_trained_network(name: str) -> None:
    options = ("--labelled", "coco:x", "--unlabelled", "davis:x", "--out", "run")
    config = parsed_arguments([name, *options]).config
    assert isinstance(config, I2VConfig)
    config.check()
    assert (config.loss, config.placement) == ("general", "global")
    assert config.warm_epochs == (20 if "small" in name else 0)
    assert config.adversarial.ramp_batches is None
    published = parsed_arguments([name, *options, "--published", "--weight-frames", "7"]).config
    expected = RECIPES[name](("coco:x",), published=True)
    assert published == dataclasses.replace(expected, unlabelled=("davis:x",), weight_frames=7)


@pytest.mark.parametrize("name", [*PUBLISHED, "i2v_small_swin", "i2v_small_cnn"])
def test_recipes(name: str, tmp_path: Path) -> None:
    config = RECIPES[name](("coco:x",), published=True)
    config = dataclasses.replace(config, unlabelled=("davis:x",))
    assert (config.warm_epochs, config.adversarial.mu, config.adversarial.ramp_batches) == (0, 1, 0)
    config.check()
    write_config(tmp_path / "config.json", config)
    assert read_config(tmp_path / "config.json") == config
    if name in PUBLISHED:
        frames = 2 * config.loop.batch * config.loop.accumulate  # images and clips
        row = (
            config.network.architecture,
            config.placement,
            config.loss,
            config.clips.size,
            config.clips.frames,
        )
        assert (*row, config.optimiser.lr, frames) == PUBLISHED[name]
        assert config.adversarial.clusters == 11
    else:
        parameters = sum(p.numel() for p in make_network(config.network, 11).parameters())
        assert parameters < 20_000_000
