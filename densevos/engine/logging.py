"""Logs of a run: metrics.jsonl, TensorBoard if it is installed, Weights & Biases on request."""

# Shapes: H x W pixels of an image

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

WITHOUT_TENSORBOARD = (
    "losses go to metrics.jsonl only; "
    "pip install 'densevos[tensorboard]' for curves and images in TensorBoard too"
)


class Sink(Protocol):
    """A log that records scalars and images of a run."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record named values of one step."""
        ...

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Record named images [3,H,W] in 0..1."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


class MetricsLog:
    """Records scalars and images by step in all logs of a run; a context that closes them.

    The logs are RUN/metrics.jsonl, RUN/tensorboard (if TensorBoard is not installed, a note says
    how to install it) and Weights & Biases on request. A resumed run first drops the records after
    its checkpoint, so that every step is recorded once.

    Args:
        folder: The run folder.
        first_step: The step of the checkpoint that the run continues from.
        wandb: Project of Weights & Biases; None records nothing there.

    Raises:
        InputError: `wandb` is given, but Weights & Biases is not installed.
    """

    def __init__(self, folder: Path, first_step: int = 0, *, wandb: str | None = None):
        sinks: list[Sink] = []

        # Weights & Biases may be refused, so it comes first: then no file is open yet.
        if wandb is not None:
            sinks.append(WeightsAndBiases(folder, wandb))

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
        """Record named images [3,H,W] in 0..1."""
        for sink in self._sinks:
            sink.show(step, panels)

    def close(self) -> None:
        """Flush and close all logs."""
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
    """RUN/metrics.jsonl with one JSON object per line, without images.

    Args:
        folder: The run folder.
        first_step: Lines after this step are dropped.
    """

    def __init__(self, folder: Path, first_step: int):
        path = folder / "metrics.jsonl"
        _drop_after(path, first_step)
        # Appended to, since a resumed run continues the file.
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line; it is flushed at once, so that a killed run loses none."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Do nothing: JSON has no images."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def event_writer() -> Any:
    """The class that writes events of TensorBoard; None if TensorBoard is not installed."""
    try:
        # Imported here because it is slow, and only runs need it.
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None

    return SummaryWriter


class TensorBoard:
    """Events of TensorBoard in RUN/tensorboard; `event_writer` must not return None.

    Args:
        folder: The run folder.
        first_step: Events after this step are dropped.
    """

    def __init__(self, folder: Path, first_step: int):
        # purge_step hides the events of a killed run that a resumed run writes again.
        self._board = event_writer()(str(folder / "tensorboard"), purge_step=first_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add scalars."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Add images, and flush them so that they can be seen at once."""
        for name, image in panels.items():
            self._board.add_image(f"panels/{name}", image, step)

        self._board.flush()

    def close(self) -> None:
        """Close the file of events."""
        self._board.close()


class WeightsAndBiases:
    """A run of Weights & Biases; resumed training continues the same run there.

    Log in with `wandb login`; the environment variable WANDB_MODE chooses online or offline.

    Args:
        folder: The run folder; its name becomes the run's name.
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

        # The identity follows from the path, so a folder that is not moved stays the same run.
        identity = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._wandb: Any = wandb
        self._run = wandb.init(
            project=project, name=folder.name, id=identity, resume="allow", dir=str(folder)
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record values; Weights & Biases ignores steps that a resumed run repeats."""
        self._run.log(dict(values), step=step)

    def show(self, step: int, panels: Mapping[str, Tensor]) -> None:
        """Record images."""
        images = {}
        for name, panel in panels.items():
            pixels = (panel.permute(1, 2, 0) * 255).byte().numpy()  # [H,W,3] uint8
            images[f"panels/{name}"] = self._wandb.Image(pixels)

        self._run.log(images, step=step)

    def close(self) -> None:
        """Finish the run at Weights & Biases."""
        self._run.finish()


def _drop_after(path: Path, step: int) -> None:
    """Drop the lines of later steps, and a line that a killed run left incomplete."""
    if not path.exists():
        return

    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [f"{line}\n" for line in lines if _step_of(line) <= step]

    # The file is replaced at once: a run that is killed here must not lose its log.
    aside = path.with_name(f".{path.name}.part")
    aside.write_text("".join(kept), encoding="utf-8")
    os.replace(aside, path)


def _step_of(line: str) -> float:
    """The step of a line; infinity if the line is incomplete."""
    try:
        step: float = json.loads(line)["step"]
        return step
    except (json.JSONDecodeError, KeyError):
        return float("inf")
