"""Parts of a configuration that every method shares."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from densevos.base.errors import InputError

ADDED_LATER = {"added_later": True}
"""Metadata of a field that configuration files of older runs lack: the default is what they ran
with.
"""


# The options of all configurations are the fields of frozen dataclasses. The text below a field is
# its help on the command line, so reasons that users need not read stand in comments.
@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Architecture of an encoder."""

    architecture: Literal["resnet18", "resnet50"] = "resnet18"
    """Backbone."""
    stride: Literal[4, 8, 16, 32] = 8
    """Pixels per feature cell."""
    key_channels: int = 128
    """Number of channels of the embedding that the objectives compare (K)."""
    last: Literal["res3", "res4"] = "res4"
    """Last stage of the ResNet that is used."""
    dilated: bool = False
    """Dilate the convolutions of the stages that lost their stride, so that they see as much as
    before.
    """
    channels: int | None = None
    """Reduce the last stage to this number of channels before the head. Without this option it
    stays as it is.
    """
    head: Literal["mlp", "linear"] = "mlp"
    """Layers from features to embedding: mlp has two (DUL), linear has one (MuG)."""
    input: Literal["rgb", "lab_l"] = field(default="rgb", metadata=ADDED_LATER)
    """What the backbone sees: colours (rgb), or three times the lightness of CIE Lab (lab_l, as in
    MuG's release).
    """


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Optimiser and learning rate schedule (decisions D10, D31 and D49)."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser."""
    lr: float = 1e-4
    """Learning rate at the start."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Betas of Adam and AdamW."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 5e-4
    """Weight decay of weights: L2 in the gradient, or decoupled for adamw. Biases have none."""
    bias_lr_factor: float = 2.0
    """Learning rate of biases, as a multiple of that of weights."""
    schedule: Literal["step", "cosine", "poly"] = "step"
    """How the learning rate falls: step, cosine, or poly, (1 - step / steps) to the power of
    0.9.
    """
    decay_every: int = 100
    """Epochs between two decays of the schedule step."""
    decay_factor: float = 0.5
    """Factor of each decay of the schedule step."""
    warmup: int = 0
    """Number of epochs of linear warm-up."""
    clip_gradient: float | None = None
    """Largest norm of the gradient. Without this option the gradient is not clipped."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, how fast, where, and what is kept."""

    batch: int = 16
    """Clips in each step of one process (B)."""
    epochs: int = 500
    """Number of epochs; an epoch takes one clip of each video."""
    seed: int = 0
    """Seed of weights, clips and all other random choices."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Precision of products and convolutions; auto is bf16 where the processor multiplies it
    natively, else fp32.
    """
    channels_last: bool = True
    """Store images with their channels last, which most processors compute faster."""
    workers: int = 1
    """Processes that read clips; 0 reads in the training process. The result does not depend on
    it.
    """
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    checkpoint_every: int | None = None
    """Steps between two checkpoints. Without this option --loop.checkpoint-minutes counts."""
    keep_last: int = 2
    """Number of newest checkpoints that are kept besides the best."""
    accumulate: int = field(default=1, metadata=ADDED_LATER)
    """Number of batches whose gradients make one step."""
    reader_timeout: int = field(default=180, metadata=ADDED_LATER)
    """Seconds that a reading process (--loop.workers) may spend on one video. One that takes longer
    is killed, and the video left out."""
    global_batch: int | None = field(default=None, metadata=ADDED_LATER)
    """Clips in each step of all processes together. Without this option each process takes
    --loop.batch.
    """
    sync_batchnorm: bool = field(default=False, metadata=ADDED_LATER)
    """Compute the statistics of BatchNorm over all processes. Without this option each process has
    its own.
    """
    checkpoint_minutes: float = field(default=10.0, metadata=ADDED_LATER)
    """Minutes between two checkpoints."""
    encoder_every: int = field(default=0, metadata=ADDED_LATER)
    """Epochs between two encoders, or models, that are kept in encoders/; 0 keeps the last one
    only.
    """
    max_broken: float = field(default=0.05, metadata=ADDED_LATER)
    """Share of videos that may be broken. A run that finds more of them, and more than one, stops
    and lists them.
    """
    rank_timeout: int = field(default=600, metadata=ADDED_LATER)
    """Seconds that processes of torchrun wait for another one before they stop and name it."""
    compile: bool = field(default=False, metadata=ADDED_LATER)
    """Compile parts of a step of DUL with torch.compile. It takes minutes once, and results are
    rounded differently.
    """
    panels_every: int = field(default=500, metadata=ADDED_LATER)
    """Steps between two pictures of what the objective of DUL sees, in TensorBoard; 0 draws
    none.
    """
    wandb: str | None = field(default=None, metadata=ADDED_LATER)
    """Project of Weights & Biases that the run is also logged in (pip install
    'densevos[wandb]').
    """


