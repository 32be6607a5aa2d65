"""CamVid by drive: what is trained on, what settings are chosen on, and what is reported.

    python drives.py CAMVID OUT

writes OUT, of CamVid's layout, with the splits train (two of the three drives of its train), choose
and report (the first and the second half of its val, another stretch of one of these drives) and
dusk (the third drive, which no run has seen, sharp or degraded).
"""

import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

DUSK = "0001TP"
HALF = 50
"""Images of val, in order of time, that settings are chosen on."""


def splits(train: Collection[str], val: Collection[str]) -> Mapping[str, tuple[str, list[str]]]:
    """New split -> (split of CamVid, names of its images)."""
    ordered = sorted(val)
    return {
        "train": ("train", sorted(name for name in train if not name.startswith(DUSK))),
        "dusk": ("train", sorted(name for name in train if name.startswith(DUSK))),
        "choose": ("val", ordered[:HALF]),
        "report": ("val", ordered[HALF:]),
    }


def write(camvid: Path, out: Path) -> None:
    """Copy images and labels to their new splits."""
    train, val = ([path.stem for path in (camvid / split).iterdir()] for split in ("train", "val"))
    for split, (old, names) in splits(train, val).items():
        for kind in ("", "annot"):
            folder = out / f"{split}{kind}"
            folder.mkdir(parents=True)
            for path in sorted((camvid / f"{old}{kind}").iterdir()):
                if path.stem in names:
                    shutil.copy(path, folder / path.name)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
