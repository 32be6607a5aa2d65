"""The rows of the image-to-video papers: what is trained and evaluated (scripts/i2v_tables.sh)."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from experiments import settings
from experiments.commands import LabelledSet, choice_options, gathered
from experiments.i2v_steps import evaluated, tracked, trained
from experiments.jobs import Job, Steps, run_jobs

UNSUPERVISED = "DAVIS_UNSUPERVISED"
SETS = ("COCO", "DAVIS", "YTBB", "FBMS", "VOC", UNSUPERVISED)
FBMS_CLASSES = "person,car,cat,dog,horse,bear,giraffe"

# The adversarial losses: none, on the network's global features, on its first feature maps, and on
# clusters of those.
NONE = ("--loss", "none")
GLOBAL = ("--loss", "general", "--placement", "global")
SPATIAL = ("--loss", "general", "--placement", "spatial")
CLUSTERED = ("--loss", "clustered", "--placement", "spatial")


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        run: name of its runs in the working folder.
        recipe: of `densevos train`.
        labelled: sets with labels to learn from, with a space between two.
        unlabelled: set without labels to learn from; empty for none.
        evaluated_on: the set that it is evaluated on; DAVIS_UNSUPERVISED for the objects that
            UnOVOST finds with it.
        loss: options of `densevos train`.
        wanted: classes to learn; empty for the ten that COCO and DAVIS share.
    """

    run: str
    recipe: str
    labelled: str
    unlabelled: str
    evaluated_on: str
    loss: tuple[str, ...]
    wanted: tuple[str, ...] = ()

    @property
    def needed(self) -> list[str]:
        """The sets that must be there."""
        return [*self.labelled.split(), *self.unlabelled.split(), self.evaluated_on]