# A protocol and not a base class: every method's configuration has fields of its own.
class RunConfig(Protocol):
    """A whole training run: what every method's configuration, a frozen dataclass, has in common.

    Its fields are the options of `densevos train` and the keys of config.json.
    """

    METHOD: ClassVar[str]
    """The name of its method; see `densevos.methods.method`."""

    @property
    def loop(self) -> LoopConfig:
        """How long, how fast, where, and what is kept."""
        ...

    def check(self) -> None:
        """Raise InputError for values that cannot work, alone or together; the message names the
        flag.
        """
        ...


# A pair and not an if: all demands of a configuration then read as one table.
Rule = tuple[bool, str]
"""What must hold, and the complaint when it does not, which names the flag."""


def require(rules: Iterable[Rule]) -> None:
    """Raise InputError with the complaint of the first rule that does not hold."""
    # The first complaint is enough: an error names one option.
    for holds, complaint in rules:
        if not holds:
            raise InputError(complaint)


def shared_rules(
    encoder: EncoderConfig, optimiser: OptimiserConfig, loop: LoopConfig
) -> Iterable[Rule]:
    """What must hold of the parts above."""
    return (
        (encoder.key_channels >= 1, "--encoder.key-channels must be at least 1"),
        *optimiser_rules(optimiser),
        *loop_rules(loop),
    )


def optimiser_rules(optimiser: OptimiserConfig, flag: str = "--optimiser") -> Iterable[Rule]:
    """What must hold of an optimiser, whose options begin with `flag`."""
    return (
        # The flag differs because the adversary has an optimiser of its own.
        (optimiser.lr > 0, f"{flag}.lr must be positive"),
        (optimiser.decay_every >= 1, f"{flag}.decay-every must be at least 1"),
        (
            # At 1 the running mean of the gradients would never move.
            all(0 <= beta < 1 for beta in optimiser.betas),
            f"{flag}.betas must lie within 0..1, without 1",
        ),
        (optimiser.momentum >= 0, f"{flag}.momentum must not be negative"),
        (optimiser.weight_decay >= 0, f"{flag}.weight-decay must not be negative"),
        (optimiser.bias_lr_factor >= 0, f"{flag}.bias-lr-factor must not be negative"),
        (optimiser.warmup >= 0, f"{flag}.warmup must not be negative"),
        (
            # None means no clipping; 0 would stop all learning.
            optimiser.clip_gradient is None or optimiser.clip_gradient > 0,
            f"{flag}.clip-gradient must be positive",
        ),
    )


def loop_rules(loop: LoopConfig) -> Iterable[Rule]:
    """What must hold of the loop."""
    return (
        # 4294967295 is 2**32 - 1: a seed has 32 bits.
        (0 <= loop.seed < 2**32, "--loop.seed must be 0..4294967295"),
        (loop.batch >= 1, "--loop.batch must be at least 1"),
        (loop.epochs >= 1, "--loop.epochs must be at least 1"),
        (loop.workers >= 0, "--loop.workers must not be negative"),
        (loop.log_every >= 1, "--loop.log-every must be at least 1"),
        (
            # None leaves the choice to another option, so only a number is checked.
            loop.checkpoint_every is None or loop.checkpoint_every >= 1,
            "--loop.checkpoint-every must be at least 1",
        ),
        (loop.keep_last >= 1, "--loop.keep-last must be at least 1"),
        (loop.accumulate >= 1, "--loop.accumulate must be at least 1"),
        (loop.reader_timeout >= 1, "--loop.reader-timeout must be at least 1"),
        (
            # None means that every process takes a batch of its own size.
            loop.global_batch is None or loop.global_batch >= 1,
            "--loop.global-batch must be at least 1",
        ),
        (loop.checkpoint_minutes > 0, "--loop.checkpoint-minutes must be positive"),
        (loop.encoder_every >= 0, "--loop.encoder-every must not be negative"),
        (loop.panels_every >= 0, "--loop.panels-every must not be negative"),
        (0 <= loop.max_broken <= 1, "--loop.max-broken must lie within 0..1"),
        (
            # Otherwise the other processes would give up before the slow video is given up.
            loop.rank_timeout > loop.reader_timeout,
            "--loop.rank-timeout must be more than --loop.reader-timeout: other processes wait for "
            "a slow reader",
        ),
    )
