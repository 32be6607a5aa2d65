"""Object-level zero-shot masks on disk: primary objects against background (MuG, Lu et al., CVPR 2020, Sec. 3.3)."""

import os
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Several
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densevos.base.errors import InputError, RunError
from densevos.base.masks import write_mask
from densevos.base.parallel import Broken, OnStep
from densevos.data.foreground.crf import CrfConfig, refine, require
from densevos.inference.segmenter import Segmenter
from densevos_eval.devices import limit_threads, threads_of_each
from densevos_eval.propagation.mattes import write_mattes
from densevos_eval.runs.every import Write, write_every
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import begin, is_whole, written_sequence
from densevos_eval.sequences import Sequence

PLAIN = "no-crf"  # below the folder of the refined masks
PER_GPU = 4  # Processes: each holds a network and its largest batch.


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done with every sequence.

    threshold: the probability at which foreground begins. crf: refines masks; None for none.
    probabilities: soft masks are written too, as SEQUENCE/probabilities/ID/FRAME.png (ID 0 and 1).
    """

    threshold: float = 0.5
    crf: CrfConfig | None = None
    probabilities: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError(f"--threshold: must lie between 0 and 1, is {self.threshold}")

    def folders(self, out: Path) -> list[Path]:
        """Where masks go: to `out`; with a CRF the refined ones, and those before it to a folder within."""
        return [out, out / PLAIN] if self.crf else [out]


@dataclass(frozen=True, kw_only=True)
class Foreground:
    """The foreground of one frame: mask [H,W] uint8 of 0 and 1, and its probability [H,W] float32."""

    mask: np.ndarray
    probability: np.ndarray


def foregrounds(sequence: Sequence, segmenter: Segmenter, work: Work) -> Iterator[list[Foreground]]:
    """What is found in each frame, at its own size, one of each of work.folders."""
    pictures = sequence.frames()  # a reader of its own: two that take turns would send a decoder back and forth
    for index, probability in enumerate(segmenter(sequence.frames())):
        plain = _foreground(probability, work.threshold)
        if work.crf is None:
            yield [plain]
            continue
        # The labels of the CRF change places at 0.5.
        neutral = np.interp(probability, (0, work.threshold, 1), (0, 0.5, 1)).astype(np.float32)
        yield [_foreground(refine(neutral, pictures.read([index])[0], work.crf), 0.5), plain]


def _foreground(probability: np.ndarray, threshold: float) -> Foreground:
    return Foreground(mask=(probability >= threshold).astype(np.uint8), probability=probability)


def segment_to_folder(
    sequences: list[Sequence],
    segmenter: Segmenter,
    work: Work,
    out: Path,
    *,
    model: Path,
    overwrite: bool = False,
    resume: bool = False,
    processes: Several[Callable[[], Segmenter]] = (),
    on_frame: OnStep = lambda name: None,
) -> dict[str, Broken]:
    """Write OUT/SEQUENCE/FRAME.png for every frame, and with a CRF the masks before it to OUT/no-crf/SEQUENCE.

    Both folders get what densevos-eval propagate writes beside masks. A sequence appears when it is whole. One that
    fails does not end the others: sequences without result come back with the reason.

    model: the file that `segmenter` is from. resume, processes, on_frame: as in propagate_to_folder.

    Raises InputError for a folder that cannot be used, before it is touched, where the CRF is not installed, and when
    no sequence has a result.
    """
    if work.crf:
        require()
    settings = run_settings(segmenter, work, model)
    begin(out, settings, overwrite=overwrite, resume=resume, inputs=[model, *(one.source for one in sequences)])
    folders = work.folders(out)
    for folder in folders[1:]:
        begin(folder, {**settings, "crf": None}, overwrite=False, resume=True, inputs=[])
    threads = threads_of_each(len(processes))
    return write_every(
        sequences,
        partial(_write_sequence, segmenter, work, out),
        whole={one.name for one in sequences if resume and all(is_whole(folder, one) for folder in folders)},
        processes=[partial(_in_process, load, work, out, threads) for load in processes],
        on_frame=on_frame,
    )


def run_settings(segmenter: Segmenter, work: Work, model: Path) -> dict[str, Any]:
    """What the masks of a run depend on, but for frames."""
    return {
        "method": "zero-shot, object level",
        "model": str(model),
        "weights": fingerprint([model]),
        "size": segmenter.size,
        "references": segmenter.segments,
        "device": segmenter.device.type,
        "threshold": work.threshold,
        "crf": asdict(work.crf) if work.crf else None,
        "probabilities": work.probabilities,
    }


def usual_workers(work: Work, sequences: int) -> int | None:
    """Processes where no number is given: one a core for the CRF, which takes longer than the network and one core."""
    if work.crf is None or sequences < 2:
        return None
    most = PER_GPU * torch.cuda.device_count() or sequences
    return min(os.cpu_count() or 1, most, sequences)


def _in_process(load: Callable[[], Segmenter], work: Work, out: Path, threads: int) -> Write:
    limit_threads(threads)
    return partial(_write_sequence, load(), work, out)


def _write_sequence(segmenter: Segmenter, work: Work, out: Path, sequence: Sequence, on_frame: OnStep) -> None:
    try:
        with ExitStack() as opened:
            folders = [opened.enter_context(written_sequence(folder, sequence)) for folder in work.folders(out)]
            for name, found in zip(sequence.frame_names, foregrounds(sequence, segmenter, work), strict=True):
                for folder, one in zip(folders, found, strict=True):
                    _write(one, folder, name, work)
                on_frame(sequence.name)
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise RunError(f"{sequence.source}: memory is too short; run with fewer --workers or --references") from error


def _write(one: Foreground, folder: Path, frame: str, work: Work) -> None:
    write_mask(folder / f"{frame}.png", one.mask)
    if work.probabilities:
        both = ((0, 1 - one.probability), (1, one.probability))
        write_mattes(folder / "probabilities", frame, one.mask.shape, both)
