"""From a trained network: which adversarial loss closes a domain gap? What is run
(scripts/adaptation.sh).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from densevos.base.errors import InputError
from experiments import settings
from experiments.adaptation import tried
from experiments.adaptation.gather import ADAPTED, LAYERS, PAIRS, SEGMENTED, choice
from experiments.adaptation.tried import NETWORKS, Setting
from experiments.commands import LabelledSet, gathered, made
from experiments.i2v_steps import evaluated, trained
from experiments.jobs import Command, Job, Steps, run_jobs

HERE = Path(__file__).resolve().parent
GAPS = ("camvid", "shapes")
STAGES = ("source", "grid", "seeds", "statistics", "extras", "layers", "pairs")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/adaptation.sh documents; `methods` empty means all."""

    out: Path
    camvid: str = ""
    encoder: str = ""
    stages: Sequence[str] = STAGES
    gaps: Sequence[str] = GAPS
    networks: Sequence[str] = ("cnn", "swin")
    methods: Sequence[str] = ()
    mus: Sequence[str] = tried.MUS
    schedules: Sequence[str] = tuple(tried.SCHEDULES)
    seeds: Sequence[str] = ("0", "1", "2")
    source_epochs: str = "40"
    epochs: str = "4"
    rate: str = "1e-4"
    ramp_batches: str = "76"
    at_once: int = 1
    train_options: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Two domains: what is trained on, and what is evaluated.

    Args:
        labelled: sharp images with labels, SET:ROOT.
        unlabelled: degraded frames, SET:ROOT; the ceiling learns from their labels.
        judged: sets by the name of their results: target-choose, target-report, ..., source.
    """

    labelled: str
    unlabelled: str
    judged: Mapping[str, LabelledSet]


def run(environ: settings.Environment, train_options: Sequence[str]) -> None:
    """Make the data, train and evaluate every run, and gather the results."""
    chosen = settings_from(environ, train_options)
    (chosen.out / "data").mkdir(parents=True, exist_ok=True)

    run_jobs(Job(name=f"data of {gap}", steps=data_steps(chosen, gap)) for gap in chosen.gaps)
    for stage in chosen.stages:
        # What the seeds are run with is known only once the grid is finished.
        run_jobs(jobs(chosen, stage), at_once=chosen.at_once)

    run_jobs([Job(name="gathering", steps=gathered("adaptation", chosen.out))])


def settings_from(environ: settings.Environment, train_options: Sequence[str]) -> Settings:
    """Read and check the environment variables.

    Raises:
        InputError: a variable has an unknown word, or CAMVID is needed and not set.
    """
    chosen = Settings(
        out=settings.working_folder(environ, "adaptation"),
        camvid=environ.get("CAMVID", ""),
        stages=settings.words(environ, "STAGES", " ".join(STAGES)),
        gaps=settings.words(environ, "GAPS", " ".join(GAPS)),
        encoder=environ.get("ENCODER", ""),
        networks=settings.words(environ, "NETWORKS", "cnn swin"),
        methods=settings.words(environ, "METHODS", ""),
        mus=settings.words(environ, "MUS", " ".join(tried.MUS)),
        schedules=settings.words(environ, "SCHEDULES", " ".join(tried.SCHEDULES)),
        seeds=settings.words(environ, "SEEDS", "0 1 2"),
        source_epochs=settings.text(environ, "SOURCE_EPOCHS", "40"),
        epochs=settings.text(environ, "EPOCHS", "4"),
        rate=settings.text(environ, "RATE", "1e-4"),
        ramp_batches=settings.text(environ, "RAMP_BATCHES", "76"),
        at_once=settings.number(environ, "JOBS", 1),
        train_options=train_options,
    )
    settings.check_known("STAGES", chosen.stages, STAGES)
    settings.check_known("GAPS", chosen.gaps, GAPS)
    settings.check_known("NETWORKS", chosen.networks, NETWORKS)
    settings.check_known("METHODS", chosen.methods, (*tried.CONTROLS, *tried.ADVERSARIES))
    settings.check_known("MUS", chosen.mus, tried.MUS)
    settings.check_known("SCHEDULES", chosen.schedules, tried.SCHEDULES)

    if "camvid" in chosen.gaps and not chosen.camvid:
        raise InputError("CAMVID: set CAMVID to the root of CamVid, or GAPS=shapes")
    if "dul" in chosen.networks and not chosen.encoder:
        raise InputError(
            "ENCODER: set ENCODER to an encoder of densevos train dul_small, or leave dul out of "
            "NETWORKS"
        )

    return chosen


def data_steps(chosen: Settings, gap: str) -> Steps:
    """Make the data of one gap; what is there is kept."""
    folder = chosen.out / "data"
    if gap == "camvid":
        sharp = folder / "sharp"
        if not sharp.is_dir():
            part = sharp.with_name("sharp.part")
            yield ("python", str(HERE / "drives.py"), chosen.camvid, str(part))
            part.rename(sharp)

        splits = ("train", "choose", "report", "dusk")
        yield from made(folder / "camvid", "degrade", f"camvid:{sharp}", "--split", *splits)
        return

    yield from made(folder / "shapes", "synth-classes")
    # Scenes of another seed are what is reported.
    fewest = ("--train-stills", "1", "--train-videos", "1")
    yield from made(folder / "shapes_report", "synth-classes", "--seed", "1", *fewest)


def gap_of(chosen: Settings, gap: str) -> Gap:
    """The two domains of one gap."""
    folder = chosen.out / "data"
    if gap == "camvid":
        sharp, degraded = str(folder / "sharp"), str(folder / "camvid")
        judged = {
            f"target-{split}": LabelledSet(name="folder", root=degraded, split=split)
            for split in ("choose", "report", "dusk")
        }
        source = LabelledSet(name="camvid", root=sharp, split="report")

        return Gap(
            labelled=f"camvid:{sharp}",
            unlabelled=f"folder:{degraded}",
            judged={**judged, "source": source},
        )

    shapes, report = folder / "shapes", folder / "shapes_report"
    judged = {
        "target-choose": LabelledSet(name="folder", root=str(shapes / "videos")),
        "target-report": LabelledSet(name="folder", root=str(report / "videos")),
        "source": LabelledSet(name="folder", root=str(report / "stills")),
    }

    return Gap(
        labelled=f"folder:{shapes / 'stills'}",
        unlabelled=f"folder:{shapes / 'videos'}",
        judged=judged,
    )


def jobs(chosen: Settings, stage: str) -> Iterator[Job]:
    """The runs of one stage, for each gap and network."""
    for gap in chosen.gaps:
        for network in chosen.networks:
            for seed, setting in runs_of(chosen, stage, chosen.out / gap / network, network):
                parts = {"gap": gap, "network": network, "setting": setting, "seed": seed}
                yield Job(
                    name=f"{gap} {network} {setting.name if setting else 'source'} {seed}",
                    steps=EVALUATIONS.get(stage, run_steps)(chosen, **parts),
                )


def runs_of(
    chosen: Settings, stage: str, folder: Path, network: str
) -> Iterator[tuple[str, Setting | None]]:
    """Seeds and settings of one stage; no setting is the source-only network that all others go on
    from.
    """
    first, *others = chosen.seeds
    methods = tried.methods_of(chosen.methods)
    if stage == "source":
        yield first, None
    elif stage == "grid":
        for method in methods:
            for setting in tried.grid(method, chosen.mus, chosen.schedules):
                yield first, setting
    elif stage == "seeds":
        best = [choice(folder, method) for method in methods]
        yield from ((seed, setting) for seed in others for setting in best if setting)
    elif stage == "statistics":
        best = [choice(folder, method) for method in methods]
        yield from ((seed, setting) for seed in chosen.seeds for setting in best if setting)
        yield first, None
    elif stage == "layers":
        # The parts are those of a ResNet; a Swin has BatchNorm in its decoder only.
        if network in ("cnn", "dul"):
            yield first, None
    elif stage == "pairs":
        yield first, Setting(method="clustered", mu="1")
    else:
        yield from ((first, setting) for setting in tried.extras(network))


def run_steps(
    chosen: Settings, *, gap: str, network: str, setting: Setting | None, seed: str
) -> Steps:
    """Train one model and evaluate it on both domains."""
    domains = gap_of(chosen, gap)
    folder = folder_of(chosen, gap, network, setting, seed)
    source = folder_of(chosen, gap, network, None, chosen.seeds[0]) / "run"

    # Every step is logged: a mean over several would hide those in which no pair could be drawn.
    loop = ("--loop.seed", seed, "--loop.log-every", "1", "--loop.epochs")
    # As published, so that nothing depends on what the recipes take from this very experiment.
    data = ("--published", "--labelled", domains.labelled, "--unlabelled", domains.unlabelled)

    if setting is None:
        start = ("--network.weights", chosen.encoder) if network == "dul" else tried.STARTS[network]
        options: Command = (*data, *start, "--loss", "none", *loop, chosen.source_epochs)
    else:
        if setting.method == "ceiling":
            data = ("--published", "--labelled", domains.unlabelled)

        method = setting.options(network, chosen.ramp_batches)
        backbone = tried.STARTS[network][:2]
        start = (*backbone, "--network.weights", str(source), "--optimiser.lr", chosen.rate)
        options = (*data, *start, *method, *loop, chosen.epochs)

    model = folder / "run"
    return chain(
        trained(model, tried.recipe(network), *options, more=chosen.train_options),
        *(
            evaluated(model, folder / judged, labelled)
            for judged, labelled in domains.judged.items()
        ),
    )


def statistics_steps(
    chosen: Settings, *, gap: str, network: str, setting: Setting | None, seed: str
) -> Steps:
    """Evaluate a model on the target twice more, with BatchNorm's statistics of the target's
    training frames, and of the frames that it segments.
    """
    folder = folder_of(chosen, gap, network, setting, seed)
    options = {ADAPTED: from_training(chosen, gap), SEGMENTED: ("--adapt-statistics",)}
    return chain(
        *(
            evaluated(folder / "run", folder / kind / name, target, *options[kind])
            for kind in options
            for name, target in targets_of(chosen, gap)
        )
    )


def from_training(chosen: Settings, gap: str) -> Command:
    """Options for statistics of the frames that an adversary learns from."""
    return ("--adapt-statistics", "--adapt-from", gap_of(chosen, gap).unlabelled)


def layers_steps(
    chosen: Settings, *, gap: str, network: str, setting: Setting | None, seed: str
) -> Steps:
    """Evaluate a model that gets statistics of training frames in one part of its layers only."""
    folder = folder_of(chosen, gap, network, setting, seed)
    options = (*from_training(chosen, gap), "--adapt-layers")
    return chain(
        *(
            evaluated(folder / "run", folder / LAYERS / part / name, target, *options, *beginnings)
            for part, beginnings in tried.PARTS.items()
            for name, target in targets_of(chosen, gap)
        )
    )


def pairs_steps(
    chosen: Settings, *, gap: str, network: str, setting: Setting | None, seed: str
) -> Steps:
    """Measure how fast the discriminator of a clustered run learns; what is there is kept."""
    run = folder_of(chosen, gap, network, setting, seed) / "run"
    # It is the source-only network that discriminators look at.
    out = folder_of(chosen, gap, network, None, seed) / PAIRS
    # A part of the experiment may do without the clustered loss.
    if not out.is_file() and (run / "config.json").is_file():
        yield ("python", str(HERE / "pairs.py"), str(run), str(out))


EVALUATIONS = {
    "statistics": statistics_steps,
    "layers": layers_steps,
    "pairs": pairs_steps,
}
"""What the stages do that train nothing; all others train and evaluate."""


def targets_of(chosen: Settings, gap: str) -> list[tuple[str, LabelledSet]]:
    """The sets of the target that are evaluated, by the names of their results."""
    judged = gap_of(chosen, gap).judged
    return [(name, labelled) for name, labelled in judged.items() if name != "source"]


def folder_of(chosen: Settings, gap: str, network: str, setting: Setting | None, seed: str) -> Path:
    """Where the run and the results of one seed lie."""
    return chosen.out / gap / network / (setting.name if setting else "source") / f"seed{seed}"
