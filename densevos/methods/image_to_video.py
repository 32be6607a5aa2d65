"""Image-to-video adaptation: from sets on disk to a learner that trains on both domains."""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densevos.config import I2VConfig, to_dict
from densevos.data.segmentation.sets.registry import parse_spec
from densevos.methods.domains import Domains, find_class_weights, open_domains
from densevos.methods.examination import Examination
from densevos.methods.method import Data, Method, Product, Round, Training, TrainingJob

if TYPE_CHECKING:
    from densevos.data.segmentation.samples import DomainSamples
    from densevos.engine.checkpoint import State
    from densevos.learners.image_to_video import ImageToVideo

WARM_START, ADAPTATION = "warm_start", "adaptation"
"""Folders of the two rounds of a run with --warm-start; any other run has a single round."""
MODEL = "model.safetensors"
"""The trained model, in the run folder and after each round."""


def prepare(config: I2VConfig) -> TrainingJob:
    """Make the learner with its initial weights, and open the sets.

    Raises:
        InputError: Sets or weights cannot be used.
    """
    domains = open_domains(config)
    learner = make_adapter(config, domains)

    # --overwrite must delete none of these: parts of the sets, and a file of weights.
    names = (*config.labelled, *config.unlabelled)
    inputs: list[Path] = []
    if config.network.weights is not None and Path(config.network.weights).exists():
        inputs.append(Path(config.network.weights))

    # The adversary has an optimiser of its own, so that it can learn at another rate.
    optimisers = {"network": config.optimiser}
    if learner.adversary is not None:
        optimisers["adversary"] = config.discriminator_optimiser

    data = Data(
        source=" ".join(names),
        inputs=tuple(inputs),
        sets=tuple(parse_spec(name)[1] for name in names),
        videos=domains.shots,
        sha256=domains.fingerprint(),
    )
    rounds = _rounds(config, domains, learner)

    return TrainingJob(learner=learner, optimisers=optimisers, data=data, rounds=rounds)


def make_adapter(config: I2VConfig, domains: Domains) -> "ImageToVideo":
    """Make the learner with its initial weights; the same seed gives the same weights."""
    import torch

    from densevos.learners.image_to_video import ImageToVideo

    weights = find_class_weights(config, domains)
    # The caller's random numbers must not change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return ImageToVideo(_with_ramp(config, domains), domains.classes, weights)


def _with_ramp(config: I2VConfig, domains: Domains) -> I2VConfig:
    """The configuration with the number of batches over which mu rises.

    By default this is half of the batches that one process trains on with the adversary.
    """
    from densevos.engine import distributed
    from densevos.engine.loop import batch_of_one

    if config.adversarial.ramp_batches is not None:
        return config

    ranks = distributed.launched_world_size()
    # Processes share the frames of an epoch, and an incomplete batch is dropped.
    in_an_epoch = domains.labelled_frames // ranks // batch_of_one(config.loop, ranks)
    half = in_an_epoch * config.loop.epochs // 2
    adversarial = dataclasses.replace(config.adversarial, ramp_batches=max(half, 1))
    return dataclasses.replace(config, adversarial=adversarial)


def folders(config: I2VConfig) -> tuple[str, ...]:
    """The folders of the rounds, in the order of training."""
    return (WARM_START, ADAPTATION) if config.warm_epochs else ("",)


def _rounds(config: I2VConfig, domains: Domains, learner: "ImageToVideo") -> tuple[Round, ...]:
    """One round, or two with --warm-start; each of the two leaves its model."""

    # A round and its diagnosis read one data set, which remembers the videos that cannot be read.
    @functools.cache
    def samples(_: Path) -> "DomainSamples":
        from densevos.data.segmentation.samples import DomainSamples

        return DomainSamples(domains.source, domains.target, config.clips, config.loop.seed)

    examined: dict[str, Any] = {}
    if learner.adversary is not None:
        examination = Examination(config=config, learner=learner, samples=samples)
        examined = {"before": examination.before, "after": examination.after}

    # A run without a warm start trains in its own folder, on both domains from the first step.
    if not config.warm_epochs:
        return (Round(data=samples, **examined),)

    # The warm start sees only sets with labels, so its videos are the labelled ones.
    def labelled_samples(_: Path) -> "DomainSamples":
        from densevos.data.segmentation.samples import DomainSamples

        return DomainSamples(domains.source, domains.videos, config.clips, config.loop.seed)

    # Both rounds write the same kind of file, so the warm start can be used as a model by itself.
    def write_model(path: Path, training: Training) -> None:
        save(path, learner, {**training, "config": to_dict(config)})

    product = Product(name=MODEL, write=write_model)
    # The adversary takes no part in the warm start, so it has no optimiser here.
    warm_start = Round(
        data=labelled_samples,
        folder=WARM_START,
        epochs=config.warm_epochs,
        optimisers={"network": config.optimiser},
        begin=functools.partial(learner.warm_up, True),
        product=product,
    )
    # The network has converged by now, so the second round has its own learning rate.
    rate = config.optimiser.lr * config.adaptation_rate
    optimisers = {"network": dataclasses.replace(config.optimiser, lr=rate)}
    if learner.adversary is not None:
        optimisers["adversary"] = config.discriminator_optimiser

    adaptation = Round(
        data=samples,
        folder=ADAPTATION,
        optimisers=optimisers,
        begin=functools.partial(learner.warm_up, False),
        product=product,
        **examined,
    )

    return warm_start, adaptation


def restore(config: I2VConfig, state: "State") -> "ImageToVideo":
    """Make the learner of a checkpoint, of a run with this configuration."""
    from densevos.learners.image_to_video import ImageToVideo

    # The checkpoint holds all weights, so the initial ones are not read, or downloaded, again.
    random = dataclasses.replace(config, network=dataclasses.replace(config.network, weights=None))
    # Classes and their weights come from the checkpoint, so the sets need not be there to export.
    weights = state["learner"]
    learner = ImageToVideo(random, weights["_extra_state"]["classes"], weights.get("class_weights"))
    learner.load_state_dict(weights)

    return learner


def save(path: Path, learner: "ImageToVideo", training: Training) -> None:
    """Write the segmentation model and its card."""
    from densevos.models.segmentation.network import save_network

    network = learner.network
    # Runs without an adversary have no diagnosis, and their card has no such entry.
    examined = {} if learner.diagnosis is None else {"diagnosis": learner.diagnosis}
    save_network(
        path,
        network,
        config=learner.config.network,
        classes=learner.classes,
        size=learner.config.clips.size,
        training={**training, **examined, "initial_weights": network.initial_weights},
    )


METHOD = Method(
    name=I2VConfig.METHOD,
    config=I2VConfig,
    shown=("loss", "segmentation", "adversarial"),
    best="segmentation",  # A good encoder makes the adversary's loss high, not low.
    folders=folders,
    file=MODEL,
    prepare=prepare,
    restore=restore,
    save=save,
)
