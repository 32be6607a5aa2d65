"""J&F and seconds a frame of several objects found without a first mask, by kind of proposals.

    python benchmarks/instances.py --set dogs-jump ROOT Annotations dogs-jump
        --foreground truth consensus

Each --set is a title, a root in the layout of DAVIS, its folder of annotations and the sequences.
Scores follow DAVIS-2017 unsupervised: all frames count, at most 20 ids, the best assignment of ids
to objects. The foreground is found once for all kinds of proposals. `truth` takes it from the
annotations, which shows what proposals and tracks lose by themselves. The first row of each set is
the whole foreground as one object. Seconds are the processor's on one core, which other work on the
machine hardly lengthens.

The script prints a table and, as the last line, one JSON object.
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import page_tables
from densevos.base.errors import InputError
from densevos.base.files import write_json
from densevos.base.masks import VOID, read_mask
from densevos.data.foreground.crf import CrfConfig
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.runs.runner import write_all
from densevos_eval.runs.writer import MaskWriter
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.foreground import ForegroundSource, load_foreground
from densevos_eval.zeroshot.instance_level import InstanceLevel
from densevos_eval.zeroshot.linking.registry import load_linker
from densevos_eval.zeroshot.object_level import ObjectLevel
from densevos_eval.zeroshot.options import ZeroShotOptions
from densevos_eval.zeroshot.proposals.registry import load_proposals
from harness import Row, parser_of, report

ONE = "(one object)"
"""Name of the row without instances."""


def main() -> None:
    """Measure every kind of proposals on every set, with every kind of foreground."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--set",
        nargs="+",
        action="append",
        required=True,
        help="TITLE ROOT ANNOTATIONS SEQUENCE ...",
    )
    parser.add_argument(
        "--foreground",
        nargs="+",
        default=["truth", "consensus"],
        help="truth, a --method, or a --model",
    )
    parser.add_argument("--proposals", nargs="+", default=["parts", "edgebox", "maskrcnn"])
    parser.add_argument("--linking", default="association")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # Seconds are those of one core.

    rows, notes = [], []
    for title, root, annotations, *names in options.set:
        # The protocol is that of DAVIS-2017 unsupervised, whatever the set.
        benchmark = BenchmarkOptions(
            dataset="davis17-unsupervised",
            root=Path(root),
            annotations=annotations,
            sequences=tuple(names),
        )

        for foreground in options.foreground:
            print(f"{title}, {foreground}", file=sys.stderr)
            measured, missing = measure(benchmark, foreground, options)
            for row in measured:
                rows.append({"set": title, "foreground": foreground, **row})

            # A kind that fails to load does so on every set; it is named once.
            for note in missing:
                if note not in notes:
                    notes.append(note)

            figures = {"rows": rows, "not_measured": notes, **circumstances()}
            if options.out:
                # What is measured so far stays when a long run is ended.
                write_json(options.out, figures)

    report(figures, page_tables.instances(figures), *notes, out=options.out)


def measure(
    benchmark: BenchmarkOptions, foreground: str, options: argparse.Namespace
) -> tuple[list[Row], list[str]]:
    """The rows of one set with one kind of foreground, and the proposals that failed to load."""
    sequences = benchmark.load()
    kept = kept_foreground(sequences, foreground)
    objects = ObjectLevel(source=kept)

    # The whole foreground as one object comes first: proposals must do better than this.
    writers: dict[str, MaskWriter] = {ONE: objects}
    missing = []
    for kind in options.proposals:
        try:
            proposals = load_proposals(kind, device="cpu", threshold=objects.threshold)
            linking = load_linker(options.linking)
        except InputError as error:
            # Weights or a package of this kind are not on this machine; the others still run.
            missing.append(f"{kind}: {error}")
            continue

        writers[kind] = InstanceLevel(objects=objects, proposals=proposals, linking=linking)

    rows: list[Row] = []
    for kind, writer in writers.items():
        row = measured(writer, sequences, benchmark)
        rows.append({"proposals": kind, **row, "foreground_seconds": kept.seconds})

    return rows, missing


def measured(
    writer: MaskWriter, sequences: list[VideoSequence], benchmark: BenchmarkOptions
) -> Row:
    """J&F of the masks that a writer makes, in per cent, and its seconds of one core a frame."""
    with tempfile.TemporaryDirectory() as folder:
        masks = Path(folder) / "masks"

        # The clock runs while masks are made and written, and stops before they are scored.
        start = time.process_time()
        if failed := write_all(sequences, writer, masks):
            raise InputError(str(failed))

        seconds = time.process_time() - start

        metric = benchmark_metric(benchmark.protocol())
        scores = score(sequences, masks, metric, split="val", workers=1)

    overall = scores.rows.overall
    frames = sum(len(sequence.frame_names) for sequence in sequences)
    figures = {name: round(100 * overall[f"{name}-Mean"], 1) for name in ("J&F", "J", "F")}
    return {**figures, "seconds": round(seconds / frames, 3), "frames": frames}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A `ForegroundSource` of maps that were computed before."""

    maps: Mapping[str, list[np.ndarray]]
    seconds: float
    inputs: tuple[Path, ...] = ()

    def settings(self) -> dict[str, Any]:
        return {"source": "kept"}

    def title(self) -> str:
        return "kept maps"

    def __call__(self, sequence: VideoSequence) -> Iterator[np.ndarray]:
        return iter(self.maps[sequence.name])


def kept_foreground(sequences: Sequence[VideoSequence], foreground: str) -> Kept:
    """The foreground of all sequences, and its seconds a frame.

    The dense CRF refines it, unless it is that of the annotations.
    """
    start = time.process_time()
    maps = {}
    if foreground == "truth":
        for sequence in sequences:
            maps[sequence.name] = [of_truth(file) for file in sequence.truth]
    else:
        objects = ObjectLevel(source=source_of(foreground), crf=CrfConfig())
        for sequence in sequences:
            # Each frame comes refined by the CRF, and as it was before, which is not kept.
            frames = objects.foregrounds(sequence)
            maps[sequence.name] = [refined.probability.astype(np.float32) for refined, _ in frames]

    seconds = time.process_time() - start
    count = sum(len(frames) for frames in maps.values())
    return Kept(maps=maps, seconds=round(seconds / count, 3))


def source_of(foreground: str) -> ForegroundSource:
    """The foreground of a --method of this name, or of the --model of this folder."""
    if foreground in ("motion", "consensus"):
        return load_foreground(ZeroShotOptions(method=foreground), "cpu")
    return load_foreground(ZeroShotOptions(model=Path(foreground)), "cpu")


def of_truth(file: Path) -> np.ndarray:
    """The foreground [H,W] float32 of an annotation: all objects together."""
    # As sure as a good map, not more: proposals are made for probabilities. Void is background.
    ids = read_mask(file)
    return np.where((ids > 0) & (ids != VOID), 0.95, 0.05).astype(np.float32)


def circumstances() -> dict[str, Any]:
    """Machine, date, commit and command."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
        },
        "date": date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "command": shlex.join(["python", *sys.argv]),
        "versions": {
            "opencv": cv2.__version__,
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
    }


if __name__ == "__main__":
    main()
