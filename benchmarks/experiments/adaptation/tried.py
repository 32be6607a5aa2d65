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
ADVERSARIES = ("spatial", "stage3", "global", "clustered", "clustered-global")
MUS = ("0.01", "0.1", "1")
CLUSTERS = ("2", "5", "11", "22")
RATES = ("1e-3",)
"""Learning rates of the discriminator that are tried besides the recipe's."""


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


def grid(method: str) -> list[Setting]:
    """All settings of a method among which one is chosen."""
    if method in CONTROLS:
        return [Setting(method=method)]
    return [Setting(method=method, mu=mu, ramp=ramp) for ramp in (False, True) for mu in MUS]


def extras(network: str) -> list[Setting]:
    """Settings that answer one question each; they are not among those that are chosen from."""
    rates = [Setting(method="global", mu=mu, rate=rate) for rate in RATES for mu in ("0.1", "1")]
    if network == "cnn":
        return [
            *rates,
            Setting(method="mixed", batchnorm="separate"),
            Setting(method="global", mu="0.1", batchnorm="separate"),
        ]

    return [
        *rates,
        *(
            Setting(method="clustered", mu="1", clusters=count)
            for count in CLUSTERS
            if count != "11"
        ),
    ]


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
        "stage3": (*general, "stage3", "--adversarial.discriminator", "maps"),
        "global": (*general, "global"),
        "clustered": (*clustered, early),
        "clustered-global": (*clustered, "global"),
    }[method]
