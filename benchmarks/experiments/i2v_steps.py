"""Steps that the image-to-video experiments share: train a segmentation model, and evaluate it."""

from collections.abc import Sequence
from pathlib import Path

from experiments import commands
from experiments.commands import LabelledSet
from experiments.jobs import Steps


def trained(run: Path, recipe: str, *options: str, more: Sequence[str] = ()) -> Steps:
    """Train a model; a finished one is kept."""
    if not (run / "model.safetensors").is_file():
        yield commands.train(recipe, *options, out=run, more=more)


def evaluated(run: Path, results: Path, labelled_set: LabelledSet) -> Steps:
    """Segment a set and score it; scores are kept unless the model was trained anew since."""
    how = "--resume"
    if _is_newer(run / "model.safetensors", than=results / "segment.json"):
        how = "--overwrite"
    elif (results / "results.json").is_file():
        return

    where = labelled_set.options()
    yield ("densevos-eval", "segment", "--model", str(run), *where, "--out", str(results), how)
    yield ("densevos-eval", "score", "--metric", "miou", *where, "--results", str(results))


def _is_newer(file: Path, *, than: Path) -> bool:
    """Whether both files are there and `file` was written later."""
    both_there = file.is_file() and than.is_file()
    return both_there and file.stat().st_mtime_ns > than.stat().st_mtime_ns
