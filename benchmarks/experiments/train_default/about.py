"""Facts for the card of the default encoder: what it learned from, how, and its scores.

    python about.py FOLDER OUT

FOLDER is the working folder of scripts/train_default.sh, OUT the JSON file to write.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

# This file is started by itself, so the folder above is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from densevos.base.console import run as ended
from densevos.base.errors import InputError
from densevos.base.files import write_json
from experiments.reports import Result, read_json
from experiments.train_default.run import CLIPS
from experiments.train_default.stills import rows

SOURCES = {
    "budgie": "budgie-backgrounds v2.0 and 8206742, "
    "https://github.com/BuddiesOfBudgie/budgie-backgrounds",
    "lomiri": "Debian package lomiri-wallpapers-16.04, 20.04.0-2",
    "skimage": "scikit-image wheel, skimage/data",
    "sklearn": "scikit-learn wheel, sklearn/datasets/images",
}
SETS = {"davis": "DAVIS-2016 sequences", "objects": "sequences with several objects"}
ENCODERS = {
    "default": "this encoder",
    "random": "an untrained one",
    "demo": "the demo's",
    "trained": "one trained on 70 real clips",
}
CHOSEN = (
    "Between two sets of clips, on eight DAVIS-2016 training sequences at 240 pixels: J 71.0 with"
    " clips that change faster, 69.9 with calmer ones (an untrained network 51.7, one trained on 70"
    " real clips 73.0). Nothing else was swept, and the sequences scored below chose nothing."
)
LICENCE = (
    "Apache-2.0, as the package; photographs below were changed (cropped, recoloured, drawn over)"
)
LEARNED_FROM = (
    "synthetic clips of 32 of 39 photographs, the others being held out; no labels, no real video"
)


def about(folder: Path) -> dict[str, str | list[str]]:
    """Titles and texts of all facts; scores only where the folder has them."""
    facts: dict[str, str | list[str]] = {
        "licence": LICENCE,
        "learned from": LEARNED_FROM,
        "clips": f"densevos data synth --photographs stills {' '.join(CLIPS)}",
        "photographs": list(photographs()),
        "chosen": CHOSEN,
    }
    result = folder / "train_default.json"
    if result.exists():
        facts["scores"] = list(scores(read_json(result)))

    return facts


def photographs() -> Iterator[str]:
    """A line for each source, licence and author: how many photographs there are of them."""

    def owner(row: dict[str, str]) -> tuple[str, str, str]:
        return row["file"].split("-")[0], row["licence"], row["credit"]

    # groupby() joins neighbours alone, so the rows are sorted by the same key first.
    for (source, licence, credit), listed in groupby(sorted(rows(), key=owner), owner):
        yield f"{len(list(listed))} by {credit} ({licence}): {SOURCES[source]}"


def scores(result: Result) -> Iterator[str]:
    """A line for each set and encoder, in per cent."""
    for title, encoders in result["sets"].items():
        for name, means in encoders.items():
            where = f"{SETS[title]} ({len(means['sequences'])})"
            scored = f"J {100 * means['J']:.1f}, F {100 * means['F']:.1f}"
            yield f"{where}, {ENCODERS.get(name, name)}: {scored}"


def main(arguments: list[str]) -> None:
    """Write the facts."""
    if len(arguments) != 2:
        raise InputError(
            "name the working folder and the file to write: python about.py FOLDER OUT"
        )

    folder, out = map(Path, arguments)
    write_json(out, about(folder))
    print(out)


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:])))
