"""The demo: make synthetic clips, train on them, and evaluate before and after on held-out clips.

The evaluator runs as a separate command, as it does for every user.
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

TRAINING, HELD_OUT = 60, 8  # number of clips
TRAINING_CLIPS = SyntheticConfig(height=144, width=256, frames=20)  # small, to be read quickly
HELD_OUT_CLIPS = SyntheticConfig(height=240, width=427, frames=24)
BENCHMARK = ("--dataset", "davis17", "--split", "val")
SCORES = {"J": "J-Mean", "F": "F-Mean", "J&F": "J&F-Mean"}
"""Name of a score in the demo -> its name in the evaluator's results."""


def run_demo(out: Path, *, seed: int, epochs: int | None, overwrite: bool) -> None:
    """Run the demo, and print the scores before and after training.

    Args:
        out: Folder for clips, encoder, masks, scores, images and videos.
        seed: Seed of the clips, the training and the random encoder.
        epochs: Number of epochs; None for that of the recipe.
        overwrite: Empty `out` first if it holds files.

    Raises:
        InputError: `out` holds files, and `overwrite` is false.
        RunError: A step of the demo failed.
        Stopped: SIGTERM came.
    """
    new_folder(out, overwrite=overwrite)
    print(f"1/4  making {TRAINING} clips to learn from and {HELD_OUT} held-out ones to evaluate on")
    # Both sets come from one seed, and the held-out clips are never trained on.
    write_davis(out / "clips", train=TRAINING, val=0, seed=seed, config=TRAINING_CLIPS)
    write_davis(out / "held-out", train=0, val=HELD_OUT, seed=seed, config=HELD_OUT_CLIPS)

    print("2/4  learning from the clips, without their masks")
    # The list names frame folders only, so training cannot see the masks.
    config = demo_recipe(out / "clips" / "train_videos.txt")
    loop = dataclasses.replace(config.loop, seed=seed, epochs=epochs or config.loop.epochs)

    try:
        result = train(dataclasses.replace(config, loop=loop), out / "training")
    except Stopped:
        # Training's own message names --resume, an option that the demo does not have.
        raise Stopped(
            f"the demo cannot be resumed; start it again with --out {out} --overwrite"
        ) from None

    # The files that users look for lie in the demo's folder, not below it.
    for name in ("encoder.safetensors", "encoder.json", "metrics.jsonl"):
        shutil.copyfile(out / "training" / name, out / name)

    print("3/4  propagating the first masks of the held-out clips with both encoders, and scoring")
    # The same seed for the random encoder makes the comparison repeatable.
    encoders = {
        "random_init": f"random:resnet18:{seed}",
        "trained": str(out / "encoder.safetensors"),
    }
    # The evaluator is a process of its own, so threads suffice to run two at a time.
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda name: evaluate(encoders[name], out, name), encoders)
        scores = dict(zip(encoders, results, strict=True))

    # results.json holds the scores of each encoder, and what training took.
    facts = {"train_seconds": round(result.seconds, 1), "steps": result.steps, "seed": seed}
    write_json(out / "results.json", {**scores, **facts})

    print("4/4  drawing truth, random and trained side by side")
    # The overlay shows both results beside the truth.
    masks = (
        f"random={out / 'masks' / 'random_init'}",
        f"trained={out / 'masks' / 'trained'}",
    )
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
        f"trained on {result.steps} steps in {result.seconds:.0f} s; "
        f"look at {out}/overlays/overview.png"
    )


def evaluate(encoder: str, out: Path, name: str) -> dict[str, float]:
    """Propagate masks through the held-out clips with one encoder, and score them.

    Args:
        encoder: The encoder, as --encoder takes it.
        out: Folder of the demo, which holds the clips.
        name: Name of the encoder, and of its folder of masks.

    Returns:
        J, F and J&F in 0..1, means over objects.

    Raises:
        RunError: The evaluator failed.
    """
    clips, masks = out / "held-out", out / "masks" / name
    evaluator("propagate", *BENCHMARK, "--encoder", encoder, "--root", clips, "--out", masks)
    evaluator("score", *BENCHMARK, "--root", clips, "--results", masks)

    # The evaluator writes more than the three scores that the demo shows.
    results: dict[str, Any] = json.loads((masks / "results.json").read_text(encoding="utf-8"))
    return {short: results["overall"][long] for short, long in SCORES.items()}


def evaluator(*arguments: object) -> None:
    """Run a command of `densevos-eval`.

    Args:
        arguments: The command and its options.

    Raises:
        RunError: The command failed; the message is its own.
    """
    command = [sys.executable, "-m", "densevos_eval", *map(str, arguments)]
    # Two evaluators run at a time, so each gets half of the cores.
    threads = str(max((os.cpu_count() or 1) // 2, 1))
    # Its output would mix with that of the demo; its errors are kept for the message.
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
    """Make the table of scores before and after training, and of the difference.

    Args:
        scores: Name of an encoder -> scores in 0..1; `random_init` and `trained` are among them.

    Returns:
        The table, in percent.
    """
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("encoder")
    for column in SCORES:
        table.add_column(column, justify="right")

    for name, row in scores.items():
        cells = [f"{100 * row[column]:.1f}" for column in SCORES]
        table.add_row(name.replace("_", " "), *cells)

    # The gain is a difference of percentages, so it has a sign.
    before, after = scores["random_init"], scores["trained"]
    gains = [f"{100 * (after[column] - before[column]):+.1f}" for column in SCORES]
    table.add_row("gain", *gains, style="bold")
    return table
