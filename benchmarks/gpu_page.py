"""The figures of a GPU: gather what gpu.sh left, and write their page.

    python benchmarks/gpu_page.py FOLDER [--out benchmarks/results/gpu.json]
    python benchmarks/gpu_page.py

With a folder: gather its JSON files in FOLDER/gpu.json and print the table. Without one: write results/gpu.md from
results/gpu.json, or from the estimates alone while nobody has run gpu.sh on a GPU.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from densevos.base.files import write_json, written_whole
from densevos.engine.provenance import commit, processor
from harness import parser_of, table

RESULTS = Path(__file__).resolve().parent / "results"
NOT_RUN = "not run: no GPU"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A line of the table: from which JSON, what is measured, what was aimed at, and the name of its estimate."""

    title: str
    file: str
    value: Callable[[Any], str]
    goal: str = ""
    estimate: str = ""


def rate(figures: Any) -> str:
    """Frames a second of label propagation alone, and what it is times the plain formulation."""
    return f"{figures['frames_per_second']} frames/s ({figures['speedup']}x plain), {figures['peak_mb']} MB"


def rate_from_disk(precision: str) -> Callable[[Any], str]:
    """Frames a second from disk to disk with an encoder of a precision."""

    def value(figures: Any) -> str:
        row = next(row for row in figures["rows"] if row["precision"] == precision)
        return f"{row['frames_per_second']} frames/s, {row.get('peak_gpu_mb', row['peak_mb'])} MB"

    return value


def is_there(figures: Any) -> str:
    """For figures whose own tables are long."""
    return "in the JSON"


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
    """Gather, or write the page."""
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="that gpu.sh wrote to")
    options = parser.parse_args()
    if options.folder is None:
        with written_whole(RESULTS / "gpu.md", "w") as file:
            file.write(page())
        return
    result = gathered(options.folder)
    print(table_of(result, estimates()), end="\n\n")
    for path in filter(None, (options.folder / "gpu.json", options.out)):
        write_json(path, result)
    print(json.dumps(result))


def gathered(folder: Path) -> dict[str, Any]:
    """All figures that are in a folder, with the command of each, the machine and the commit."""
    figures, commands = {}, {}
    for path in sorted(folder.glob("*.command")):
        commands[path.stem] = path.read_text(encoding="utf-8").strip()
        if path.with_suffix(".json").is_file():
            figures[path.stem] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    made = {"machine": processor(), "date": date.today().isoformat(), "commit": commit()}
    return {**made, "commands": commands, "figures": figures}


def estimates() -> Mapping[str, Any]:
    """What label_propagation.py --estimate says of an H200, by case and precision."""
    kept: dict[str, Any] = json.loads((RESULTS / "gpu_estimates.json").read_text(encoding="utf-8"))
    return kept


def table_of(result: Mapping[str, Any], estimated: Mapping[str, Any]) -> str:
    """Goal, estimate and measurement of each figure."""
    rows = []
    for figure in FIGURES:
        measured = figure.value(result["figures"][figure.file]) if figure.file in result["figures"] else NOT_RUN
        known = estimated.get(figure.estimate)
        text = f"{known['frames_per_second']} frames/s, {known['peak_mb']} MB" if known else ""
        rows.append([figure.title, figure.goal, text, measured])
    return table(["figure", "goal on an H200", "estimate for it", "measured"], rows)


def page() -> str:
    """The text of results/gpu.md."""
    path = RESULTS / "gpu.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"figures": {}}
    made = f"{result['date']}, commit {result['commit']}, {result['machine']}." if path.is_file() else f"{NOT_RUN}."
    return f"""<!-- Made by `python benchmarks/gpu_page.py`; change that script instead. -->

# Speed on a GPU

```
RESULT=benchmarks/results/gpu.json bash benchmarks/gpu.sh && python benchmarks/gpu_page.py
```

{made[0].upper()}{made[1:]}

{table_of(result, estimates())}

Estimates are of frames with a full context, by counted operations, bytes and kernels and assumed shares of an H200's
peaks (`benchmarks/costs.py`). They are no measurement, and have no reading of frames and no writing of masks in them.
Lines of label propagation are without an encoder.
"""


if __name__ == "__main__":
    main()
