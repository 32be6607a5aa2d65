"""Settings of propagation as plain data; importing them loads no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from densevos.errors import InputError
from densevos_eval.protocols import BenchmarkOptions, Dataset
from densevos_eval.sequences import Sequence, own_video


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """Settings of label propagation; the defaults are the paper's for DAVIS and YouTube-VOS."""

    context: int = 20
    """How many preceding frames are looked at."""
    radius: float = 12
    """Reach in the preceding frames, in feature cells: candidates are strictly nearer."""
    topk: int = 10
    """How many of the most similar cells vote."""
    temperature: float = 0.05
    """Temperature of the softmax that weighs their votes."""

    def __post_init__(self) -> None:
        if self.context < 0:
            raise InputError(f"--context: must be 0 or more, is {self.context}")
        if not self.radius >= 0:
            raise InputError(f"--radius: must be 0 or more cells, is {self.radius}")
        if self.topk < 1:
            raise InputError(f"--topk: must be 1 or more, is {self.topk}")
        if not self.temperature > 0:
            raise InputError(f"--temperature: must be above 0, is {self.temperature}")


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Which encoder, and how it is run."""

    encoder: str
    """encoder.safetensors or its run folder, a released DUL snapshot, or random:resnet18[:SEED]."""
    layer: Literal["res4", "res3", "key"] = "res4"
    """Features that are compared."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the encoder."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""


@dataclass(frozen=True, kw_only=True)
class Videos:
    """What to propagate through: the sequences of a benchmark, or one's own video."""

    dataset: Dataset | None = None
    """Protocol: layout of the files."""
    root: Path | None = None
    """Folder that holds JPEGImages and Annotations."""
    split: str = "val"
    """Name of the list of sequences in ImageSets."""
    sequences: tuple[str, ...] = ()
    """Names of sequences, instead of the split's list."""
    annotations: str | None = None
    """Annotation folder below --root, instead of the benchmark's own."""
    resolution: str | None = None
    """Folder of one resolution, such as 480p; found by itself where there is only one."""
    frames: Literal["all", "required"] = "all"
    """Of YouTube-VOS: propagate through all frames, or through the 6-fps set only."""
    video: Path | None = None
    """Instead of a benchmark: a video file or a folder of frames."""
    mask: Path | None = None
    """Mask of its first frame (indexed PNG), or a folder of masks named as their frames."""

    def load(self) -> list[Sequence]:
        """The sequences; InputError when neither or both kinds are named, or files are missing."""
        if self.video and self.mask and not (self.dataset or self.root):
            return [own_video(self.video, self.mask)]
        if self.dataset and self.root and not (self.video or self.mask):
            return BenchmarkOptions(
                dataset=self.dataset,
                root=self.root,
                split=self.split,
                sequences=self.sequences,
                annotations=self.annotations,
                resolution=self.resolution,
                frames=self.frames,
            ).load()
        raise InputError("propagate: give --dataset and --root, or --video and --mask")
