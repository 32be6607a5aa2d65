"""The command `sweep`: many settings of propagation on features that are computed once."""

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
from densevos_eval.sweep.table import Sweep, SweepEntry


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
    """Propagate with every setting, and score the masks.

    OUT/SETTING receives what propagate and score write. The features of one sequence are kept at a
    time, in a nameless file in OUT, and one setting runs at a time, so that the memory is that of a
    single propagation.

    Args:
        sequences: The sequences of the benchmark.
        encoder: Computes the features.
        setups: Name of each setting -> the setting.
        protocol: The benchmark's protocol.
        out: Folder of the sweep.
        split: Name of the split, for the results.
        workers: Number of processes that score.
        overwrite: Whether to empty the folder first if it holds files.
        on_frame: Called with the sequence's name after each frame of each setting.

    Returns:
        The scores of all settings. Sequences with unusable frames are listed in `broken`, and no
        setting is scored on them.

    Raises:
        InputError: Given masks, annotations or the folder cannot be used, or all sequences are
            broken.
    """
    # Wrong inputs are errors before the features of the first sequence are computed.
    for sequence in sequences:
        _check(sequence, protocol)

    # Frames before the first mask are not scored, and features are kept for one direction only.
    sequences = [replace(sequence, both_ways=False) for sequence in sequences]
    inputs: list[Path] = []
    for sequence in sequences:
        inputs += [sequence.source, *sequence.given.values()]

    # The folder must not hold a file that is read.
    new_folder(out, overwrite=overwrite, inputs=inputs)
    features, seconds = 0.0, dict.fromkeys(setups, 0.0)
    broken: dict[str, Broken] = {}

    for number, sequence in enumerate(sequences):
        # The file has no name, so the system deletes it even if the process is killed.
        with tempfile.TemporaryFile(dir=out) as file:
            memory = FeatureFile(file=file)
            remembering = Remembering.of(encoder, memory)
            for name, setup in setups.items():
                start, before = time.perf_counter(), memory.seconds
                # The first setting computes the features, all others read them.
                writer = Propagation(
                    encoder=remembering, config=setup.propagation, masks=setup.masks
                )

                # The sequences of a setting are written one by one into the same run.
                try:
                    write_all([sequence], writer, out / name, resume=number > 0, on_step=on_frame)
                except BROKEN as error:
                    # Other settings would fail on the same frames.
                    broken[sequence.name] = error
                    break

                # The time for the features is reported separately.
                seconds[name] += time.perf_counter() - start - (memory.seconds - before)

        features += memory.seconds

    # Settings are scored only on sequences that all of them have masks of.
    check_any(broken, [sequence.name for sequence in sequences])
    reasons = {name: str(error) for name, error in broken.items()}
    complete = [sequence for sequence in sequences if sequence.name not in broken]
    entries = {}
    for name, setup in setups.items():
        results = _scored(complete, reasons, out / name, protocol, split=split, workers=workers)
        entries[name] = SweepEntry(config=setup.propagation, results=results, seconds=seconds[name])

    record = {
        "encoder": encoder.name,
        "layer": encoder.layer,
        "precision": encoder.precision,
        "device": str(encoder.device),
    }

    return Sweep(
        entries=entries,
        encoder=record,
        features=features,
        broken=reasons,
    )


def _check(sequence: VideoSequence, protocol: Protocol) -> None:
    """Raise InputError for a sequence that a sweep could not score in the end."""
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
    """Score the masks of one setting, and write its tables and results.json beside them.

    sequences: Sequences with masks of every setting.
    broken: Name of each other sequence -> reason, which results.json records.
    """
    # A protocol without `stability` does not compute the temporal instability T.
    metric = benchmark_metric(replace(protocol, stability=frozenset()))
    scores = score(sequences, folder, metric, split=split, workers=workers)
    write_scores(scores, folder)
    # `read_results` rejects results with broken sequences, so these are recorded after it.
    results = read_results(folder)
    if broken:
        write_scores(replace(scores, broken=broken), folder)

    return results
