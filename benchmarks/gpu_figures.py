"""The figures of a GPU: gather what gpu.sh measured, beside goals and estimates.

    python benchmarks/gpu_figures.py FOLDER [--out benchmarks/results/gpu.json]

Joins the JSON files of FOLDER in FOLDER/gpu.json and prints the table. `python benchmarks page gpu`
then writes the page of results/gpu.json.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from densevos.base.files import write_json
from harness import parser_of, table

RESULTS = Path(__file__).resolve().parent / "results"
NOT_RUN = "not run: no GPU"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table.

    Args:
        title: what is measured.
        file: name of the JSON file that gpu.sh writes, without .json.
        value: the text of the measurement, made of that JSON.
        goal: what an H200 should reach.
        estimate: name of the estimate in results/gpu_estimates.json.
    """

    title: str
    file: str
    value: Callable[[Any], str]
    goal: str = ""
    estimate: str = ""


def rate(figures: Any) -> str:
    """Frames a second of label propagation alone, the speed-up and the memory."""
    frames = f"{figures['frames_per_second']} frames/s"
    return f"{frames} ({figures['speedup']}x plain), {figures['peak_mb']} MB"


def rate_from_disk(precision: str) -> Callable[[Any], str]:
    """Frames a second from disk to disk with an encoder of one precision."""

    def value(figures: Any) -> str:
        texts = []
        for row in figures["rows"]:
            if row["precision"] == precision:
                # Memory of the GPU where the run had one, of the host otherwise.
                memory = row.get("peak_gpu_mb", row["peak_mb"])
                texts.append(f"{row['frames_per_second']} frames/s, {memory} MB")

        return "; ".join(texts) or NOT_RUN

    return value


def is_there(figures: Any) -> str:
    """The text of figures whose own tables are long."""
    return "in the JSON"


# gpu.sh gives the files their names, and label_propagation.py --estimate the estimates.
FIGURES = (
    Figure(
        title="label propagation, 480x854, fp32",
        file="label_propagation",
        value=rate,
        goal="60 frames/s",
        estimate="davis fp32",
    ),
    Figure(
        title="label propagation, 480x854, bf16 first",
        file="label_propagation_bf16",
        value=rate,
        goal="60 frames/s",
        estimate="davis bf16",
    ),
    Figure(
        title="label propagation, DINOv3's notebook, fp32",
        file="label_propagation_dinov3",
        value=rate,
        goal="20 frames/s, 2,000 MB",
        estimate="dinov3 fp32",
    ),
    Figure(
        title="label propagation, DINOv3's notebook, bf16 first",
        file="label_propagation_dinov3_bf16",
        value=rate,
        goal="20 frames/s, 2,000 MB",
        estimate="dinov3 bf16",
    ),
    *(
        Figure(
            title=f"480x854 with a ResNet-18 from disk to disk, {precision}",
            file="end_to_end",
            value=rate_from_disk(precision),
            goal="60 frames/s",
            estimate=f"frame {precision}",
        )
        for precision in ("fp32", "tf32", "bf16")
    ),
    Figure(title="training step of DUL", file="training_step", value=is_there),
    Figure(title="training step, image to video", file="adversarial_step", value=is_there),
    Figure(title="loading of clips", file="data_loading", value=is_there),
)


def main() -> None:
    """Gather the figures of a folder and print them."""
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, help="that gpu.sh wrote to")
    options = parser.parse_args()

    result = gathered(options.folder)
    print(table_of(result), end="\n\n")

    # The folder keeps its own copy; --out is usually the kept result.
    write_json(options.folder / "gpu.json", result)
    if options.out:
        write_json(options.out, result)

    print(json.dumps(result))


def gathered(folder: Path) -> dict[str, Any]:
    """All figures that are in a folder, with the command of each, the machine and the commit."""
    from densevos.engine.provenance import commit, processor  # Imports torch; pages do without.

    # gpu.sh writes NAME.command before it starts a benchmark, and the benchmark NAME.json.
    figures, commands = {}, {}
    for path in sorted(folder.glob("*.command")):
        commands[path.stem] = path.read_text(encoding="utf-8").strip()

        # A benchmark that failed or was stopped leaves its command alone.
        result = path.with_suffix(".json")
        if result.is_file():
            figures[path.stem] = json.loads(result.read_text(encoding="utf-8"))

    return {
        "machine": processor(),
        "date": date.today().isoformat(),
        "commit": commit(),
        "commands": commands,
        "figures": figures,
    }


def estimates() -> Mapping[str, Any]:
    """What label_propagation.py --estimate gives for an H200, by case and precision."""
    kept: dict[str, Any] = json.loads((RESULTS / "gpu_estimates.json").read_text(encoding="utf-8"))
    return kept


def table_of(result: Mapping[str, Any], estimated: Mapping[str, Any] | None = None) -> str:
    """Goal, estimate and measurement of each figure.

    Args:
        result: the JSON that `gathered` returns; one without figures before anything was run.
        estimated: estimates by their names; those of results/gpu_estimates.json by default.
    """
    if estimated is None:
        estimated = estimates()

    rows = []
    for figure in FIGURES:
        measured = NOT_RUN
        if figure.file in result["figures"]:
            measured = figure.value(result["figures"][figure.file])

        # Work is counted for propagation alone, so other figures have no estimate.
        expected = ""
        if figure.estimate in estimated:
            estimate = estimated[figure.estimate]
            expected = f"{estimate['frames_per_second']} frames/s, {estimate['peak_mb']} MB"

        rows.append([figure.title, figure.goal, expected, measured])

    return table(["figure", "goal on an H200", "estimate for it", "measured"], rows)


def made(result: Mapping[str, Any]) -> str:
    """Machine, commit and date of the measurement, or that there is none."""
    if not result["figures"]:
        return "Nothing has been measured yet: no GPU was available."
    return f"Machine: {result['machine']}. Measured at commit {result['commit']}, {result['date']}."


if __name__ == "__main__":
    main()
