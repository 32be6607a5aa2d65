"""The learner of image-to-video adaptation: losses, gradients, BatchNorm, padded frames, several
processes.
"""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from densevos.base.errors import InputError
from densevos.config import (
    AdversarialConfig,
    ClipConfig,
    I2VConfig,
    LoopConfig,
    NetworkConfig,
    OptimiserConfig,
)
from densevos.data.segmentation.samples import DomainBatch
from densevos.learners import adversary
from densevos.learners.image_to_video import ImageToVideo, discriminator_of
from tests.ranks import run_two_ranks

SWIN = NetworkConfig(embed_dim=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, hidden=8)
VIDEO = dataclasses.replace(SWIN, architecture="video_swin", clip_frames=2)
CNN = NetworkConfig(architecture="deeplabv3", backbone="resnet18", stride=16)
STILLS = ClipConfig(frames=1, gap=1, size=64, short_side=(64, 80))
PAIRS = AdversarialConfig(clusters=3, iterations=5, pairs=30)


def config_of(network: NetworkConfig = SWIN, **changes) -> I2VConfig:
    frames = network.clip_frames if network.architecture == "video_swin" else 1
    defaults = {
        "labelled": ("folder:nowhere",),
        "unlabelled": ("videos:nowhere",),
        "network": network,
        "clips": dataclasses.replace(STILLS, frames=frames),
        "adversarial": PAIRS,
        "placement": "global" if network.architecture == "deeplabv3" else "spatial",
        "optimiser": OptimiserConfig(
            name="adamw", lr=1e-3, betas=(0.9, 0.999), bias_lr_factor=1, schedule="poly"
        ),
        "discriminator_optimiser": OptimiserConfig(
            name="sgd", lr=1e-2, schedule="cosine", clip_gradient=1.0
        ),
        "loop": LoopConfig(
            batch=2,
            epochs=2,
            workers=0,
            log_every=1,
            checkpoint_every=1,
            device="cpu",
            precision="fp32",
        ),
    }
    return I2VConfig(**{**defaults, **changes})


def learner_of(config: I2VConfig, weights: Tensor | None = None) -> ImageToVideo:
    torch.manual_seed(0)
    return ImageToVideo(config, ("low", "high", "other"), weights).train()


def batch_of(
    config: I2VConfig, images: int = 2, clips: int = 2, *, labelled: bool = False
) -> DomainBatch:
    draw = torch.Generator().manual_seed(1)
    frames, size = config.clips.frames, config.clips.size

    def pixels(*shape: int) -> Tensor:
        return torch.randint(0, 256, (*shape, 3, size, size), dtype=torch.uint8, generator=draw)

    def ids(*shape: int) -> Tensor:
        return torch.randint(0, 3, (*shape, size, size), dtype=torch.uint8, generator=draw)

    return DomainBatch(
        images=pixels(images),
        image_labels=ids(images),
        clips=pixels(clips, frames),
        clip_labels=ids(clips, frames)
        if labelled
        else torch.full((clips, frames, size, size), 255).byte(),
        real=torch.ones(clips, frames, dtype=torch.bool),
        labelled=torch.full((clips, frames), labelled),
        names=("x",) * images,
        skipped=(),
    )


def step(learner: ImageToVideo, batch: DomainBatch) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return learner(batch, torch.Generator().manual_seed(0))


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


VARIANTS = [
    (SWIN, {"loss": "none"}),
    (SWIN, {"loss": "general"}),
    (SWIN, {"loss": "general", "adversarial": dataclasses.replace(PAIRS, unit="tokens")}),
    (SWIN, {"loss": "general", "placement": "global"}),
    (SWIN, {"loss": "clustered"}),
    (SWIN, {"loss": "clustered", "placement": "stage3"}),
    (
        SWIN,
        {
            "loss": "clustered",
            "adversarial": dataclasses.replace(PAIRS, unit="tokens", discriminator="siamese"),
        },
    ),
    (
        SWIN,
        {
            "loss": "clustered",
            "adversarial": dataclasses.replace(PAIRS, unit="tokens", ratio=(2, 1, 1)),
        },
    ),
    (CNN, {"loss": "none", "batchnorm": "frozen"}),
    (CNN, {"loss": "general", "batchnorm": "separate"}),
    (CNN, {"loss": "clustered", "placement": "stage4"}),
    (VIDEO, {"loss": "general"}),
    (
        VIDEO,
        {"loss": "general", "adversarial": dataclasses.replace(PAIRS, discriminator="patch3d")},
    ),
    (VIDEO, {"loss": "clustered"}),
]


