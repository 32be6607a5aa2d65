"""What the scripts that measure speed and memory share: own processes, memory, tables and JSON.

A script of several rows runs each in a process of its own, so no row leaves memory or warm caches
to the next. It starts itself again with the hidden option --one, and that process prints one line
of JSON. Torch is imported only for a GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.base.files import write_json

Row = dict[str, float | int | str]


def parser_of(description: str | None, *, own_processes: bool = False) -> argparse.ArgumentParser:
    """A parser with --out, to write the JSON to; with --one if rows run in own processes."""
    # The description is the script's docstring, whose lines and lists stay as they are.
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=as_written)
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    if own_processes:
        parser.add_argument("--one", help=argparse.SUPPRESS)

    return parser


def in_own_process(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Any:
    """Start a script in a new process and return what its last line says.

    Args:
        arguments: the script and its arguments, --one among them.
        environment: variables to set besides those of this process.
    """
    # stderr is not captured: warnings and errors of the process reach the user at once.
    done = subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **(environment or {})},
    )

    # Libraries may print lines of their own before.
    return json.loads(done.stdout.splitlines()[-1])


def report(figures: object, *tables: str, out: Path | None) -> None:
    """Print tables and, as the last line, the figures as JSON; write it to `out`, too, if given."""
    print(*tables, sep="\n\n", end="\n\n")
    if out:
        write_json(out, figures)

    print(json.dumps(figures))


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table: a line for the header and one for each row."""
    header = list(header)
    lines = [_line(header), "|" + "---|" * len(header), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def timed(work: Callable[[], object], device: object = "cpu") -> float:
    """Seconds of wall-clock time that `work` takes, what it started on a GPU included."""
    wait = _wait_for(device)

    # A GPU works on after a call returns, so wait for earlier work first and for this at the end.
    wait()
    start = time.perf_counter()
    work()
    wait()

    return time.perf_counter() - start


def resident_mb(device: object = "cpu") -> float:
    """Memory in MB that this process has now: resident, or allocated on a GPU."""
    if _is_gpu(device):
        import torch

        return torch.cuda.memory_allocated(str(device)) / 2**20

    return _status_mb("VmRSS")


def peak_mb(device: object = "cpu") -> float:
    """The most memory in MB that this process ever had."""
    if _is_gpu(device):
        import torch

        return torch.cuda.max_memory_allocated(str(device)) / 2**20

    # Not the maximum of getrusage: a new process takes over that of its parent.
    return _status_mb("VmHWM")


def device_name(device: object) -> str:
    """The name of a GPU; "cpu" for the CPU."""
    if _is_gpu(device):
        import torch

        return torch.cuda.get_device_name(str(device))

    return "cpu"


def _status_mb(field: str) -> float:
    """One size of /proc/self/status, which is in kB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def _wait_for(device: object) -> Callable[[], object]:
    """What waits until a device has done its work."""
    if _is_gpu(device):
        import torch

        return torch.cuda.synchronize

    return lambda: None


def _is_gpu(device: object) -> bool:
    return str(device).startswith("cuda")
