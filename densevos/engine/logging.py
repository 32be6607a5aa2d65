"""What a run records: metrics.jsonl, TensorBoard where it is installed, and Weights & Biases on
request.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from torch import Tensor

from densevos.base import console
from densevos.base.errors import InputError

WITHOUT_TENSORBOARD = "losses are in metrics.jsonl alone; pip install 'densevos[tensorboard]' for curves and pictures in TensorBoard too"


class Sink(Protocol):
    """A place that scalars and pictures of a run go to."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record named values of one step."""
        ...

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Record named pictures [3,H,W] in 0..1."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


class MetricsLog:
    """Scalars and pictures by step, in RUN/metrics.jsonl, RUN/tensorboard and wherever else is
    asked for.

    Without TensorBoard a note says how to install it.

    A resumed run first drops what lies after its checkpoint, so every step stands there once.

    Args:
        folder: The run's folder.
        first_step: The step of the checkpoint that the run goes on from.
        wandb: Project of Weights & Biases to record in as well; None for none.
    """

    def __init__(self, folder: Path, first_step: int = 0, *, wandb: str | None = None):
        # The one that may be refused comes first: nothing is open then.
        sinks: list[Sink] = [] if wandb is None else [WeightsAndBiases(folder, wandb)]
        sinks.append(JsonLines(folder, first_step))
        if event_writer() is not None:
            sinks.append(TensorBoard(folder, first_step))
        else:
            console.print_notes([WITHOUT_TENSORBOARD])

        self._sinks: Sequence[Sink] = sinks

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record named values of one step."""
        for sink in self._sinks:
            sink.write(step, values)

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Record named pictures [3,H,W] in 0..1."""
        for sink in self._sinks:
            sink.show(step, panels)

    def close(self) -> None:
        """Flush and close all."""
        for sink in self._sinks:
            sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class JsonLines:
    """One JSON object a line in RUN/metrics.jsonl; pictures are left out."""

    def __init__(self, folder: Path, first_step: int):
        path = folder / "metrics.jsonl"
        _drop_after(path, first_step)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line, at once."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Leave pictures out."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def event_writer() -> Any:
    """The class that writes events of TensorBoard; None if TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # Slow to import: only runs need it.
    except ImportError:
        return None

    return SummaryWriter


class TensorBoard:
    """Events in RUN/tensorboard; only where `event_writer` finds TensorBoard."""

    def __init__(self, folder: Path, first_step: int):
        self._board = event_writer()(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add scalars."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Add pictures, and let them be seen at once."""
        for name, picture in panels.items():
            self._board.add_image(f"panels/{name}", picture, step)
        self._board.flush()

    def close(self) -> None:
        """Close the events."""
        self._board.close()


class WeightsAndBiases:
    """A run of Weights & Biases, which is gone on with when training is resumed.

    Its own variables say whether it is online and who is logged in; see `wandb login` and
    WANDB_MODE.

    Args:
        folder: The run's folder, which names it.
        project: Project of Weights & Biases.

    Raises:
        InputError: wandb is not installed.
    """

    def __init__(self, folder: Path, project: str):
        try:
            import wandb
        except ImportError:
            raise InputError(
                "recording in Weights & Biases needs wandb; pip install 'densevos[wandb]'"
            ) from None

        # The same folder is the same run there, as long as it stays where it is.
        identity = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._wandb: Any = wandb
        self._run = wandb.init(
            project=project, name=folder.name, id=identity, resume="allow", dir=str(folder)
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record values; what a resumed run repeats is left out there."""
        self._run.log(dict(values), step=step)

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Record pictures."""
        pictures = {
            f"panels/{name}": self._wandb.Image((picture.permute(1, 2, 0) * 255).byte().numpy())
            for name, picture in panels.items()
        }
        self._run.log(pictures, step=step)

    def close(self) -> None:
        """End the run there."""
        self._run.finish()


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return

    kept = [
        line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step
    ]
    aside = path.with_name(f".{path.name}.part")
    aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    os.replace(aside, path)


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):  # the last line of a killed run may be torn
        return float("inf")
