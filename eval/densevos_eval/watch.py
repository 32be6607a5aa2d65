"""The command `watch`: score the encoders of a training run as the run writes them.

Each encoder is propagated and scored in a process of its own, by `densevos-eval propagate` and
`score`. The scores are in RUN/encoders/scores.jsonl, one line for each encoder, and
RUN/encoders/best.safetensors is a link to the best encoder.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError, RunError
from densevos.base.files import atomic_write
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.reports.results import Results, read_results

SCORES = "scores.jsonl"
FINAL = "encoder.safetensors"
"""The encoder that a finished run leaves in its folder."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """Score each encoder that a run writes. All other options are those of propagate."""

    once: bool = False
    """Score the encoders that exist now and end, instead of waiting for the run's last encoder."""
    every: float = 30
    """Seconds to wait before looking for new encoders again."""
    keep: bool = False
    """Keep the masks and scores of each encoder in RUN/encoders/masks."""


def watch(run: Path, words: Sequence[str], options: WatchOptions) -> None:
    """Score the encoders of a run as they appear, until its last one is scored.

    Args:
        run: The run's folder.
        words: Options of densevos-eval propagate: benchmark and protocol.
        options: How to watch.

    Raises:
        InputError: The run or the benchmark does not exist, or an option is one that `watch`
            chooses itself.
        RunError: Propagation or scoring fails for another reason than a broken encoder.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run; start densevos train --out {run} first")

    given = {word.partition("=")[0] for word in words}
    # These words go on to propagate, but a mistake should show before training has an encoder.
    for needed in ("--dataset", "--root"):
        if needed not in given:
            raise InputError(
                f"densevos-eval watch: {needed} is missing; name the benchmark to score on"
            )

    for own in ("--encoder", "--out", "--shard", "--overwrite"):
        if own in given:
            raise InputError(f"densevos-eval watch: {own} is chosen for each encoder; leave it out")

    # The run may not have written its first encoder yet.
    (run / "encoders").mkdir(exist_ok=True)

    while True:
        # Checked before looking for encoders: one that appears in between is scored next time.
        finished = (run / FINAL).exists()
        for encoder in unscored(run, words):
            _report(run, words, score(run, encoder, words, keep=options.keep))

        if finished or options.once:
            return

        time.sleep(options.every)


def written(run: Path) -> Iterator[Path]:
    """The complete encoders of a run, oldest first; the final encoder comes last."""
    encoders = sorted((run / "encoders").glob("epoch-*.safetensors"))
    encoders.append(run / FINAL)
    for encoder in encoders:
        # An encoder without its card is still being written.
        if encoder.exists() and encoder.with_suffix(".json").exists():
            yield encoder


def unscored(run: Path, words: Sequence[str]) -> Iterator[Path]:
    """Encoders without scores; the folder is read again after each, as training goes on."""
    while True:
        names = {entry["encoder"] for entry in scored(run, words)}
        waiting = [path for path in written(run) if str(path.relative_to(run)) not in names]
        if not waiting:
            return

        yield waiting[0]


def scored(run: Path, words: Sequence[str]) -> list[Mapping[str, Any]]:
    """The scores of a run that were made with the same options, one entry for each encoder."""
    file = run / "encoders" / SCORES
    if not file.exists():
        return []

    entries = []
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        # Scores of other options are not comparable, so they neither count nor stop a new score.
        if entry["options"] == list(words):
            entries.append(entry)

    return entries


def score(run: Path, encoder: Path, words: Sequence[str], *, keep: bool) -> dict[str, Any]:
    """Propagate and score with one encoder.

    Args:
        run: The run's folder.
        encoder: The encoder's file.
        words: Options of densevos-eval propagate.
        keep: Whether to keep the masks.

    Returns:
        The encoder's line of the scores; a broken encoder has an "error" instead of numbers.

    Raises:
        RunError: Propagation or scoring fails for another reason than a broken encoder.
    """
    name = encoder.stem if encoder.parent != run else "last"
    masks = run / "encoders" / "masks" / name
    entry: dict[str, Any] = {"encoder": str(encoder.relative_to(run)), "options": list(words)}

    try:
        _evaluator("propagate", "--encoder", encoder, *words, "--out", masks, "--resume")
        _evaluator("score", *benchmark_words(words), "--results", masks)
    except RunError:
        # If the encoder cannot even be described, it is broken. Training goes on, so later ones may
        # be fine.
        try:
            _evaluator("info", encoder)
        except RunError as broken:
            return entry | {"error": str(broken)}

        raise

    # Masks of every encoder may fill the disk, so by default only the numbers stay.
    results = read_results(masks)
    if not keep:
        shutil.rmtree(masks)

    return entry | _numbers(results) | {"steps": _steps(encoder)}


def benchmark_words(words: Sequence[str]) -> list[str]:
    """The options of propagate that choose the benchmark and its sequences, as `score` takes them.

    Args:
        words: Options and their values, as --NAME=VALUE or as --NAME followed by values.
    """
    # Options of propagation, such as the encoder's layer, mean nothing to `score`.
    names = {f"--{field.name}" for field in fields(BenchmarkOptions)}
    chosen = []
    is_wanted = False
    for word in words:
        # Values belong to the option before them.
        if word.startswith("--"):
            is_wanted = word.partition("=")[0] in names

        if is_wanted:
            chosen.append(word)

    return chosen


def _evaluator(command: str, *words: object) -> None:
    """Run a command of the evaluator in a new process; RunError with its last line if it fails."""
    process = subprocess.Popen(
        [sys.executable, "-m", "densevos_eval", command, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    try:
        _, errors = process.communicate()
    except BaseException:
        # Ctrl-C, say: the command must not go on alone.
        process.terminate()
        process.wait()
        raise

    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"densevos-eval {command}: {last.removeprefix('error: ')}")


def _numbers(results: Results) -> dict[str, Any]:
    """The headline number, its column, and all numbers."""
    return {
        "score": results.overall[results.headline],
        "column": results.headline,
        "overall": dict(results.overall),
    }


def _steps(encoder: Path) -> int | None:
    """Number of training steps on the encoder's card; None if it is not there."""
    card = json.loads(encoder.with_suffix(".json").read_text(encoding="utf-8"))
    steps = card.get("training", {}).get("steps")
    return steps if isinstance(steps, int) else None


