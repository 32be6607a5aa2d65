"""densevos-eval sweep | matrix | watch | launch: many runs of the other commands."""

import os
from pathlib import Path

import tyro

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.parallel import check_workers
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.commands.masks import propagate
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.sweep.grid import Grid


def sweep(
    benchmark: BenchmarkOptions,
    encoder: EncoderOptions,
    grid: Grid,
    out: Path,
    overwrite: bool = False,
    workers: int | None = None,
) -> None:
    """Propagate and score with every combination of settings, on features that are computed once.

    Writes masks and scores of each as OUT/SETTING, as propagate and score do (without T), prints a
    table, best setting first, and writes OUT/sweep.csv and OUT/sweep.json. A sequence's features
    lie on disk in OUT meanwhile: 13 MB a frame of 480x854. Sequences that fail are listed at the
    end; all others are still processed.

    Args:
        benchmark: What to propagate through and score against.
        encoder: What computes the features.
        grid: Values to try.
        out: Folder for masks, scores and tables.
        overwrite: Empty the output folder if it holds files.
        workers: Processes that score; one per CPU core when left out.
    """
    check_workers(workers)
    sequences, setups = benchmark.load(), grid.setups(benchmark.dataset)
    from densevos_eval.base.progress import frame_progress, run_header
    from densevos_eval.sweep.sweep import sweep
    from densevos_eval.sweep.table import sweep_table, write_sweep

    # All settings share layer and frames, so the first one stands for all of them here.
    first = next(iter(setups.values()))
    network = encoder.load(
        preferred_layer=first.layer,
        preferred_normalisation=first.normalisation,
        preferred_positions=first.positions,
        frames=first.frames,
    )
    # Each setting propagates through all frames again, and only features are shared.
    frames = sum(len(one.frame_names) for one in sequences) * len(setups)
    # The header names what decides the numbers, for a log file that is read later.
    facts = {"encoder": network.name, "layer": network.layer, "device": str(network.device)}
    more = (f"{len(setups)} settings", f"into {out}")

    with frame_progress(
        frames, "sweep", run_header("sweep", len(sequences), frames, facts, *more)
    ) as on_frame:
        result = sweep(
            sequences,
            network,
            setups,
            benchmark.protocol(),
            out,
            split=benchmark.split,
            workers=workers or os.cpu_count() or 1,
            overwrite=overwrite,
            on_frame=on_frame,
        )

    # Files come first: the list of failures below may end the command with an error.
    write_sweep(result, out)
    console.print_table(sweep_table(result))
    console.list_failures(result.broken, len(sequences), "fix them and sweep again")


def matrix(
    plan: tyro.conf.Positional[Path],
    out: Path,
    shard: str | None = None,
    workers: int | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Propagate and score every encoder on every benchmark with every preset of a plan: one table,
    one page.

    The plan is a TOML file with `presets`, a list; [encoders], a table of NAME = "ENCODER"; a table
    [benchmarks.NAME] for each benchmark, with dataset, root, split, sequences and the other options
    of a benchmark; and perhaps [options], with layer, scale, precision and device.

    Writes masks and scores as OUT/ENCODER/BENCHMARK/PRESET, as propagate and score do, and
    OUT/matrix.md, matrix.json and matrix.html. A run that was stopped goes on: finished cells are
    kept, and other settings are an error. Cells that fail are listed at the end; all others are
    still made.

    Args:
        plan: The plan.
        out: Folder for masks, scores and tables.
        shard: Make only part I of N of the cells: 1/4, 2/4 and so on, each perhaps on another
            machine with the same --out. The command without this option then writes the tables.
        workers: Processes that share the sequences, when propagating and when scoring; as for these
            commands when left out.
        published: Show published figures of the benchmarks beside, marked as such.
        seed: Seed of the bootstrap.
    """
    check_workers(workers)
    # Imported after the check, so that a wrong option does not wait for these modules.
    from densevos_eval.matrix.plan import read_plan
    from densevos_eval.matrix.run import run

    run(
        # The plan is read completely first: a wrong key ends the command at once.
        read_plan(plan),
        out,
        # The matrix gets the command itself, so that its cells are made by the same code.
        propagate,
        shard=shard,
        workers=workers,
        published=published,
        seed=seed,
    )


def launch(arguments: list[str]) -> None:
    """Submit a command as one job of a cluster, or as several that share it: options of the job,
    then -- COMMAND.
    """
    from densevos.commands.launch import split
    from densevos.launch import launch as submit
    from densevos_eval.launch import SharedOptions, jobs

    # Options before -- are those of the job; all words after it belong to the command.
    options, command = split(arguments, "densevos-eval launch", SharedOptions)
    submit(jobs(command, options.shards), options)


def watch(arguments: list[str]) -> None:
    """Score each encoder that a training run writes, and link the best: a run, own options, those
    of propagate.
    """
    from densevos.base.parallel import stopped_by_sigterm
    from densevos.commands.parsing import parse
    from densevos_eval.watch import WatchOptions
    from densevos_eval.watch import watch as watch_run

    program = "densevos-eval watch RUN --dataset NAME --root FOLDER"
    # The watcher passes options that it does not know on to propagate.
    options, words = parse(WatchOptions, arguments, program=program, return_unknown_args=True)
    if not words or words[0].startswith("-"):
        raise InputError(
            f"densevos-eval watch: no run; write {program}, and other options of propagate"
        )

    with stopped_by_sigterm("run the same command again to go on"):
        watch_run(Path(words[0]), words[1:], options)
