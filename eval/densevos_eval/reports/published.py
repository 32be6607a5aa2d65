"""Published figures in per cent, as printed in their papers, to show beside one's own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from densevos.base.errors import InputError

# Every figure names its source, so that readers can look it up.
DUL_TABLE_1 = (
    "Araslanov, Schaub-Meyer, Roth: Dense Unsupervised Learning for Video Segmentation,"
    " NeurIPS 2021, Table 1"
)
DUL_TABLE_2 = DUL_TABLE_1.replace("Table 1", "Table 2")
MUG_TABLE_2 = (
    "Lu et al.: Learning Video Object Segmentation from Unlabeled Videos, CVPR 2020, Table 2"
)
MUG_TABLE_3 = MUG_TABLE_2.replace("Table 2", "Table 3")
MUG_TABLE_5 = MUG_TABLE_2.replace("Table 2", "Table 5")
MUG_TABLE_6 = MUG_TABLE_2.replace("Table 2", "Table 6")
# J, F, their decay and T of these two methods are, digit for digit, those of two others in Table 2.
MUG_TABLE_5_DOUBTED = f"{MUG_TABLE_5} (doubtful: the same figures as of {{}} in Table 2)"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of a paper's table.

    training: What the method was trained on, without labels unless the method's name says so; empty
        if the source does not name it.
    figures: Column of our tables -> figure in per cent.
    source: Paper and table.
    """

    dataset: str
    split: str = "val"
    method: str
    training: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    source: str


# Each benchmark has its own function, since the papers print other columns for each.
def _davis17(
    method: str, training: str, jf: float, *jf_parts: float, source: str = DUL_TABLE_1
) -> Published:
    """A row of DAVIS-2017 val: J&F, then J mean and F mean where they are printed."""
    columns = ("J&F-Mean", "J-Mean", "F-Mean")[: 1 + len(jf_parts)]
    figures = dict(zip(columns, (jf, *jf_parts), strict=True))
    return Published(
        dataset="davis17", method=method, training=training, figures=figures, source=source
    )


def _davis16(
    method: str, training: str, j: float, f: float, t: float, *, source: str = MUG_TABLE_5
) -> Published:
    """A row of DAVIS-2016 val: J, F and T; J&F is not printed."""
    figures = {"J-Mean": j, "F-Mean": f, "T-Mean": t}
    return Published(
        dataset="davis16", method=method, training=training, figures=figures, source=source
    )


def _ytvos18(method: str, training: str, jf: float) -> Published:
    """A row of YouTube-VOS 2018 valid: the mean of J and F over seen and unseen classes."""
    figures = {"J&F-Mean": jf}
    return Published(
        dataset="ytvos18", method=method, training=training, figures=figures, source=DUL_TABLE_2
    )


def _ytobjects(method: str, training: str, j: float) -> Published:
    """A row of YouTube-Objects: J, mean over the classes."""
    figures = {"J-Mean": j}
    return Published(
        dataset="ytobjects", method=method, training=training, figures=figures, source=MUG_TABLE_3
    )


# DAVIS-2017 val contains all sequences of DAVIS-2016 val, and adds some.
_VAL_2016 = """
    blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog
    drift-chicane drift-straight goat horsejump-high kite-surf libby motocross-jump
    paragliding-launch parkour scooter-black soapbox
"""
_ADDED_IN_2017 = """
    bike-packing dogs-jump gold-fish india judo lab-coat loading mbike-trick pigs shooting
"""
VAL_2016 = tuple(_VAL_2016.split())
VAL_2017 = VAL_2016 + tuple(_ADDED_IN_2017.split())

NAMES = {("davis16", "val"): frozenset(VAL_2016), ("davis17", "val"): frozenset(VAL_2017)}
"""The sequences that published figures are of, by benchmark and split."""
COUNTS = {("ytvos18", "val"): 474}
"""The number of sequences, for splits whose names are too many for a list."""

