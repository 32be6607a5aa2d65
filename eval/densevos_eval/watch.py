"""Scores of the encoders that a training run writes, while it writes them.

Masks are propagated and scored in processes of their own, by `densevos-eval propagate` and `score`.
What was scored is in RUN/encoders/scores.jsonl, a line for each encoder;
RUN/encoders/best.safetensors is a link to the best one.
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
"""What a finished run leaves in its folder."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """Score each encoder that a run writes. All other options are those of propagate."""

    once: bool = False
    """Score what is there and end, instead of waiting for the run's last encoder."""
    every: float = 30
    """Seconds between two looks for new encoders."""
    keep: bool = False
    """Keep masks and scores of each encoder, in RUN/encoders/masks."""


def watch(run: Path, words: Sequence[str], options: WatchOptions) -> None:
    """Score encoders of a run as they appear, until its last one is scored.

    Args:
        run: The run's folder.
        words: Options of densevos-eval propagate: benchmark and protocol.
        options: How to watch.

    Raises:
        InputError: There is no such run or benchmark, or an option is not for the user to give.
        RunError: The benchmark cannot be propagated through or scored, with this encoder and with
            others.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run; start densevos train --out {run} first")

    given = {word.partition("=")[0] for word in words}
    for needed in ("--dataset", "--root"):
        if needed not in given:
            raise InputError(
                f"densevos-eval watch: {needed} is missing; name the benchmark to score on"
            )

    for own in ("--encoder", "--out", "--shard", "--overwrite"):
        if own in given:
            raise InputError(f"densevos-eval watch: {own} is chosen for each encoder; leave it out")

    (run / "encoders").mkdir(exist_ok=True)

    while True:
        finished = (
            run / FINAL
        ).exists()  # Before looking for encoders: those that appear later are not the last.
        for encoder in unscored(run, words):
            _report(run, words, score(run, encoder, words, keep=options.keep))

        if finished or options.once:
            return

        time.sleep(options.every)


def written(run: Path) -> Iterator[Path]:
    """The encoders of a run that are complete, oldest first; the last one of a finished run comes
    last.
    """
    every = [*sorted((run / "encoders").glob("epoch-*.safetensors")), run / FINAL]
    return (
        encoder for encoder in every if encoder.exists() and encoder.with_suffix(".json").exists()
    )


def unscored(run: Path, words: Sequence[str]) -> Iterator[Path]:
    """Encoders without a line in the scores, looked for anew after each: training goes on
    meanwhile.
    """
    while True:
        known = {entry["encoder"] for entry in scored(run, words)}
        encoder = next(
            (path for path in written(run) if str(path.relative_to(run)) not in known), None
        )
        if encoder is None:
            return

        yield encoder


def scored(run: Path, words: Sequence[str]) -> list[Mapping[str, Any]]:
    """The lines of the scores that were made with the same options."""
    file = run / "encoders" / SCORES
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [entry for line in lines if (entry := json.loads(line))["options"] == list(words)]


def score(run: Path, encoder: Path, words: Sequence[str], *, keep: bool) -> dict[str, Any]:
    """Propagate and score with one encoder; its line of the scores. A broken encoder has an error
    instead of scores.

    Raises:
        RunError: It failed, and not because of the encoder.
    """
    name = encoder.stem if encoder.parent != run else "last"
    masks = run / "encoders" / "masks" / name
    entry: dict[str, Any] = {"encoder": str(encoder.relative_to(run)), "options": list(words)}

    try:
        _evaluator("propagate", "--encoder", encoder, *words, "--out", masks, "--resume")
        _evaluator("score", *benchmark_words(words), "--results", masks)
    except RunError:
        try:
            _evaluator("info", encoder)
        except RunError as broken:
            return entry | {"error": str(broken)}

        raise

    results = read_results(masks)
    if not keep:
        shutil.rmtree(masks)

    return entry | _numbers(results) | {"steps": _steps(encoder)}


def benchmark_words(words: Sequence[str]) -> list[str]:
    """Those of the options of propagate that say which sequences of which benchmark, and thus
    concern scoring.
    """
    names = {f"--{field.name}" for field in fields(BenchmarkOptions)}
    kept, wanted = [], False
    for word in words:
        if word.startswith("--"):
            wanted = word.partition("=")[0] in names
        if wanted:
            kept.append(word)

    return kept


def _evaluator(command: str, *words: object) -> None:
    """Run a command of the evaluator in a process of its own; RunError with the last line of what
    it complains of.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "densevos_eval", command, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    try:
        _, errors = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise

    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"densevos-eval {command}: {last.removeprefix('error: ')}")


def _numbers(results: Results) -> dict[str, Any]:
    return {
        "score": results.overall[results.headline],
        "column": results.headline,
        "overall": dict(results.overall),
    }


def _steps(encoder: Path) -> int | None:
    """How long an encoder was trained, by its card."""
    card = json.loads(encoder.with_suffix(".json").read_text(encoding="utf-8"))
    steps = card.get("training", {}).get("steps")
    return steps if isinstance(steps, int) else None


def _report(run: Path, words: Sequence[str], entry: Mapping[str, Any]) -> None:
    """Print and append a line, show it in TensorBoard, and link the best encoder."""
    file = run / "encoders" / SCORES
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    with atomic_write(file, "w") as new:
        new.write(f"{before}{json.dumps(entry)}\n")

    if "error" in entry:
        print(f"{entry['encoder']}: passed over: {entry['error']}", file=sys.stderr, flush=True)
        return

    _show(run, entry)
    best = max(
        (line for line in scored(run, words) if "score" in line), key=lambda line: line["score"]
    )
    _link(run, best["encoder"])
    label = entry["column"].removesuffix("-Mean")
    note = " (best so far)" if best["encoder"] == entry["encoder"] else ""
    print(f"{entry['encoder']}: {label} {100 * entry['score']:.1f}{note}", flush=True)


def _show(run: Path, entry: Mapping[str, Any]) -> None:
    """Write the scores as TensorBoard scalars, if it is installed, in a folder apart from the
    events of training.
    """
    from densevos.engine.logging import event_writer

    writer = event_writer()
    if writer is None:
        return

    with writer(str(run / "tensorboard" / "watch")) as board:
        for column, value in entry["overall"].items():
            board.add_scalar(f"scores/{column}", value, entry["steps"])


def _link(run: Path, encoder: str) -> None:
    """Make RUN/encoders/best.safetensors, and best.json, links to an encoder of the run."""
    for suffix in (".safetensors", ".json"):
        target = os.path.relpath(run / Path(encoder).with_suffix(suffix), run / "encoders")
        aside, link = (run / "encoders" / f"{name}{suffix}" for name in (".best", "best"))
        aside.unlink(missing_ok=True)
        aside.symlink_to(target)
        os.replace(aside, link)
