"""From sequences to masks on disk: encoder, label propagation, object ids and files joined."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densevos.base.errors import InputError, RunError
from densevos.base.masks import write_mask
from densevos.base.parallel import Broken, OnStep, check_any
from densevos.data.sources.source import iterate_frames
from densevos_eval import sequences as benchmark
from densevos_eval.devices import limit_threads, threads_of_each
from densevos_eval.encoders import Encoder
from densevos_eval.propagation.ahead import ahead
from densevos_eval.propagation.mattes import write_mattes
from densevos_eval.propagation.pose import check_joints, write_propagated_joints
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.runs.every import write_every
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import begin, is_whole, written_sequence
from densevos_eval.sequences import read_given, resized_frame, resized_ids
from densevos_eval.settings import PropagationConfig


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done with every sequence.

    max_side: see Propagator. probabilities: soft masks are written too, as SEQUENCE/probabilities/ID/FRAME.png.
    """

    config: PropagationConfig = field(default_factory=PropagationConfig)
    max_side: int | None = None
    probabilities: bool = False


def propagate(
    sequence: benchmark.Sequence, encoder: Encoder, config: PropagationConfig
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and object ids [H,W] uint8 of each frame of the sequence, one at a time, from its given masks."""
    return _steps(sequence, Propagator(encoder, config))


def propagate_to_folder(
    sequences: list[benchmark.Sequence],
    encoder: Encoder,
    work: Work,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    processes: Sequence[Callable[[], Encoder]] = (),
    on_frame: Callable[[str], object] = lambda name: None,
) -> dict[str, Broken]:
    """Write OUT/SEQUENCE/FRAME.png for every frame, or OUT/SEQUENCE/joints.json, and OUT/propagation.json.

    A sequence appears in `out` when it is whole. One that fails does not end the others: sequences without result come
    back with the reason. `on_frame` is called with the sequence's name after each of its frames.

    resume: go on with the same run; sequences that are whole are left as they are, if nothing about them has changed.
    processes: loaders of the same encoder, each called in a process of its own that works on a sequence at a time; the
        numbers do not depend on them. `encoder` itself then computes nothing.

    Raises InputError for a folder that cannot be used, before it is touched, and when no sequence has a result.
    """
    broken: dict[str, Broken] = {one.name: error for one in sequences if (error := _refused(one))}
    check_any(broken, [one.name for one in sequences])
    settings, inputs = run_settings(encoder, work), [path for one in sequences for path in _inputs(one)]
    begin(out, settings, overwrite=overwrite, resume=resume, inputs=inputs)
    threads = threads_of_each(len(processes))
    return write_every(
        sequences,
        partial(_write_sequence, encoder, work, out),
        whole={one.name for one in sequences if resume and one.name not in broken and is_whole(out, one)},
        broken=broken,
        processes=[partial(_in_process, load, work, out, threads) for load in processes],
        on_frame=on_frame,
    )


def run_settings(encoder: Encoder, work: Work) -> dict[str, Any]:
    """What the masks of a run depend on, but for frames and given masks."""
    return {
        "encoder": encoder.name,
        "weights": _weights_fingerprint(encoder),
        "layer": encoder.layer,
        "stride": encoder.stride,
        "precision": encoder.precision,
        "scale": encoder.scale,
        "device": encoder.device.type,
        "propagation": work.config.facts(),
        "max_side": work.max_side,
        "probabilities": work.probabilities,
    }


def _weights_fingerprint(encoder: Encoder) -> str | None:
    """SHA-256 of an encoder's parameters, or of its files; None where it has neither that we know of."""
    if encoder.source is None or encoder.source.module is None:
        return fingerprint(encoder.source.files) if encoder.source and encoder.source.files else None
    whole = hashlib.sha256()
    for name, values in sorted(encoder.source.module.state_dict().items()):
        whole.update(f"\n{name} {values.dtype} {list(values.shape)} ".encode())
        whole.update(values.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def _in_process(
    load: Callable[[], Encoder], work: Work, out: Path, threads: int
) -> Callable[[benchmark.Sequence, OnStep], None]:
    limit_threads(threads)
    return partial(_write_sequence, load(), work, out)


def _write_sequence(encoder: Encoder, work: Work, out: Path, sequence: benchmark.Sequence, on_frame: OnStep) -> None:
    try:
        with written_sequence(out, sequence) as folder:
            if sequence.joints:
                write_propagated_joints(sequence, encoder, work.config, folder, on_frame)
            else:
                _write_masks(sequence, encoder, work, folder, on_frame)
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise RunError(f"{sequence.source}: memory is too short; work at a smaller size or --context") from error


def _write_masks(sequence: benchmark.Sequence, encoder: Encoder, work: Work, folder: Path, on_frame: OnStep) -> None:
    propagator = Propagator(encoder, work.config, max_side=work.max_side)
    for name, ids in _steps(sequence, propagator):
        if name in sequence.written:
            write_mask(folder / f"{name}.png", ids)
            if work.probabilities:
                write_mattes(folder / "probabilities", name, ids.shape, propagator.probabilities())
        on_frame(sequence.name)


def _steps(sequence: benchmark.Sequence, propagator: Propagator) -> Iterator[tuple[str, np.ndarray]]:
    given = read_given(sequence)
    frames = ahead(iterate_frames(sequence.frames()))
    for index, (name, frame) in enumerate(zip(sequence.frame_names, frames, strict=True)):
        size = (frame.shape[0], frame.shape[1])
        inside, mask = sequence.frame_size or size, given.get(index)
        ids = propagator.step(resized_frame(frame, inside), None if mask is None else resized_ids(mask, inside))
        yield name, resized_ids(ids, size)


def _inputs(sequence: benchmark.Sequence) -> list[Path]:
    return [sequence.source, *sequence.given.values(), *([sequence.joints] if sequence.joints else [])]


def _refused(sequence: benchmark.Sequence) -> InputError | None:
    """Why what is given for the sequence cannot be used, if so; found out before anything is written."""
    try:
        if sequence.joints:
            check_joints(sequence)
        elif not read_given(sequence):
            return InputError(f"{sequence.source}: no mask is given; propagation needs that of the first frame")
    except InputError as error:
        return error
    return None