WEAK = "OxUvA + CAM"  # class activation maps come from image labels
# Tables print the rows of a benchmark in this order.
ROWS = (
    _davis17("random initialisation", "", 43.1),
    _davis17("CorrFlow", "OxUvA", 50.3, 48.4, 52.2),
    _davis17("MAST, stride 4", "OxUvA", 63.7, 61.2, 66.3),
    _davis17("DUL", "OxUvA", 65.3, 63.4, 67.2),
    _davis17("MAST, stride 4", "YouTube-VOS", 65.5, 63.3, 67.6),
    _davis17("DUL", "YouTube-VOS", 69.3, 67.1, 71.6),
    _davis17("ContrastCorr", "TrackingNet", 63.0, 60.5, 65.5),
    _davis17("DUL", "TrackingNet", 69.4, 67.1, 71.7),
    _davis17("CRW", "Kinetics-400", 67.6, 64.8, 70.2),
    _davis17("DUL", "Kinetics-400", 68.7, 66.7, 70.7),
    _davis17("TimeCycle", "", 42.8, 43.0, 42.6, source=MUG_TABLE_6),
    _davis17("MuG", "OxUvA", 54.3, 52.6, 56.1, source=MUG_TABLE_6),
    _davis17("MuG, weakly supervised", WEAK, 56.1, 54.0, 58.2, source=MUG_TABLE_6),
    _davis16("TimeCycle", "", 55.8, 51.1, 36.6, source=MUG_TABLE_5_DOUBTED.format("FST")),
    _davis16(
        "CorrFlow", "OxUvA", 48.9, 39.1, 36.4, source=MUG_TABLE_5_DOUBTED.format("Motion Masks")
    ),
    _davis16("MuG", "OxUvA", 63.1, 61.8, 43.0),
    _davis16("MuG, weakly supervised", WEAK, 65.7, 63.5, 44.4),
    _davis16("MuG, no mask given", "OxUvA", 58.0, 51.5, 30.1, source=MUG_TABLE_2),
    _davis16("MuG, weakly supervised, no mask given", WEAK, 61.2, 56.1, 58.6, source=MUG_TABLE_2),
    _ytvos18("Colorize", "Kinetics-400", 38.9),
    _ytvos18("CorrFlow", "OxUvA", 46.6),
    _ytvos18("MAST", "YouTube-VOS", 64.2),
    _ytvos18("CRW", "Kinetics-400", 69.9),
    _ytvos18("DUL", "YouTube-VOS", 69.9),
    _ytvos18("DUL", "Kinetics-400", 70.6),
    _ytvos18("DUL", "TrackingNet", 70.7),
    _ytobjects("MuG, no mask given", "OxUvA", 57.7),
    _ytobjects("MuG, weakly supervised, no mask given", WEAK, 62.4),
)


def published_rows(dataset: str, split: str) -> list[Published]:
    """The published figures of a split of a benchmark.

    Raises:
        InputError: No figures are known for it; the message lists the splits that have some.
    """
    rows = [row for row in ROWS if (row.dataset, row.split) == (dataset, split)]
    if not rows:
        # A dictionary names each split once, in the order of the rows.
        known = ", ".join(dict.fromkeys(f"{row.dataset} {row.split}" for row in ROWS))
        raise InputError(
            f"--published: no figures are known for {dataset} {split}, only for {known};"
            " leave it out"
        )

    return rows


def reason_against(dataset: str, split: str, sequences: Collection[str]) -> str | None:
    """Why published figures must not stand beside results of these sequences.

    Args:
        dataset: Name of the benchmark.
        split: Name of the split.
        sequences: Names of the sequences that were scored.

    Returns:
        A sentence; None if the sequences are the complete split.
    """
    names, scored = NAMES.get((dataset, split)), frozenset(sequences)
    if names:
        count = len(names)
        is_complete = scored == names
    else:
        # A split of which neither names nor number are known counts as complete.
        count = COUNTS.get((dataset, split), len(scored))
        is_complete = len(scored) == count

    if is_complete:
        return None

    # If the names of the split are known, say how the scored ones relate to them.
    which = f"{len(scored)} sequences"
    if names:
        ours, others = scored & names, scored - names
        if ours and others:
            which = f"{len(ours)} of them and {len(others)} others"
        elif ours:
            which = f"{len(ours)} of them alone"
        else:
            which = f"{len(scored)} others"

    return (
        f"published figures are left out: they are of the {count} sequences of {dataset} {split},"
        f" not of {which}"
    )
