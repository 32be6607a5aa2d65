"""Configuration of image-to-video adversarial segmentation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from densevos.config.parts import (
    ADDED_LATER,
    LoopConfig,
    OptimiserConfig,
    Rule,
    loop_rules,
    optimiser_rules,
    require,
)
from densevos.config.self_training import ClipConfig
from densevos.config.sets import SetOptions

# Each Literal lists all choices of an option.
Architecture = Literal["deeplabv3", "swin_upernet", "video_swin"]
Backbone = Literal["resnet18", "resnet50", "resnet101", "efficientnet_lite0"]
# "auto" stands for the papers' discriminator of the network and placement.
Discriminator = Literal[
    "auto", "conv", "maps", "tokens", "global", "patch2d", "patch3d", "pairs", "siamese"
]

WARM_START_EPOCHS = 20
"""What --warm-start None means for a network that starts from random weights."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A segmentation network; the defaults are the papers' (decision D46)."""

    architecture: Architecture = "swin_upernet"
    """Network: a CNN (DeepLabV3), a 2D transformer (Swin + UperNet), or a 3D one (Video Swin with
    UperNet on each frame)."""
    backbone: Backbone = "resnet101"
    """Encoder of deeplabv3: a ResNet, or the smaller EfficientNet-lite0."""
    stride: Literal[8, 16] = 8
    """Pixels per cell of the last features of deeplabv3."""
    embed_dim: int = 96
    """Channels of the patch embedding of a Swin; each later stage has twice as many."""
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    """Blocks of a Swin's stages."""
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    """Attention heads of a Swin's stages."""
    window: int = 7
    """Side of a Swin's attention windows, tokens."""
    drop_path: float = 0.1
    """Stochastic depth of a Swin: the probability that training skips the last block; it falls
    to 0 at the first one."""
    hidden: int = 512
    """Channels of UperNet's layers."""
    clip_frames: int = 4
    """Frames that video_swin sees at once."""
    checkpointing: bool = False
    """Recompute activations in the backward pass instead of keeping them: less memory, slower
    steps."""
    weights: str | None = None
    """Initial weights: COCO_WITH_VOC_LABELS_V1 (deeplabv3), openmmlab/upernet-swin-tiny (Swin),
    imagenet (the encoder of deeplabv3), the run folder of a network or encoder that was trained
    here, or a local .pth or .safetensors file. None: random. If a named checkpoint cannot be
    downloaded, training warns and starts from random weights."""


