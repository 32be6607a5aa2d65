"""Steps that the image-to-video experiments share: train a segmentation model, and evaluate it or
what it finds.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments import commands
from experiments.commands import LabelledSet
from experiments.jobs import Steps


def trained(run: Path, recipe: str, *options: str, more: Sequence[str] = ()) -> Steps:
    """Train a model; a finished one is kept."""
    if not (run / "model.safetensors").is_file():
        yield commands.train(recipe, *options, out=run, more=more)


def evaluated(run: Path, results: Path, labelled_set: LabelledSet, *options: str) -> Steps:
    """Segment a set, with `options`, and score it; scores are kept unless the model was trained
    anew since.
    """
    how = _how(run, results, record="segment.json")
    if how is None:
        return

    # Segmenting and scoring must name the same images, so both take the same options.
    where = labelled_set.options()
    segment = ("densevos-eval", "segment", "--model", str(run))
    yield (*segment, *where, *options, "--out", str(results), how)
    yield ("densevos-eval", "score", "--metric", "miou", *where, "--results", str(results))


def tracked(run: Path, results: Path, root: str) -> Steps:
    """Find the objects of DAVIS-2017 unsupervised by UnOVOST, with a model as its network, and
    score them.

    The model's segments are the proposals, and the end of its encoder tells how they look. Scores
    are kept unless the model was trained anew since.
    """
    how = _how(run, results, record="propagation.json")
    if how is None:
        return

    where = ("--dataset", "davis17-unsupervised", "--root", root)

    # The foreground has no part in this method; that of motion takes least time.
    foreground = ("--method", "motion", "--no-crf", "--instances", "--linking", "unovost")
    network = ("--proposals", f"segments:{run}", "--embedding", str(run))
    yield ("densevos-eval", "zeroshot", *foreground, *network, *where, "--out", str(results), how)
    yield ("densevos-eval", "score", *where, "--results", str(results))


def _how(run: Path, results: Path, *, record: str) -> str | None:
    """How masks of a model are made: anew if it is newer than their record, or resumed; None:
    scores are there.
    """
    # Masks of an older model must not be mixed with those of a newer one.
    if _is_newer(run / "model.safetensors", than=results / record):
        return "--overwrite"

    # --resume also starts a run of which nothing is there yet.
    return None if (results / "results.json").is_file() else "--resume"


def _is_newer(file: Path, *, than: Path) -> bool:
    """Whether both files are there and `file` was written later."""
    both_there = file.is_file() and than.is_file()
    return both_there and file.stat().st_mtime_ns > than.stat().st_mtime_ns
