"""A run that first trains on the labelled sets alone: what it equals, where it can be stopped, what
it leaves.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from densevos.base.errors import InputError
from densevos.config import AdversarialConfig, I2VConfig
from densevos.engine import checkpoint
from densevos.inference.info import describe
from densevos.learners import probe
from densevos.methods import examination
from densevos.methods.domains import open_domains
from densevos.methods.image_to_video import make_adapter
from densevos.models.segmentation.network import load_network, make_network, save_network
from densevos.training import export, train
from tests.densevos.data.segmentation.test_domain_samples import labelled_images
from tests.densevos.learners.test_image_to_video import CNN, SWIN, VIDEO, config_of
from tests.densevos.methods.test_adaptation import assert_same
from tests.ranks import run_two_ranks


@pytest.fixture
def warm(tmp_path: Path, videos: Path) -> I2VConfig:
    """Two steps of warm start and two with the adversary."""
    spec = labelled_images(tmp_path / "stills", 4)
    config = config_of(
        labelled=(spec,),
        unlabelled=(f"videos:{videos}",),
        loss="general",
        placement="global",
        adversarial=AdversarialConfig(ramp_batches=None),
        warm_start=1,
    )
    return dataclasses.replace(config, loop=dataclasses.replace(config.loop, epochs=1, keep_last=5))


def state(folder: Path) -> dict:
    path = checkpoint.latest(folder / "checkpoints")
    assert path is not None
    return checkpoint.load(path)


def weights(found: dict) -> dict:
    """All that a step depends on; the weights that a run started from are named otherwise, and
    counters count on.
    """
    learner = {
        name: value
        for name, value in found["learner"].items()
        if name != "_extra_state" and not name.endswith("num_batches_tracked")
    }
    return {
        **learner,
        **{
            name: value
            for name, value in found.items()
            if name.startswith(("optimiser", "schedule"))
        },
    }


def test_it_equals_two_commands_and_goes_on_wherever_it_was_stopped(
    warm: I2VConfig, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    result = train(warm, whole)
    assert result.steps == 4
    expected = weights(state(whole / "adaptation"))

    # Two commands.
    first = dataclasses.replace(warm, loss="none", warm_start=0)
    train(first, tmp_path / "first")
    network = dataclasses.replace(warm.network, weights=str(tmp_path / "first"))
    train(dataclasses.replace(warm, warm_start=0, network=network), tmp_path / "second")
    assert_same(weights(state(tmp_path / "second")), expected)
    baseline, _ = load_network(whole / "warm_start" / "model.safetensors")
    assert_same(
        baseline.state_dict(),
        load_network(tmp_path / "first" / "model.safetensors")[0].state_dict(),
    )

    # Stopped in the warm start, between the rounds, and in the second one.
    later = {
        "in_first": [
            "adaptation",
            "diagnosis.json",
            "warm_start/model.safetensors",
            "warm_start/checkpoints/*2.pt",
        ],
        "between": ["adaptation"],
        "in_second": ["adaptation/model.safetensors", "adaptation/checkpoints/*2.pt"],
    }
    for name, patterns in later.items():
        run = tmp_path / name
        shutil.copytree(whole, run)
        for path in [path for pattern in ("model.*", *patterns) for path in run.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert train(warm, run, resume="auto").steps == 4
        assert_same(weights(state(run / "adaptation")), expected)
        assert json.loads((run / "model.json").read_text())["training"]["steps"] == 4


def test_it_leaves_both_models_and_a_card_that_tells_the_rounds(
    warm: I2VConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(warm, run)
    _, card = load_network(run / "model.safetensors")
    assert card["training"]["steps"] == 4
    assert card["training"]["steps_by_round"] == {"warm_start": 2, "adaptation": 2}
    assert card["training"]["diagnosis"]["case"] in ("undecided", "beaten", "dead", "blind")
    assert describe(str(run))["training"]["steps"] == 4
    assert describe(str(run / "warm_start"))["training"]["config"]["warm_start"] == 1

    logs = {
        name: (run / name / "metrics.jsonl").read_text().splitlines()
        for name in ("warm_start", "adaptation")
    }
    assert not any("adversarial" in line for line in logs["warm_start"])
    # The ramp starts with the adversary, and None is the two batches of an epoch.
    first, second = (json.loads(line)["mu"] for line in logs["adaptation"])
    assert first == 0 < second < 1

    for name, folder in (
        ("last", run),
        ("warm", run / "warm_start"),
        ("best", run / "warm_start/checkpoints/best.pt"),
    ):
        export(folder, tmp_path / f"{name}.safetensors")
    last_file = run / "model.safetensors"
    assert_same(
        *(load_network(file)[0].state_dict() for file in (tmp_path / "last.safetensors", last_file))
    )
    warm_file = run / "warm_start" / "model.safetensors"
    assert_same(
        *(load_network(file)[0].state_dict() for file in (tmp_path / "warm.safetensors", warm_file))
    )

    # A checkpoint of either round can be gone on from, but none of another run.
    for round_ in ("adaptation", "warm_start"):
        last = run / round_ / "checkpoints" / "step-00000002.pt"
        assert train(warm, run, resume=str(last)).steps == 4
    with pytest.raises(InputError, match=r"step-00000001\.pt: is of a round that is finished"):
        train(warm, run, resume=str(run / "warm_start" / "checkpoints" / "step-00000001.pt"))
    with pytest.raises(
        InputError, match=r"--resume .*: is a checkpoint of another run.*choose one below"
    ):
        train(warm, tmp_path / "new", resume=str(last))

    # The run is where another one starts from, and is not deleted for it.
    network = dataclasses.replace(warm.network, weights=str(run))
    again = dataclasses.replace(warm, warm_start=None, network=network)
    assert again.warm_epochs == 0
    assert train(again, tmp_path / "again").steps == 2
    with pytest.raises(InputError, match="--overwrite would delete"):
        train(again, run, overwrite=True)
    (run / "model.safetensors").unlink()
    with pytest.raises(
        InputError,
        match=r"--network.weights .*run: holds no model.safetensors; finish its training",
    ):
        train(again, tmp_path / "third")


def test_a_warm_start_without_an_adversary_is_a_mistake(warm: I2VConfig) -> None:
    with pytest.raises(
        InputError, match=r"^--warm-start 1: --loss none has no adversary .*leave one of them out$"
    ):
        dataclasses.replace(warm, loss="none").check()
    with pytest.raises(InputError, match="--warm-start must not be negative"):
        dataclasses.replace(warm, warm_start=-1).check()
    automatic = dataclasses.replace(warm, warm_start=None)
    assert automatic.warm_epochs == 20
    dataclasses.replace(automatic, loss="none").check()


def _train_one_of_two(rank: int, config: I2VConfig, out: Path) -> None:
    torch.set_num_threads(1)
    examination.MOST_BATCHES = probe.STEPS = 2  # This process is a new one.
    train(config, out)


@pytest.mark.slow
def test_several_processes_have_a_warm_start(warm: I2VConfig, tmp_path: Path) -> None:
    """The discriminator, which takes no part in it, must not hold up the exchange of gradients."""
    one = dataclasses.replace(warm, loop=dataclasses.replace(warm.loop, global_batch=4))
    run_two_ranks(_train_one_of_two, tmp_path, one, tmp_path / "run")
    _, card = load_network(tmp_path / "run" / "model.safetensors")
    assert card["training"]["steps_by_round"] == {"warm_start": 1, "adaptation": 1}
    assert card["training"]["diagnosis"]["before"]["own"] is None


@pytest.mark.parametrize(
    ("made", "wanted", "names", "reason"),
    [
        (
            SWIN,
            SWIN,
            ("low", "tall"),
            r"its class 1 is tall, and that of --labelled is high; .*--wanted",
        ),
        (SWIN, SWIN, ("high", "low"), r"its class 0 is high, and that of --labelled is low"),
        (
            SWIN,
            CNN,
            ("low", "high"),
            r"is not of this deeplabv3 \(backbone.conv1.weight does not fit\)",
        ),
        (CNN, SWIN, ("low", "high"), r"is not of this swin_upernet \(.* does not fit\)"),
        (
            SWIN,
            dataclasses.replace(SWIN, depths=(2, 1, 1, 1)),
            ("low", "high"),
            r"is not of this swin_upernet",
        ),
        (
            dataclasses.replace(SWIN, depths=(2, 1, 1, 1)),
            SWIN,
            ("low", "high"),
            r"is not of this swin_upernet, which has no backbone",
        ),
    ],
)
def test_weights_of_other_classes_or_networks_are_refused(
    made, wanted, names: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.safetensors"
    save_network(file, make_network(made, 2), config=made, classes=names, size=64, training={})
    for spec in (file, tmp_path):
        with pytest.raises(InputError, match=rf"--network.weights {spec}: {reason}"):
            make_network(dataclasses.replace(wanted, weights=str(spec)), 2, ("low", "high"))


def test_weights_of_as_many_classes_that_are_the_same_ones_and_of_images_for_clips_fit(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model.safetensors"
    save_network(
        file, make_network(SWIN, 2), config=SWIN, classes=("low", "high"), size=64, training={}
    )
    for config in (SWIN, VIDEO):
        made = make_network(dataclasses.replace(config, weights=str(file)), 2, ("low", "high"))
        assert made.initial_weights == str(file)


def test_mu_rises_over_half_of_the_training_unless_batches_are_given(warm: I2VConfig) -> None:
    longer = dataclasses.replace(warm, loop=dataclasses.replace(warm.loop, epochs=10))
    domains = open_domains(longer)
    batches = domains.labelled_frames // longer.loop.batch * 10
    learner = make_adapter(longer, domains)
    assert learner.config.adversarial.ramp_batches == batches // 2

    constant = dataclasses.replace(longer, adversarial=AdversarialConfig(ramp_batches=0))
    assert make_adapter(constant, domains).config.adversarial.ramp_batches == 0
