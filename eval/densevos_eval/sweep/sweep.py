"""Many settings of propagation on the same features, which are computed once."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import new_folder
from densevos.base.parallel import BROKEN, Broken, check_any
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.settings import Setup
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.reports.results import Results, read_results
from densevos_eval.runs.runner import write_all
from densevos_eval.scoring.results import write_scores
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import VideoSequence, read_given
from densevos_eval.sweep.remembering import FeatureFile, Remembering
from densevos_eval.sweep.table import Sweep, Tried


def sweep(
    sequences: list[VideoSequence],
    encoder: Encoder,
    setups: Mapping[str, Setup],
    protocol: Protocol,
    out: Path,
    *,
    split: str,
    workers: int = 1,
    overwrite: bool = False,
    on_frame: Callable[[str], object] = lambda name: None,
) -> Sweep:
    """Propagate with every setting and score it: OUT/SETTING holds what propagate and score write.

    One sequence's features are kept at a time, in a nameless file in OUT, and one setting is run at
    a time: memory is that of a single propagation. `on_frame` is called with the sequence's name
    after each frame of each setting. workers: processes that score.

    A sequence with frames that cannot be used is told of in `broken`, and all settings are scored
    without it. Raises InputError for given masks, annotations and folders that cannot be used, and
    when all sequences are broken.
    """
    for sequence in sequences:
        _check(sequence, protocol)

    # Frames before the first mask are not scored, and features are kept of one way through a video.
    sequences = [replace(sequence, both_ways=False) for sequence in sequences]
    inputs = [
        path for sequence in sequences for path in (sequence.source, *sequence.given.values())
    ]
    new_folder(out, overwrite=overwrite, inputs=inputs)
    features, seconds = 0.0, dict.fromkeys(setups, 0.0)
    broken: dict[str, Broken] = {}

    for number, sequence in enumerate(sequences):
        with tempfile.TemporaryFile(dir=out) as file:
            memory = FeatureFile(file=file)
            remembering = Remembering.of(encoder, memory)
            for name, setup in setups.items():
                start, before = time.perf_counter(), memory.seconds
                writer = Propagation(
                    encoder=remembering, config=setup.propagation, masks=setup.masks
                )

                try:
                    write_all([sequence], writer, out / name, resume=number > 0, on_step=on_frame)
                except BROKEN as error:
                    broken[sequence.name] = error
                    break

                seconds[name] += time.perf_counter() - start - (memory.seconds - before)

        features += memory.seconds

    check_any(broken, [sequence.name for sequence in sequences])
    reasons = {name: str(error) for name, error in broken.items()}
    whole = [sequence for sequence in sequences if sequence.name not in broken]
    scored = {
        name: _scored(whole, reasons, out / name, protocol, split=split, workers=workers)
        for name in setups
    }
    record = {"encoder": encoder.name, "layer": encoder.layer, "precision": encoder.precision}

    return Sweep(
        tried={
            name: Tried(config=setup.propagation, results=scored[name], seconds=seconds[name])
            for name, setup in setups.items()
        },
        encoder={**record, "device": str(encoder.device)},
        features=features,
        broken=reasons,
    )


def _check(sequence: VideoSequence, protocol: Protocol) -> None:
    """Raise InputError for what a sweep would find out late."""
    if sequence.joints:
        return
    if not read_given(sequence):
        raise InputError(
            f"{sequence.source}: no mask is given; propagation needs that of the first frame"
        )

    if not sequence.truth:
        raise InputError(
            f"--dataset {protocol.name}: {sequence.name} has no annotations to score settings by"
        )


def _scored(
    sequences: list[VideoSequence],
    broken: Mapping[str, str],
    folder: Path,
    protocol: Protocol,
    *,
    split: str,
    workers: int,
) -> Results:
    """Score the masks of one setting, without T, and write its tables and results.json beside them.

    sequences: those that are whole. broken: the others, which results.json tells of.
    """
    metric = benchmark_metric(replace(protocol, stability=frozenset()))
    scores = score(sequences, folder, metric, split=split, workers=workers)
    write_scores(scores, folder)
    results = read_results(folder)
    if broken:
        write_scores(replace(scores, broken=broken), folder)

    return results