def _report(run: Path, words: Sequence[str], entry: Mapping[str, Any]) -> None:
    """Append an entry to the scores and print it; link the best encoder."""
    # Written as a new file, so that readers never see half a line.
    file = run / "encoders" / SCORES
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    with atomic_write(file, "w") as new:
        new.write(f"{before}{json.dumps(entry)}\n")

    if "error" in entry:
        print(f"{entry['encoder']}: passed over: {entry['error']}", file=sys.stderr, flush=True)
        return

    _show(run, entry)
    valid = [line for line in scored(run, words) if "score" in line]
    # Of equal scores the one that was made first wins.
    best = max(valid, key=lambda line: line["score"])
    _link(run, best["encoder"])
    label = entry["column"].removesuffix("-Mean")
    note = " (best so far)" if best["encoder"] == entry["encoder"] else ""
    print(f"{entry['encoder']}: {label} {100 * entry['score']:.1f}{note}", flush=True)


def _show(run: Path, entry: Mapping[str, Any]) -> None:
    """Write the scores for TensorBoard, if it is installed, apart from the events of training."""
    from densevos.engine.logging import event_writer

    writer = event_writer()
    if writer is None:
        return

    # The axis is the step of training, so that scores lie below its curves.
    with writer(str(run / "tensorboard" / "watch")) as board:
        for column, value in entry["overall"].items():
            board.add_scalar(f"scores/{column}", value, entry["steps"])


def _link(run: Path, encoder: str) -> None:
    """Make RUN/encoders/best.safetensors and best.json links to an encoder of the run."""
    folder = run / "encoders"
    for suffix in (".safetensors", ".json"):
        # Relative, so that the run can be moved.
        target = os.path.relpath(run / Path(encoder).with_suffix(suffix), folder)
        aside, link = folder / f".best{suffix}", folder / f"best{suffix}"
        # The link is replaced in one step, so that it always exists.
        aside.unlink(missing_ok=True)
        aside.symlink_to(target)
        os.replace(aside, link)