@pytest.mark.parametrize(("network", "changes"), VARIANTS)
def test_every_variant_has_its_losses_and_a_gradient_everywhere(
    network: NetworkConfig, changes: dict
) -> None:
    config = config_of(network, **changes)
    if (
        config.loss == "general" and network is VIDEO
    ):  # patches need 16 x 16 cells, which these frames have
        assert discriminator_of(config) in ("patch2d", "patch3d")
    config.check()
    learner = learner_of(config)
    losses = step(learner, batch_of(config, clips=0 if config.loss == "none" else 2))
    assert all(torch.isfinite(value).all() for value in losses.values())
    if config.loss == "none":
        assert losses.keys() == {"loss", "segmentation"}
    else:
        known = {
            "loss",
            "segmentation",
            "adversarial",
            "chance",
            "accuracy_source",
            "accuracy_target",
            "mu",
        }
        more = (
            {"accuracy_mixed", "clusters_used", "coverage", "domain_mix"}
            if config.loss == "clustered"
            else set()
        )
        assert losses.keys() == known | more
        torch.testing.assert_close(losses["loss"], losses["segmentation"] + losses["adversarial"])
        assert float(losses["chance"]) == pytest.approx(chance_of(config), abs=1e-4)
    losses["loss"].backward()
    assert [name for name, p in learner.named_parameters() if p.grad is None] == []


def chance_of(config: I2VConfig) -> float:
    if config.loss == "clustered":
        return 0.6365 if config.adversarial.ratio == (1, 1, 1) else 0.6931
    # An image is one frame, a clip two.
    return 0.6365 if config.network is VIDEO and discriminator_of(config) == "patch2d" else 0.6931


def test_discriminators_are_the_papers() -> None:
    kinds = {
        "conv": config_of(CNN),
        "maps": config_of(SWIN),
        "global": config_of(SWIN, placement="global"),
        "tokens": config_of(SWIN, adversarial=AdversarialConfig(unit="tokens")),
        "patch2d": config_of(VIDEO),
        "pairs": config_of(SWIN, loss="clustered"),
        "patch3d": config_of(VIDEO, adversarial=AdversarialConfig(discriminator="patch3d")),
    }
    assert {kind: discriminator_of(config) for kind, config in kinds.items()} == {
        kind: kind for kind in kinds
    }


@pytest.mark.parametrize("loss", ["general", "clustered"])
def test_the_loss_reaches_the_encoder_reversed_and_the_discriminator_as_it_is(loss: str) -> None:
    """At mu the encoder gets -mu times the plain gradient of L_a; the discriminator's does not know
    mu.
    """
    grads = {}
    for mu in (0.0, 1.0, 2.0):
        config = config_of(loss=loss, adversarial=dataclasses.replace(PAIRS, mu=mu))
        learner = learner_of(config)
        step(learner, batch_of(config))["adversarial"].backward()
        grads[mu] = gradients(learner)
    patches = next(
        name
        for name in grads[1.0]
        if name.startswith("network.") and grads[1.0][name].abs().sum() > 0
    )
    assert not grads[0.0][patches].any()
    torch.testing.assert_close(grads[2.0][patches], 2 * grads[1.0][patches])
    for name in (n for n in grads[1.0] if n.startswith("adversary.")):
        torch.testing.assert_close(grads[2.0][name], grads[1.0][name])
    # One small step of the network along the descent direction of the total makes the
    # discriminator's loss larger.
    config = config_of(loss=loss)
    learner = learner_of(config)
    before = step(learner, batch_of(config))["adversarial"]
    before.backward()
    with torch.no_grad():
        for parameter in learner.network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad
    assert step(learner, batch_of(config))["adversarial"] > before


def test_only_labelled_frames_pay_for_segmentation() -> None:
    config = config_of(loss="none")
    learner = learner_of(config).eval()
    images, both = (step(learner, batch_of(config, clips=n))["segmentation"] for n in (0, 2))
    torch.testing.assert_close(images, both)
    labelled = step(learner, batch_of(config, labelled=True))["segmentation"]
    videos = step(learner, batch_of(config, images=0, labelled=True))
    assert labelled != images
    assert torch.isfinite(videos["segmentation"])