def network_rules(network: NetworkConfig) -> Iterable[Rule]:
    """What must hold of a network."""
    # Each stage of a Swin has twice the channels of the one before.
    widths = [network.embed_dim * 2**stage for stage in range(4)]
    return (
        (network.embed_dim >= 1, "--network.embed-dim must be at least 1"),
        (all(depth >= 1 for depth in network.depths), "--network.depths must be at least 1"),
        (
            # Attention splits the channels evenly among its heads, at every stage.
            all(
                heads >= 1 and width % heads == 0
                for width, heads in zip(widths, network.heads, strict=True)
            ),
            f"--network.heads must divide the channels of the stages, {widths}",
        ),
        (network.window >= 1, "--network.window must be at least 1"),
        (0 <= network.drop_path < 1, "--network.drop-path must lie within 0..1, without 1"),
        (network.hidden >= 1, "--network.hidden must be at least 1"),
        (network.clip_frames >= 1, "--network.clip-frames must be at least 1"),
        (
            # Checkpointing computes each forward pass twice, and BatchNorm counts in every one.
            not (network.checkpointing and network.architecture == "deeplabv3"),
            "--network.checkpointing: deeplabv3's BatchNorm would count each batch twice; leave it "
            "off",
        ),
        (
            # These weights are of a ResNet or EfficientNet encoder, which no Swin has.
            network.weights != "imagenet" or network.architecture == "deeplabv3",
            "--network.weights imagenet: is for --network.architecture deeplabv3 alone; give "
            "another start",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """The adversarial loss (image-to-video paper B, Eqs. 2 and 3; decisions D34 to D45)."""

    unit: Literal["maps", "tokens"] = "maps"
    """What the discriminator sees at spatial and stageK, and what is clustered: single feature maps
    of a frame (paper B), or its tokens (paper A)."""
    mu: float = 1.0
    """Factor of the reversed gradient that the network gets from the discriminator."""
    ramp_batches: int | None = 0
    """Batches over which mu rises from 0, as in Ganin et al. 0: mu is constant. None: half of
    the batches with the adversary. A warm start does not count."""
    clusters: int = 11
    """K, the number of clusters of the clustered loss."""
    iterations: int = 20
    """Number of k-means iterations."""
    pairs: int = 1536
    """Pairs that the clustered loss draws in each batch."""
    ratio: tuple[int, int, int] = (1, 1, 1)
    """Proportions of pairs (image, video), (image, image) and (video, video) in the clustered loss.
    1 1 1 is the paper's; 2 1 1 has as many pairs of two domains as of one."""
    discriminator: Discriminator = "auto"
    """Architecture of the discriminator. auto takes that of the papers: conv for a CNN; global for
    a Swin at the end of its encoder, maps or tokens before; patch2d for a video Swin; pairs for the
    clustered loss. siamese, also for the clustered loss, sees both features of a pair with the same
    layers, and learns sooner."""
    padded: Literal["masked", "literal"] = "masked"
    """Treatment of the empty frames that fill up a clip made of one image. masked leaves them out
    of the adversarial loss; literal takes them as samples, which gives the domain away."""


@dataclass(frozen=True, kw_only=True)
class I2VConfig:
    """A training run of image-to-video adaptation: labelled images and unlabelled videos."""

    METHOD: ClassVar[str] = "i2v"

    labelled: tuple[str, ...]
    """Labelled sets of images, videos or both, as SET:ROOT (coco:COCO, folder:mine)."""
    unlabelled: tuple[str, ...] = ()
    """Unlabelled sets, as SET:ROOT or videos:FOLDER. Training reads none of their labels (but see
    --class-weights target); if a set has a table of classes, it chooses the videos: for davis and
    ytbb those with one of the ten classes that COCO and DAVIS share, for fbms those that your table
    names. Not needed if --labelled has images and videos."""
    loss: Literal["none", "general", "clustered"] = "general"
    """Adversarial loss; none trains on the labelled sets alone."""
    placement: Literal["spatial", "global", "stage1", "stage2", "stage3", "stage4"] = "spatial"
    """Features that the discriminator sees: the patch embedding (spatial), the end of the encoder
    (global), or a stage between."""
    batchnorm: Literal["joint", "separate", "frozen"] = "joint"
    """How BatchNorm treats the two domains: joint normalises images and videos as one batch,
    separate as one batch each, and frozen keeps the running statistics as they are. It matters for
    CNNs alone, whose encoders have BatchNorm."""
    class_weights: Literal["none", "source", "target"] = "source"
    """Weigh classes by their rarity in the labelled images (source) or in the videos (target), or
    not at all. target is the papers' choice; it reads the videos' labels, even of unlabelled
    sets."""
    warm_start: int | None = field(default=0, metadata=ADDED_LATER)
    """Epochs of training on the labelled sets alone, as with --loss none, before the --loop.epochs
    with the adversary. None: 20 if the network starts from random weights and --loss is not none,
    otherwise 0."""
    adaptation_rate: float = field(default=1.0, metadata=ADDED_LATER)
    """Learning rate of the network after a warm start, as a fraction of --optimiser.lr."""
    weight_frames: int = 500
    """Number of labelled frames, drawn at random from each set, in which classes are counted."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sets: SetOptions = field(default_factory=SetOptions)
    clips: ClipConfig = field(
        default_factory=lambda: ClipConfig(frames=1, gap=1, short_side=(256, 512))
    )
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """Optimiser of the network."""
    discriminator_optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """Optimiser of the discriminator."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    @property
    def clip_frames(self) -> int:
        """T, the frames that the network sees at once."""
        # Networks for images see single frames; only a video Swin sees a clip.
        return self.network.clip_frames if self.network.architecture == "video_swin" else 1

    @property
    def warm_epochs(self) -> int:
        """Epochs of the warm start, with None resolved."""
        if self.warm_start is not None:
            return self.warm_start

        # A network with random weights learns from labels before it meets the adversary. Without an
        # adversary, or from trained weights, nothing needs preparing.
        needed = self.loss != "none" and self.network.weights is None
        return WARM_START_EPOCHS if needed else 0

    def check(self) -> None:
        """Raise InputError for values that cannot work; the message names the option."""
        # The first rule that fails is reported: those of the sets come first, then how options fit
        # together, then single values.
        low, high = self.clips.short_side
        adversarial = self.adversarial
        # The name of a set goes before the colon of SET:ROOT.
        named = {spec.partition(":")[0] for spec in (*self.labelled, *self.unlabelled)}
        rules = (
            (bool(self.labelled), "--labelled must name at least one set"),
            (
                # The adversarial loss compares two domains, so one set is not enough.
                self.loss == "none" or bool(self.unlabelled) or len(self.labelled) > 1,
                "--unlabelled must name a set for the adversarial loss, or --labelled images and "
                "videos;"
                " --loss none trains without",
            ),
            (
                # One file of classes cannot describe sets of two kinds.
                self.sets.table is None or not {"fbms", "folder"} <= named,
                "--table: both fbms and folder are named, and each has a table of its own; put "
                "classes.csv and"
                " classes.txt into their folders instead",
            ),
            (
                # The patch embedding is the first layer of a transformer.
                self.placement != "spatial"
                or self.loss == "none"
                or self.network.architecture != "deeplabv3",
                "--placement spatial: a CNN has no patch embedding; choose global",
            ),
            (
                # The reader and the network must agree on the length of a clip.
                self.clips.frames == self.clip_frames,
                f"--clips.frames must be {self.clip_frames}, what --network.architecture sees at "
                f"once",
            ),
            (self.clips.gap >= 1, "--clips.gap must be at least 1"),
            # A Swin embeds patches of 4 pixels and halves its maps three times: a last cell has 32
            # pixels.
            (self.clips.size % 32 == 0, "--clips.size must be a multiple of 32"),
            (
                # The crop must fit into the frame, whatever short side is drawn.
                self.clips.size <= low <= high,
                "--clips.short-side must rise and not be smaller than --clips.size",
            ),
            (self.warm_epochs >= 0, "--warm-start must not be negative"),
            (
                # A warm start only delays the adversary, and here there is none.
                self.loss != "none" or self.warm_epochs == 0,
                f"--warm-start {self.warm_start}: --loss none has no adversary to prepare for; "
                f"leave one of them out",
            ),
            (self.adaptation_rate > 0, "--adaptation-rate must be positive"),
            (self.weight_frames >= 1, "--weight-frames must be at least 1"),
            (
                self.loss == "none"
                # Two of the discriminators take pairs of features; all others judge single ones.
                or adversarial.discriminator == "auto"
                or (self.loss == "clustered")
                == (adversarial.discriminator in ("pairs", "siamese")),
                f"--adversarial.discriminator {adversarial.discriminator} is not of --loss "
                f"{self.loss}: pairs and"
                " siamese compare two features, for clustered; the others see one",
            ),
            (
                adversarial.mu >= 0,
                "--adversarial.mu must not be negative: the reversal layer turns the sign",
            ),
            (
                # None means a ramp over half of the batches, so it passes.
                (adversarial.ramp_batches or 0) >= 0,
                "--adversarial.ramp-batches must not be negative",
            ),
            (adversarial.clusters >= 1, "--adversarial.clusters must be at least 1"),
            (adversarial.iterations >= 1, "--adversarial.iterations must be at least 1"),
            (min(adversarial.ratio) >= 0, "--adversarial.ratio must not be negative"),
            (
                # Each batch draws at least one pair of each kind that the ratio asks for.
                adversarial.pairs >= sum(adversarial.ratio) > 0,
                "--adversarial.pairs must be at least the sum of --adversarial.ratio, and that not "
                "0",
            ),
            (
                # A map that is pooled to one cell gives BatchNorm one value per image, and it needs
                # two.
                self.loop.batch >= 2 or self.batchnorm == "frozen",
                "--loop.batch must be at least 2: BatchNorm in the decoders needs two labelled "
                "images",
            ),
            *network_rules(self.network),
            *optimiser_rules(self.optimiser),
            *optimiser_rules(self.discriminator_optimiser, "--discriminator-optimiser"),
            *loop_rules(self.loop),
        )
        require(rules)
