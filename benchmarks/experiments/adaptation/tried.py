"""What is tried from a trained start: methods, and the settings of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.jobs import Command

STARTS: Mapping[str, Command] = {
    "cnn": (),
    "swin": (),
    "lite": ("--network.backbone", "efficientnet_lite0", "--network.weights", "imagenet"),
    "dul": (),
}
"""Networks, by what their source training starts from: random weights, those of ImageNet, or a DUL
encoder's.
"""
NETWORKS = tuple(STARTS)
CONTROLS = ("none", "mixed", "ceiling")
"""none: more training on the source. mixed: both domains are seen, but mu is 0. ceiling: the
target's labels.
"""
FAST = "1e-3"
"""A learning rate of the discriminator that is ten times the recipe's."""
FAST_METHODS = {f"{method}-rate{FAST}": method for method in ("global", "clustered-global")}
"""Methods at the encoder's end with that rate, and the same methods with the recipe's."""
ADVERSARIES = ("spatial", "stage3", "global", "clustered", "clustered-global", *FAST_METHODS)
MUS = ("0.01", "0.1", "1")
SCHEDULES: Mapping[str, bool] = {"constant": False, "ramp": True}
"""Whether mu rises, by the name of the schedule."""
CLUSTERS = ("2", "5", "11", "22")

PARTS: Mapping[str, tuple[str, ...]] = {
    "first-layer": ("backbone.bn1",),
    "stage1": ("backbone.bn1", "backbone.layer1"),
    "stage2": ("backbone.layer2",),
    "stage3": ("backbone.layer3",),
    "stage4": ("backbone.layer4",),
    "head": ("classifier",),
    "stages1-3": ("backbone.bn1", "backbone.layer1", "backbone.layer2", "backbone.layer3"),
    "stage4-head": ("backbone.layer4", "classifier"),
}
"""Parts of the CNN, by what the names of their layers begin with."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to go on from the trained network; what is None or False is as the recipe has it."""

    method: str
    mu: str | None = None
    ramp: bool = False
    clusters: str | None = None
    rate: str | None = None
    batchnorm: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder, such as global-mu0.1-ramp."""
        parts = (
            self.method,
            f"mu{self.mu}" if self.mu else "",
            "ramp" if self.ramp else "",
            f"K{self.clusters}" if self.clusters else "",
            f"rate{self.rate}" if self.rate else "",
            self.batchnorm or "",
        )

        return "-".join(part for part in parts if part)

    def options(self, network: str, ramp_batches: str) -> Command:
        """Options of `densevos train` for a network; those of the data are not among them."""
        options = _method_options(self.method, network)
        if self.mu:
            options += ("--adversarial.mu", self.mu)
        if self.method not in CONTROLS:
            options += ("--adversarial.ramp-batches", ramp_batches if self.ramp else "0")
        if self.clusters:
            options += ("--adversarial.clusters", self.clusters)
        if self.rate:
            options += ("--discriminator-optimiser.lr", self.rate)
        if self.batchnorm:
            options += ("--batchnorm", self.batchnorm)

        return options


def recipe(network: str) -> str:
    """The recipe of a network; those with a better start are the small CNN with it."""
    return "i2v_small_swin" if network == "swin" else "i2v_small_cnn"


def grid(
    method: str, mus: Sequence[str] = MUS, schedules: Sequence[str] = tuple(SCHEDULES)
) -> list[Setting]:
    """All settings of a method among which one is chosen; controls have a single one."""
    if method in CONTROLS:
        return [Setting(method=method)]

    rate = FAST if method in FAST_METHODS else None
    plain = FAST_METHODS.get(method, method)

    return [
        Setting(method=plain, mu=mu, ramp=SCHEDULES[schedule], rate=rate)
        for schedule in schedules
        for mu in mus
    ]


def extras(network: str) -> list[Setting]:
    """Settings that answer one question each; they are not among those that are chosen from."""
    # Do clustered discriminators stay at chance because they learn too slowly?
    faster = [
        Setting(method="clustered", mu="1", rate="1e-3"),
        Setting(method="clustered", mu="1", rate="1e-2"),
    ]
    if network != "swin":
        return [
            *faster,
            # Is it the place or the discriminator that makes spatial worse than global?
            Setting(method="spatial-conv", mu="0.1", ramp=True),
            Setting(method="spatial-conv", mu="1", ramp=True),
            Setting(method="mixed", batchnorm="separate"),
            Setting(method="global", mu="0.1", batchnorm="separate"),
        ]

    # The recipe has eleven clusters, so that count is in the grid.
    others = [count for count in CLUSTERS if count != "11"]
    return [*faster, *(Setting(method="clustered", mu="1", clusters=count) for count in others)]


def methods_of(chosen: Sequence[str]) -> Sequence[str]:
    """The methods to run: those that are chosen, or all."""
    return chosen or (*CONTROLS, *ADVERSARIES)


def _method_options(method: str, network: str) -> Command:
    """The adversary of a method.

    Spatial, stage3 and clustered judge feature maps one by one, so that only place and clusters
    differ.
    """
    # A CNN has no patch embedding, so its first stage stands for it.
    early = "spatial" if network == "swin" else "stage1"
    general = ("--loss", "general", "--placement")
    clustered = ("--loss", "clustered", "--adversarial.discriminator", "siamese", "--placement")
    return {
        "none": ("--loss", "none"),
        "ceiling": ("--loss", "none"),
        "mixed": (*general, "global", "--adversarial.mu", "0"),
        "spatial": (*general, early, "--adversarial.discriminator", "maps"),
        # As at the encoder's end: it sees all feature maps of a frame together.
        "spatial-conv": (*general, early, "--adversarial.discriminator", "conv"),
        "stage3": (*general, "stage3", "--adversarial.discriminator", "maps"),
        "global": (*general, "global"),
        "clustered": (*clustered, early),
        "clustered-global": (*clustered, "global"),
    }[method]