def test_class_weights_count() -> None:
    config, first = config_of(loss="none"), torch.tensor([1.0, 0.0, 0.0])
    batch = dataclasses.replace(
        batch := batch_of(config), image_labels=torch.zeros_like(batch.image_labels)
    )
    plain = step(learner_of(config).eval(), batch)["segmentation"]
    torch.testing.assert_close(step(learner_of(config, first).eval(), batch)["segmentation"], plain)
    assert step(learner_of(config, 1 - first).eval(), batch)["segmentation"] == 0


@pytest.mark.parametrize(("padded", "reached"), [("masked", False), ("literal", True)])
def test_padded_frames_carry_an_adversarial_gradient_only_if_asked(
    padded: str, reached: bool
) -> None:
    config = config_of(VIDEO, adversarial=dataclasses.replace(PAIRS, padded=padded))
    learner = learner_of(config)
    encode, kept = learner.network.encode, {}

    def watch(frames: Tensor) -> dict[str, Tensor]:
        features = encode(frames)
        kept["tap"] = features["spatial"]
        kept["tap"].retain_grad()
        return features

    learner.network.encode = watch  # type: ignore[method-assign]
    step(learner, batch_of(config))["adversarial"].backward()
    gradient = kept["tap"].grad
    assert gradient[:, 0].any()
    assert gradient[2:, 1].any()  # the videos' second frames
    assert bool(gradient[:2, 1].any()) == reached  # the images' are empty


def test_batchnorm_joint_separate_and_frozen() -> None:
    statistics = {}
    for mode in ("joint", "separate", "frozen"):
        config = config_of(CNN, batchnorm=mode)
        learner = learner_of(config)
        step(learner, batch_of(config))
        norm = learner.network.backbone.bn1
        statistics[mode] = norm.running_mean.clone(), int(norm.num_batches_tracked)
    assert [count for _, count in statistics.values()] == [1, 2, 0]
    assert not statistics["frozen"][0].any()
    assert not torch.allclose(statistics["joint"][0], statistics["separate"][0])


def test_mu_rises_with_the_batches() -> None:
    config = config_of(adversarial=dataclasses.replace(PAIRS, mu=0.5, ramp_batches=3))
    learner = learner_of(config)
    seen = [float(step(learner, batch_of(config))["mu"]) for _ in range(5)]
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[3] == seen[4] == pytest.approx(0.5, rel=1e-3)
    assert int(learner.state_dict()["adversary.batches"]) == 5


def test_more_clusters_than_maps_name_the_flag() -> None:
    config = config_of(loss="clustered", adversarial=dataclasses.replace(PAIRS, clusters=33))
    with pytest.raises(InputError, match=r"--adversarial\.clusters 33: a batch has only 32 maps"):
        step(learner_of(config), batch_of(config))


@pytest.mark.parametrize(
    ("loss", "kind"), [("general", "siamese"), ("general", "pairs"), ("clustered", "maps")]
)
def test_a_discriminator_of_the_other_loss_is_refused(loss: str, kind: str) -> None:
    with pytest.raises(
        InputError, match=f"--adversarial.discriminator {kind} is not of --loss {loss}: pairs and"
    ):
        config_of(loss=loss, adversarial=dataclasses.replace(PAIRS, discriminator=kind)).check()


def test_a_cnn_has_no_patch_embedding() -> None:
    with pytest.raises(InputError, match="--placement spatial: a CNN has no patch embedding"):
        config_of(CNN, placement="spatial").check()


def _no_pairs_on_one_rank(rank: int, out: Path) -> None:
    config = config_of(loss="clustered")
    learner = learner_of(config)
    if rank == 1:  # a cluster for each map: none holds both domains
        adversary.kmeans = lambda points, *_: (torch.arange(len(points)), points)
    model = DistributedDataParallel(learner)
    for _ in range(2):
        losses = model(batch_of(config), torch.Generator().manual_seed(rank))
        losses["loss"].backward()
    torch.save((gradients(learner), float(losses["adversarial"].detach())), out / f"{rank}.pt")


def test_a_rank_without_pairs_has_no_missing_gradient(tmp_path: Path) -> None:
    run_two_ranks(_no_pairs_on_one_rank, tmp_path, tmp_path)
    (first, some), (second, none) = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert some > 0 == none
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name])
    assert all(first[name].isfinite().all() for name in first)
