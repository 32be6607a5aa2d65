"""DUL: anchor-based space-time self-training on clips of unlabelled videos."""

from pathlib import Path
from typing import TYPE_CHECKING

from densevos.config import TrainConfig
from densevos.data.sources.open import open_source
from densevos.methods.method import Method, Round, Training, TrainingJob, data_of

if TYPE_CHECKING:
    from densevos.data.clips import ClipDataset
    from densevos.engine.checkpoint import State
    from densevos.learners.self_training import SelfTraining


def prepare(config: TrainConfig) -> TrainingJob:
    """Make the learner with fresh weights, and open the videos.

    Raises:
        InputError: The videos cannot be used.
    """
    source = open_source(config.data)

    # Imports that load torch stay inside functions, so that recipes are listed quickly.
    def clips(_: Path) -> "ClipDataset":
        from densevos.data.clips import ClipDataset

        return ClipDataset(source, config.clips, config.loop.seed)

    # One optimiser for the complete learner, and one round in the run folder itself.
    return TrainingJob(
        learner=make_learner(config),
        optimisers={"": config.optimiser},
        data=data_of(config.data, source),
        rounds=(Round(data=clips),),
    )


def make_learner(config: TrainConfig) -> "SelfTraining":
    """Make the learner with random weights; the same seed gives the same weights."""
    import torch

    from densevos.learners.self_training import SelfTraining
    from densevos.models.encoder import DenseEncoder

    # The caller's random numbers must not change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return SelfTraining(DenseEncoder(config.encoder), config.objective, config.views)


def restore(config: TrainConfig, state: "State") -> "SelfTraining":
    """Make the learner of a checkpoint."""
    learner = make_learner(config)
    # The weights of the checkpoint replace the random ones, down to the last buffer.
    learner.load_state_dict(state["learner"])
    return learner


def save(path: Path, learner: "SelfTraining", training: Training) -> None:
    """Write the encoder and its card."""
    from densevos.models.encoder import save_encoder

    save_encoder(path, learner.encoder, training)


METHOD = Method(
    name=TrainConfig.METHOD,
    config=TrainConfig,
    shown=("loss", "self_training", "cross_view", "agreement"),
    prepare=prepare,
    restore=restore,
    save=save,
)
