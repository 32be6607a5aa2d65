"""Dense SimSiam on frames of videos: a method of densevos that lives outside of it.

SimSiam (Chen and He, CVPR 2021) sees two views of an image and predicts the embedding of one from
that of the other. Here every cell of the feature map does so, and the known transform between the
views says which cells belong together.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.config import ClipConfig, EncoderConfig, LoopConfig, OptimiserConfig, ViewConfig
from densevos.config.parts import require, shared_rules
from densevos.data.clips import ClipBatch, ClipDataset
from densevos.data.sources.open import open_source
from densevos.engine.learner import Learner
from densevos.learners.views import make_views
from densevos.methods.method import Method, Round, TrainingJob, data_of
from densevos.models.encoder import DenseEncoder, normalise, save_encoder
from densevos.objectives.anchors import align


def similarity_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean negative cosine between predictions [B,K,h,w] and targets [B,K,h,w], which carry no
    gradient (Eq. 1).
    """
    return -F.cosine_similarity(predicted, target.detach(), dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class SimSiamConfig:
    """A whole training run of dense SimSiam."""

    METHOD: ClassVar[str] = "simsiam:SIMSIAM"

    data: Path
    """Folder of frame folders or video files, or a text file that lists them."""
    hidden: int = 32
    """Channels of the predictor's hidden layer."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def check(self) -> None:
        """Raise InputError for values that cannot work."""
        require(
            [
                (self.hidden >= 1, "--hidden must be at least 1"),
                (
                    self.clips.size % self.encoder.stride == 0,
                    "--clips.size must be a multiple of --encoder.stride",
                ),
                *shared_rules(self.encoder, self.optimiser, self.loop),
            ]
        )


class SimSiam(Learner[ClipBatch]):
    """An encoder and a predictor."""

    def __init__(self, config: SimSiamConfig):
        super().__init__()
        self.config = config
        self.encoder = DenseEncoder(config.encoder)
        self.predictor = nn.Sequential(
            nn.Conv2d(config.encoder.key_channels, config.hidden, 1),
            nn.BatchNorm2d(config.hidden),
            nn.ReLU(),
            nn.Conv2d(config.hidden, config.encoder.key_channels, 1),
        )

    def forward(self, batch: ClipBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The losses of a batch of clips [B,T,3,H,W]; `generator` draws the second view."""
        device = next(self.parameters()).device
        frames = normalise(batch.frames.to(device).float() / 255)
        views = make_views(frames, self.config.views, generator)

        first = self.encoder(views.first.flatten(0, 1))  # [B*T,K,h,w]
        second = self.encoder(views.second.flatten(0, 1))
        theta = views.theta.repeat_interleave(frames.shape[1], dim=0)

        # The first view is moved onto the second, so that the same cell shows the same place.
        forth = similarity_loss(align(self.predictor(first), theta), second)
        back = similarity_loss(self.predictor(second), align(first, theta))
        loss = (forth + back) / 2

        # 1 / sqrt(K) for keys spread over the sphere, 0 when they have collapsed to one point.
        spread = second.detach().std(dim=(0, 2, 3)).mean()
        return {"loss": loss, "similarity": -loss.detach(), "spread": spread}


def make_learner(config: SimSiamConfig) -> SimSiam:
    """The learner with fresh weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return SimSiam(config)


def prepare(config: SimSiamConfig) -> TrainingJob:
    """The learner and the clips it learns from."""
    source = open_source(config.data)
    clips = ClipDataset(source, config.clips, config.loop.seed)
    return TrainingJob(
        learner=make_learner(config),
        optimisers={"": config.optimiser},
        data=data_of(config.data, source),
        rounds=[Round(data=lambda out: clips)],
    )


def restore(config: SimSiamConfig, state: dict) -> SimSiam:
    """The learner of a checkpoint."""
    learner = make_learner(config)
    learner.load_state_dict(state["learner"])
    return learner


def save(path: Path, learner: SimSiam, training: dict) -> None:
    """Write the encoder; the predictor has done its work."""
    save_encoder(path, learner.encoder, training)


SIMSIAM = Method(
    name="simsiam:SIMSIAM",
    config=SimSiamConfig,
    shown=("loss", "similarity", "spread"),
    prepare=prepare,
    restore=restore,
    save=save,
)


def simsiam_small(data: Path) -> SimSiamConfig:
    """Dense SimSiam for two CPU cores: 64 px crops of two frames, ResNet-18."""
    return SimSiamConfig(
        data=data,
        encoder=EncoderConfig(key_channels=64),
        clips=ClipConfig(frames=2, gap=2, size=64, short_side=(72, 96)),
        optimiser=OptimiserConfig(name="sgd", lr=0.05, schedule="cosine"),
        loop=LoopConfig(batch=4, epochs=20, log_every=1),
    )
