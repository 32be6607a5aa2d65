"""The whole story in a few minutes: make clips, learn from them, judge before and after on held-out
ones.

The judge is the separate evaluator, run as the command it is for everybody else.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from densevos.base.console import print_table
from densevos.base.errors import RunError, Stopped
from densevos.base.files import new_folder, write_json
from densevos.data.synthetic.sequences import SyntheticConfig, write_davis
from densevos.recipes import demo as demo_recipe
from densevos.training import train

TRAINING, HELD_OUT = 60, 8
TRAINING_CLIPS = SyntheticConfig(height=144, width=256, frames=20)  # small: quick to read
HELD_OUT_CLIPS = SyntheticConfig(height=240, width=427, frames=24)
BENCHMARK = ("--dataset", "davis17", "--split", "val")
SCORES = {"J": "J-Mean", "F": "F-Mean", "J&F": "J&F-Mean"}


def run_demo(out: Path, *, seed: int, epochs: int | None, overwrite: bool) -> None:
    """Write clips, encoder, masks, scores, pictures and movies into `out`, and print the scores."""
    new_folder(out, overwrite=overwrite)
    print(f"1/4  making {TRAINING} clips to learn from and {HELD_OUT} held-out ones to evaluate on")
    write_davis(out / "clips", train=TRAINING, val=0, seed=seed, config=TRAINING_CLIPS)
    write_davis(out / "held-out", train=0, val=HELD_OUT, seed=seed, config=HELD_OUT_CLIPS)

    print("2/4  learning from the clips, without their masks")
    config = demo_recipe(out / "clips" / "train_videos.txt")
    loop = dataclasses.replace(config.loop, seed=seed, epochs=epochs or config.loop.epochs)

    try:
        result = train(dataclasses.replace(config, loop=loop), out / "training")
    except Stopped:  # Training says how to go on with an option of its own.
        raise Stopped(
            f"the demo does not go on by itself; start it again with --out {out} --overwrite"
        ) from None

    for name in ("encoder.safetensors", "encoder.json", "metrics.jsonl"):
        shutil.copyfile(out / "training" / name, out / name)

    print("3/4  propagating the first masks of the held-out clips with both encoders, and scoring")
    encoders = {
        "random_init": f"random:resnet18:{seed}",
        "trained": str(out / "encoder.safetensors"),
    }
    with ThreadPoolExecutor() as pool:
        each = pool.map(lambda name: judge(encoders[name], out, name), encoders)
        scores = dict(zip(encoders, each, strict=True))

    facts = {"train_seconds": round(result.seconds, 1), "steps": result.steps, "seed": seed}
    write_json(out / "results.json", {**scores, **facts})

    print("4/4  drawing truth, random and trained side by side")
    masks = [
        f"{title}={out / 'masks' / name}"
        for title, name in (("random", "random_init"), ("trained", "trained"))
    ]
    evaluator(
        "show",
        *BENCHMARK,
        "--root",
        out / "held-out",
        "--results",
        *masks,
        "--out",
        out / "overlays",
    )
    print("held-out synthetic sequences, mean over objects")
    print_table(scores_table(scores))
    print(
        f"trained on {result.steps} steps in {result.seconds:.0f} s; look at {out}/overlays/overview.png"
    )


def judge(encoder: str, out: Path, name: str) -> dict[str, float]:
    """Propagate and score the held-out clips with one encoder: J, F and J&F."""
    masks = out / "masks" / name
    evaluator(
        "propagate", *BENCHMARK, "--encoder", encoder, "--root", out / "held-out", "--out", masks
    )
    evaluator("score", *BENCHMARK, "--root", out / "held-out", "--results", masks)
    overall: dict[str, Any] = json.loads((masks / "results.json").read_text(encoding="utf-8"))[
        "overall"
    ]

    return {short: overall[long] for short, long in SCORES.items()}


def evaluator(*arguments: object) -> None:
    """Run `densevos-eval` on half of the cores, since two run at a time; RunError with its message
    when it fails.
    """
    command = [sys.executable, "-m", "densevos_eval", *map(str, arguments)]
    threads = str(max((os.cpu_count() or 1) // 2, 1))
    finished = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )
    if finished.returncode != 0:
        raise RunError(f"densevos-eval {arguments[0]} failed: {finished.stderr.strip()}")


def scores_table(scores: dict[str, dict[str, float]]) -> Table:
    """J, F and J&F before and after, in percent, and the difference."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("encoder")
    for column in SCORES:
        table.add_column(column, justify="right")

    for name, row in scores.items():
        table.add_row(name.replace("_", " "), *(f"{100 * row[column]:.1f}" for column in SCORES))

    gains = [100 * (scores["trained"][column] - scores["random_init"][column]) for column in SCORES]
    table.add_row("gain", *(f"{gain:+.1f}" for gain in gains), style="bold")
    return table
