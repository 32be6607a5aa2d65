"""From sequences to masks on disk: encoder, label propagation, object ids and files joined."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from densevos.data.readers import iterate_frames, open_frames
from densevos.errors import InputError
from densevos.files import new_folder, write_json
from densevos.masks import write_mask
from densevos_eval.encoders import Encoder
from densevos_eval.propagator import Propagator
from densevos_eval.sequences import Sequence, read_given
from densevos_eval.settings import PropagationConfig


def propagate(sequence: Sequence, encoder: Encoder, config: PropagationConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Name and object ids [H,W] uint8 of each frame of the sequence, one at a time, from its given masks."""
    given = read_given(sequence)
    propagator = Propagator(encoder, config)
    frames = iterate_frames(open_frames(sequence.source))
    for index, (name, frame) in enumerate(zip(sequence.frame_names, frames, strict=True)):
        yield name, propagator.step(frame, given.get(index))


def propagate_to_folder(
    sequences: list[Sequence],
    encoder: Encoder,
    config: PropagationConfig,
    out: Path,
    *,
    overwrite: bool = False,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write OUT/SEQUENCE/FRAME.png for every frame and OUT/propagation.json, the record of the run.

    All given masks are checked before `out` is touched. `on_frame` is called with the sequence's name after
    each of its frames. Raises InputError for masks, frames and folders that cannot be used.
    """
    for sequence in sequences:
        if not read_given(sequence):
            raise InputError(f"{sequence.source}: no mask is given; propagation needs that of the first frame")
    new_folder(out, overwrite=overwrite)
    seconds = {}
    for sequence in sequences:
        start = time.perf_counter()
        (out / sequence.name).mkdir(parents=True)
        for name, ids in propagate(sequence, encoder, config):
            if name in sequence.written:
                write_mask(out / sequence.name / f"{name}.png", ids)
            on_frame(sequence.name)
        seconds[sequence.name] = round(time.perf_counter() - start, 2)
    record = {
        "encoder": encoder.name,
        "layer": encoder.layer,
        "precision": encoder.precision,
        "device": str(encoder.device),
        "propagation": asdict(config),
        "frames": {sequence.name: len(sequence.frame_names) for sequence in sequences},
        "seconds": seconds,
    }
    write_json(out / "propagation.json", record)