def tables(fbms_classes: tuple[str, ...]) -> dict[str, list[Row]]:
    """The rows of every table; some rows stand in several."""
    cnn, swin, videoswin = "i2v_cnn", "i2v_swin", "i2v_videoswin"
    coco, davis, both = "COCO", "DAVIS", "COCO DAVIS"

    def fbms(run: str, labelled: str, unlabelled: str, loss: tuple[str, ...]) -> Row:
        return Row(run, swin, labelled, unlabelled, "FBMS", loss, fbms_classes)

    def clusters(count: int) -> Row:
        options = ("--adversarial.clusters", str(count), "--loop.batch", "4")
        return Row(f"swin-clusters-{count}", swin, coco, davis, davis, (*CLUSTERED, *options))

    def placed(placement: str) -> Row:
        run = f"swin-coco-general-{placement}-davis"
        return Row(run, swin, coco, davis, davis, ("--loss", "general", "--placement", placement))

    # Both networks on both sets, each without an adversary and with VOC as the unlabelled set.
    pascal = []
    for network, recipe in (("cnn", cnn), ("swin", swin)):
        for evaluated_on in (davis, coco):
            name = f"{network}-coco"
            pascal.append(Row(name, recipe, coco, "", evaluated_on, NONE))
            pascal.append(
                Row(f"{name}-general-global-voc", recipe, coco, "VOC", evaluated_on, GLOBAL)
            )

    # One row a line, as in the papers: the columns are those of Row.
    # fmt: off
    return {
        "cnn": [
            Row("cnn-coco", cnn, coco, "", davis, NONE),
            Row("cnn-coco-general-global-davis", cnn, coco, davis, davis, GLOBAL),
            Row("cnn-coco-general-global-ytbb", cnn, coco, "YTBB", davis, GLOBAL),
            Row("cnn-davis", cnn, davis, "", davis, NONE),
            Row("cnn-both", cnn, both, "", davis, NONE),
        ],
        "swin": [
            Row("swin-coco", swin, coco, "", davis, NONE),
            Row("swin-coco-general-global-davis", swin, coco, davis, davis, GLOBAL),
            Row("swin-coco-general-spatial-davis", swin, coco, davis, davis, SPATIAL),
            Row("swin-coco-clustered-spatial-davis", swin, coco, davis, davis, CLUSTERED),
            Row("swin-davis", swin, davis, "", davis, NONE),
            Row("swin-both", swin, both, "", davis, NONE),
            Row("swin-both-general-global", swin, both, "", davis, GLOBAL),
            Row("swin-both-general-spatial", swin, both, "", davis, SPATIAL),
            Row("swin-both-clustered-spatial", swin, both, "", davis, CLUSTERED),
        ],
        "videoswin": [
            Row("videoswin-coco", videoswin, coco, "", davis, NONE),
            Row("videoswin-coco-general-spatial-davis", videoswin, coco, davis, davis, SPATIAL),
            Row("videoswin-davis", videoswin, davis, "", davis, NONE),
            Row("videoswin-both", videoswin, both, "", davis, NONE),
            Row("videoswin-both-general-spatial", videoswin, both, "", davis, SPATIAL),
        ],
        "fbms": [
            fbms("fbms-coco", coco, "", NONE),
            fbms("fbms-coco-general-spatial-fbms", coco, "FBMS", SPATIAL),
            fbms("fbms-fbms", "FBMS", "", NONE),
            fbms("fbms-both", "COCO FBMS", "", NONE),
        ],
        "pascal": pascal,
        "clusters": list(map(clusters, (2, 5, 11, 22))),
        "unovost": [
            Row("cnn-coco", cnn, coco, "", UNSUPERVISED, NONE),
            Row("cnn-coco-general-global-davis", cnn, coco, davis, UNSUPERVISED, GLOBAL),
        ],
        "placement": list(map(placed, ("spatial", "stage1", "stage2", "stage3", "global"))),
    }
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What scripts/i2v_tables.sh documents.

    Args:
        out: working folder.
        tables: rows of the wanted tables.
        seeds: seeds of every row.
        roots: folder of each set; empty for a set that is not there.
        train_options: what the user gave for `densevos train`.
    """

    out: Path
    tables: Mapping[str, Sequence[Row]]
    seeds: Sequence[str]
    roots: Mapping[str, str]
    train_options: Sequence[str] = ()


def run(environ: settings.Environment, train_options: Sequence[str]) -> None:
    """Train and evaluate every row, and gather the results; with DRY=1 print the commands."""
    chosen = settings_from(environ, train_options)
    if environ.get("DRY"):
        print_once(chain.from_iterable(job.steps for job in jobs(chosen)))
        return

    chosen.out.mkdir(parents=True, exist_ok=True)
    # Tables compare all rows, so they are gathered when every row is done.
    run_jobs(jobs(chosen))
    steps = gathered("i2v_tables", chosen.out, *chosen.tables)
    run_jobs([Job(name="gathering", steps=steps)])


def settings_from(environ: settings.Environment, train_options: Sequence[str]) -> Settings:
    """Read and check the environment variables.

    Raises:
        InputError: TABLES has an unknown table.
    """
    dry = bool(environ.get("DRY"))
    known = tables(tuple(settings.text(environ, "FBMS_CLASSES", FBMS_CLASSES).split(",")))
    wanted = settings.words(environ, "TABLES", " ".join(known))
    settings.check_known("TABLES", wanted, known)

    # A dry run shows a name in the place of a folder that is not given, and OUT's default in short.
    roots = {name: settings.text(environ, name, name if dry else "") for name in SETS}
    out = settings.working_folder(environ, "i2v_tables")
    if dry:
        out = Path(settings.text(environ, "OUT", "runs/i2v_tables"))

    return Settings(
        out=out,
        tables={name: known[name] for name in wanted},
        seeds=settings.words(environ, "SEEDS", "0"),
        roots=roots,
        train_options=train_options,
    )


def jobs(chosen: Settings) -> Iterator[Job]:
    """One job for each row and seed; rows whose sets are not there are left out, and named."""
    for row in chain.from_iterable(chosen.tables.values()):
        missing = [name for name in row.needed if not chosen.roots[name]]
        if missing:
            left_out = f"{row.run} on {row.evaluated_on}, which needs {missing[0]}"
            print(f"left out: {left_out}", file=sys.stderr)
            continue

        for seed in chosen.seeds:
            yield Job(name=f"{row.run} {seed}", steps=row_steps(chosen, row, seed))


def row_steps(chosen: Settings, row: Row, seed: str) -> Steps:
    """Train one row with one seed, and evaluate it."""
    folder = chosen.out / row.run / f"seed{seed}"
    train_names = coco_names(chosen, row, "train") if "COCO" in row.labelled.split() else None
    val_names = coco_names(chosen, row, "val") if row.evaluated_on == "COCO" else None

    data = ["--labelled"]
    for name in row.labelled.split():
        data.append(spec(chosen, name))

    if row.unlabelled:
        data += ["--unlabelled", spec(chosen, row.unlabelled)]

    choice = choice_options(wanted=row.wanted, names=train_names)
    options = ("--published", *data, *row.loss, *choice, "--loop.seed", seed)

    # The list of images is written just before the training that reads it.
    training = chain(
        names_listed(chosen, row, "train", train_names),
        trained(folder / "run", row.recipe, *options, more=chosen.train_options),
    )

    if row.evaluated_on == UNSUPERVISED:
        return chain(
            training, tracked(folder / "run", folder / "unovost", chosen.roots[UNSUPERVISED])
        )

    evaluated_set = LabelledSet(
        name=row.evaluated_on.lower(),
        root=chosen.roots[row.evaluated_on],
        wanted=row.wanted,
        names=val_names,
    )

    return chain(
        training,
        names_listed(chosen, row, "val", val_names),
        evaluated(folder / "run", folder / evaluated_set.name, evaluated_set),
    )


def spec(chosen: Settings, name: str) -> str:
    """SET:ROOT of a set."""
    return f"{name.lower()}:{chosen.roots[name]}"


def coco_names(chosen: Settings, row: Row, split: str) -> Path:
    """The list of COCO's images with a wanted class: one for each choice of classes."""
    classes = f"_{'-'.join(row.wanted).replace(' ', '-')}" if row.wanted else ""
    return chosen.out / f"coco_{split}{classes}.txt"


def names_listed(chosen: Settings, row: Row, split: str, names: Path | None) -> Steps:
    """Write that list; all masks are read for it, once."""
    if names is None or names.is_file():
        return

    choice = choice_options(wanted=row.wanted)
    classes = ("densevos", "data", "classes", spec(chosen, "COCO"), "--split", split)
    yield (*classes, *choice, "--write-names", str(names))


def print_once(commands: Iterable[tuple[str, ...]]) -> None:
    """Print every command, once though tables share rows."""
    # The keys of a dictionary keep the order of the commands.
    print(*dict.fromkeys(map(shlex.join, commands)), sep="\n")
