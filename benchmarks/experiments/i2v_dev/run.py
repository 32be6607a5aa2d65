"""Does the adversarial loss close a domain gap? What is run (scripts/i2v_dev.sh)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from densevos.base.errors import InputError
from experiments import settings
from experiments.commands import LabelledSet, gathered, made
from experiments.i2v_steps import evaluated, trained
from experiments.jobs import Command, Job, Steps, run_jobs

NETWORKS = ("swin", "cnn")
METHODS = ("none", "mixed", "global", "spatial", "clustered")
GAPS = ("camvid", "synthetic")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/i2v_dev.sh documents; `methods` empty means those of each network."""

    out: Path
    camvid: str = ""
    gaps: Sequence[str] = GAPS
    networks: Sequence[str] = NETWORKS
    methods: Sequence[str] = ()
    seeds: Sequence[str] = ("0", "1", "2")
    epochs: str = "30"
    at_once: int = 1
    train_options: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Two domains: what is trained on, and the evaluated sets of both.

    Args:
        labelled: sharp images with labels, SET:ROOT.
        unlabelled: degraded frames, SET:ROOT.
    """

    labelled: str
    unlabelled: str
    source: LabelledSet
    target: LabelledSet


def run(environ: settings.Environment, train_options: Sequence[str]) -> None:
    """Make the data, train and evaluate every run, and gather the results."""
    chosen = settings_from(environ, train_options)
    (chosen.out / "data").mkdir(parents=True, exist_ok=True)

    run_jobs(Job(name=f"data of {gap}", steps=data_steps(chosen, gap)) for gap in chosen.gaps)
    run_jobs(jobs(chosen), at_once=chosen.at_once)
    run_jobs([Job(name="gathering", steps=gathered("i2v_dev", chosen.out))])


def settings_from(environ: settings.Environment, train_options: Sequence[str]) -> Settings:
    """Read and check the environment variables.

    Raises:
        InputError: a variable has an unknown word, or CAMVID is needed and not set.
    """
    chosen = Settings(
        out=settings.working_folder(environ, "i2v_dev"),
        camvid=environ.get("CAMVID", ""),
        gaps=settings.words(environ, "EXPERIMENTS", "camvid synthetic"),
        networks=settings.words(environ, "NETWORKS", "swin cnn"),
        methods=settings.words(environ, "METHODS", ""),
        seeds=settings.words(environ, "SEEDS", "0 1 2"),
        epochs=settings.text(environ, "EPOCHS", "30"),
        at_once=settings.number(environ, "JOBS", 1),
        train_options=train_options,
    )
    settings.check_known("EXPERIMENTS", chosen.gaps, GAPS)
    settings.check_known("NETWORKS", chosen.networks, NETWORKS)
    settings.check_known("METHODS", chosen.methods, METHODS)

    if "camvid" in chosen.gaps and not chosen.camvid:
        raise InputError("CAMVID: set CAMVID to the root of CamVid, or EXPERIMENTS=synthetic")
    return chosen


def data_steps(chosen: Settings, gap: str) -> Steps:
    """Make the data of one gap; what is there is kept."""
    folder = chosen.out / "data" / gap
    if gap == "camvid":
        return made(folder, "degrade", f"camvid:{chosen.camvid}", "--split", "train", "val")
    return made(folder, "synth-classes")


def gap_of(chosen: Settings, gap: str) -> Gap:
    """The two domains of one gap."""
    folder = chosen.out / "data" / gap
    if gap == "camvid":
        source = LabelledSet(name="camvid", root=chosen.camvid)
        target = LabelledSet(name="folder", root=str(folder))
    else:
        source = LabelledSet(name="folder", root=str(folder / "stills"))
        target = LabelledSet(name="folder", root=str(folder / "videos"))
    return Gap(labelled=source.spec, unlabelled=target.spec, source=source, target=target)


def jobs(chosen: Settings) -> Iterator[Job]:
    """One job for each gap, seed, network and method."""
    for gap in chosen.gaps:
        for seed in chosen.seeds:
            for network in chosen.networks:
                for method in chosen.methods or methods_of(network):
                    steps = run_steps(chosen, gap=gap, network=network, method=method, seed=seed)
                    yield Job(name=f"{gap} {network} {method} {seed}", steps=steps)


def methods_of(network: str) -> list[str]:
    """The methods of a network; `mixed` is the control of BatchNorm, which only the CNN needs."""
    return [method for method in METHODS if method != "mixed" or network == "cnn"]


def run_steps(chosen: Settings, *, gap: str, network: str, method: str, seed: str) -> Steps:
    """Train one model and evaluate it on both domains."""
    domains = gap_of(chosen, gap)
    folder = chosen.out / gap / network / method / f"seed{seed}"

    data = ("--labelled", domains.labelled, "--unlabelled", domains.unlabelled)
    # Every step is logged: a mean over several would hide those in which no pair could be drawn.
    loop = ("--loop.seed", seed, "--loop.epochs", chosen.epochs, "--loop.log-every", "1")
    options = ("--published", *data, *loss_options(network, method), *loop)

    model = folder / "run"
    return chain(
        trained(model, f"i2v_small_{network}", *options, more=chosen.train_options),
        evaluated(model, folder / "target", domains.target),
        evaluated(model, folder / "source", domains.source),
    )


def loss_options(network: str, method: str) -> Command:
    """The adversary of a method.

    Spatial and clustered alike judge feature maps, so that only the clusters differ.
    """
    # A CNN has no patch embedding, so its first stage stands for it.
    early = "spatial" if network == "swin" else "stage1"
    return {
        "none": ("--loss", "none"),
        "mixed": ("--loss", "general", "--placement", "global", "--adversarial.mu", "0"),
        "global": ("--loss", "general", "--placement", "global"),
        "spatial": (
            *("--loss", "general", "--placement", early),
            *("--adversarial.discriminator", "maps"),
        ),
        "clustered": (
            *("--loss", "clustered", "--placement", early),
            *("--adversarial.discriminator", "siamese"),
        ),
    }[method]
