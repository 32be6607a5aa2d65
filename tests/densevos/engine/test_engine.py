"""Optimisation, resuming bit for bit, stopping, and what a run folder holds."""

import contextlib
import dataclasses
import importlib.metadata
import io
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from densevos.base.errors import InputError, RunError, Stopped
from densevos.config import (
    LoopConfig,
    OptimiserConfig,
    SelfTrainingConfig,
    TrainConfig,
)
from densevos.data.clips import ClipBatch
from densevos.data.packing import PackConfig, pack_videos
from densevos.engine import checkpoint, loop, reporter
from densevos.engine.optimisation import (
    choose_device,
    choose_precision,
    make_optimiser,
    make_schedule,
)
from densevos.learners.self_training import losses_at
from densevos.methods.registry import read_config, write_config
from densevos.methods.self_training import make_learner
from densevos.models.encoder import load_encoder
from densevos.training import export, train
from tests.densevos.conftest import write_frames
from tests.ranks import run_two_ranks


def weights(run: Path) -> bytes:
    return (run / "encoder.safetensors").read_bytes()


def learner_state(run: Path) -> dict[str, torch.Tensor]:
    path = checkpoint.latest(run / "checkpoints")
    assert path is not None
    return checkpoint.load(path)["learner"]


def assert_same_weights(a: Path, b: Path) -> None:
    first, second = learner_state(a), learner_state(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def of_steps(config: TrainConfig, **loop: object) -> TrainConfig:
    return dataclasses.replace(config, loop=dataclasses.replace(config.loop, **loop))


def test_biases_learn_twice_as_fast_and_do_not_decay() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    for name in ("adam", "adamw", "sgd"):
        optimiser = make_optimiser(module, OptimiserConfig(name=name, lr=0.1, weight_decay=0.01))
        others, biases = optimiser.param_groups
        assert (others["lr"], others["weight_decay"]) == (0.1, 0.01)
        assert (biases["lr"], biases["weight_decay"]) == (0.2, 0.0)
        assert [len(group["params"]) for group in (others, biases)] == [2, 2]


def rates(config: OptimiserConfig, epochs: int, steps_per_epoch: int) -> list[float]:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=config.lr)
    schedule = make_schedule(optimiser, config, epochs, steps_per_epoch)
    seen = []
    for _ in range(epochs * steps_per_epoch):
        seen.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    return seen


def test_schedules_count_in_epochs() -> None:
    steps = rates(
        OptimiserConfig(lr=1.0, decay_every=2, decay_factor=0.5), epochs=5, steps_per_epoch=3
    )
    assert steps == [1.0] * 6 + [0.5] * 6 + [0.25] * 3
    cosine = rates(
        OptimiserConfig(lr=1.0, schedule="cosine", warmup=1), epochs=3, steps_per_epoch=4
    )
    assert cosine[:4] == [0.25, 0.5, 0.75, 1.0]
    assert cosine[4:] == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)])


def test_device_and_precision() -> None:
    assert choose_device(LoopConfig(device="cpu")) == torch.device("cpu")
    with pytest.raises(InputError, match=r"--loop\.device nonsense"):
        choose_device(LoopConfig(device="nonsense"))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no such GPU is usable"):
            choose_device(LoopConfig(device="cuda"))
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)):
        assert choose_precision(LoopConfig(precision=name), torch.device("cpu")) == dtype


def test_run_folder_is_complete(tiny: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(tiny, run)
    assert result.steps == 4
    assert read_config(run / "config.json") == tiny
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"loss", "self_training", "cross_view", "clips_per_second", "lr"} <= lines[0].keys()
    assert all(math.isfinite(line["loss"]) for line in lines)
    assert list((run / "tensorboard").glob("events*"))
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "best.pt",
        "step-00000003.pt",
        "step-00000004.pt",
    ]
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["command"]
    assert provenance["versions"]["torch"] == importlib.metadata.version("torch")
    assert provenance["data"]["videos"] == 4
    assert len(provenance["data"]["sha256"]) == 64
    encoder, card = load_encoder(run / "encoder.safetensors")
    assert encoder.config == tiny.encoder
    assert card["training"]["steps"] == 4


def test_watching_a_run_changes_nothing_of_it(
    tiny: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(of_steps(tiny, panels_every=0, epochs=3), tmp_path / "alone")
    train(of_steps(tiny, panels_every=2, epochs=3), tmp_path / "watched", profile=True)
    assert_same_weights(tmp_path / "alone", tmp_path / "watched")
    events = EventAccumulator(str(tmp_path / "watched" / "tensorboard"))
    events.Reload()
    assert [image.step for image in events.Images("panels/labels")] == [2, 4, 6]
    told = capsys.readouterr().err
    assert re.search(r"3 steps of [\d.]+ ms, by part:\ndata ", told)
    assert "A step is bounded by " in told


@pytest.mark.slow
def test_training_lowers_the_loss(tiny: TrainConfig, tmp_path: Path) -> None:
    longer = dataclasses.replace(
        tiny, loop=dataclasses.replace(tiny.loop, epochs=15, checkpoint_every=1000)
    )
    train(longer, tmp_path / "run")
    losses = [
        json.loads(line)["loss"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


@pytest.mark.slow
def test_same_seed_same_weights_whoever_reads_the_clips(tiny: TrainConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "a")
    with_worker = dataclasses.replace(tiny, loop=dataclasses.replace(tiny.loop, workers=1))
    train(with_worker, tmp_path / "b")
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    other_seed = dataclasses.replace(tiny, loop=dataclasses.replace(tiny.loop, seed=1))
    train(other_seed, tmp_path / "c")
    first, third = learner_state(tmp_path / "a"), learner_state(tmp_path / "c")
    assert any(not torch.equal(first[name], third[name]) for name in first)


RUNNER = """
import sys, torch
from pathlib import Path
from densevos.base import console
from densevos.methods.registry import read_config
from densevos.training import train
torch.set_num_threads(1)
config = read_config(Path(sys.argv[1]))
sys.exit(console.run(lambda: train(config, Path(sys.argv[2]), resume=sys.argv[3])))
"""


def start(config: TrainConfig, folder: Path, resume: str) -> subprocess.Popen:
    path = folder.with_suffix(".json")
    write_config(path, config)
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(path), str(folder), resume],
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_and_resumed_ends_bit_identical(tiny: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(
        tiny,
        loop=dataclasses.replace(tiny.loop, epochs=12, checkpoint_every=3),
        optimiser=OptimiserConfig(schedule="cosine"),
    )
    train(config, tmp_path / "whole")
    process = start(config, tmp_path / "killed", "never")
    wait_for(checkpoint.checkpoint_path(tmp_path / "killed" / "checkpoints", 6))
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "encoder.safetensors").exists()
    with open(tmp_path / "killed" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 999, "lo')  # a torn last line
    train(config, tmp_path / "killed", resume="auto")
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == list(range(1, 25))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
def test_sigterm_saves_and_stops(tiny: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(
        tiny, loop=dataclasses.replace(tiny.loop, epochs=500, checkpoint_every=100_000, workers=1)
    )
    process = start(config, tmp_path / "run", "never")
    wait_for(tmp_path / "run" / "metrics.jsonl")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "saved after step" in errors
    saved = checkpoint.latest(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert checkpoint.load(saved)["step"] == int(saved.stem.removeprefix("step-"))


def stopped_after_second(monkeypatch: pytest.MonkeyPatch, config: TrainConfig, out: Path) -> None:
    """Train until SIGTERM comes during the second step."""
    step = loop.train_step

    def stop_after_second(model, run, *rest):
        values = step(model, run, *rest)
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return values

    monkeypatch.setattr(loop, "train_step", stop_after_second)
    with pytest.raises(Stopped, match="after step 2"):
        train(config, out)
    monkeypatch.undo()


@pytest.mark.parametrize(("precision", "clip"), [("fp32", None), ("bf16", 1.0)])
@pytest.mark.slow
def test_sigterm_between_steps_resumes_bit_identical(
    tiny: TrainConfig, tmp_path: Path, monkeypatch, precision, clip
) -> None:
    tiny = dataclasses.replace(
        tiny,
        loop=dataclasses.replace(tiny.loop, precision=precision),
        optimiser=dataclasses.replace(tiny.optimiser, clip_gradient=clip),
    )
    train(tiny, tmp_path / "whole")
    stopped_after_second(monkeypatch, tiny, tmp_path / "run")
    train(tiny, tmp_path / "run", resume=str(tmp_path / "run" / "checkpoints" / "step-00000002.pt"))
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_a_clock_that_goes_backwards_changes_nothing(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny, tmp_path / "whole")
    now = itertools.count(time.time(), -60)
    monkeypatch.setattr(time, "time", lambda: next(now))
    train(tiny, tmp_path / "run")
    assert_same_weights(tmp_path / "whole", tmp_path / "run")
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert all(line["clips_per_second"] > 0 for line in lines)


@pytest.mark.slow
def test_no_usable_video_ends_the_process_with_one_line(tiny: TrainConfig, tmp_path: Path) -> None:
    """What a reading process raises arrives without its traceback, and the process does not wait
    for it for ever.
    """
    short = dataclasses.replace(
        tiny,
        clips=dataclasses.replace(tiny.clips, frames=20),
        loop=dataclasses.replace(tiny.loop, workers=1),
    )
    process = start(short, tmp_path / "run", "never")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    header, line = errors.splitlines()
    assert header.startswith("training on 4 videos of ")
    assert line.startswith("error: none of the 4 videos can be used; the first: ")


def test_loss_that_is_not_finite_stops_and_names_the_clips(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    wild = dataclasses.replace(tiny, optimiser=OptimiserConfig(name="sgd", lr=1e30))
    with pytest.raises(RunError, match=r"loss is nan at step \d, clips .*video\d"):
        train(wild, tmp_path / "run")
    assert not (tmp_path / "run" / "encoder.safetensors").exists()


@pytest.mark.parametrize(
    "numbers", [10, 1_000_000]
)  # torch hides the error of what it does not buffer
def test_a_full_disk_is_told_of_with_the_file(
    numbers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def on_a_full_disk(path: Path) -> Iterator[io.FileIO]:
        with open("/dev/full", "wb", buffering=0) as file:
            yield file

    monkeypatch.setattr(checkpoint, "atomic_write", on_a_full_disk)
    with pytest.raises(OSError, match=r"No space left on device: '.*step-00000003.pt'"):
        checkpoint.save_step(tmp_path, 3, {"weights": torch.zeros(numbers)}, best=False)


def test_skipped_videos_are_reported(tiny: TrainConfig, tmp_path: Path) -> None:
    (tiny.data / "broken.mp4").write_text("no video")
    result = train(tiny, tmp_path / "run")
    assert len(result.skipped) == 1
    assert "broken.mp4" in result.skipped[0]
    _, card = load_encoder(result.encoder)
    assert card["training"]["videos_skipped"] == 1


def test_output_folder_is_not_overwritten_unasked(tiny: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="--overwrite"):
        train(tiny, run)
    assert (run / "mine.txt").read_text() == "precious"
    train(tiny, run, overwrite=True)
    assert not (run / "mine.txt").exists()


def test_resume_refuses_another_configuration_and_broken_checkpoints(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(tiny, run)
    changed = dataclasses.replace(tiny, optimiser=OptimiserConfig(lr=0.5))
    with pytest.raises(InputError, match=r"--optimiser\.lr \(0\.001 there, 0\.5 here\)"):
        train(changed, run, resume="auto")
    foreign = tmp_path / "foreign.pt"
    torch.save({"model": {}}, foreign)
    for path, reason in (
        (run / "none.pt", "no such checkpoint"),
        (foreign, "is not a checkpoint of a training run"),
    ):
        with pytest.raises(InputError, match=f"{path.name}: {reason}"):
            train(tiny, tmp_path / "new", resume=str(path))
    assert not (tmp_path / "new").exists()
    wider = dataclasses.replace(tiny, encoder=dataclasses.replace(tiny.encoder, key_channels=24))
    with pytest.raises(InputError, match=r"best\.pt: is of another encoder"):
        train(wider, tmp_path / "new", resume=str(run / "checkpoints" / "best.pt"))


def test_resuming_may_change_what_has_no_effect_and_keeps_the_first_record(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(tiny, run)
    record = (run / "provenance.json").read_text()
    train(
        dataclasses.replace(tiny, loop=dataclasses.replace(tiny.loop, workers=1, log_every=2)),
        run,
        resume="auto",
    )
    assert (run / "provenance.json").read_text() == record
    again = json.loads((run / "provenance-step-00000004.json").read_text())
    assert again["resumed_from"] == str(run / "checkpoints" / "step-00000004.pt")


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    """Some bits of a weight, in the middle of the file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x55
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, flipped])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    damage: Callable[[Path], None], tiny: TrainConfig, tmp_path: Path
) -> None:
    train(tiny, tmp_path / "whole")
    run = tmp_path / "run"
    train(tiny, run)
    last = checkpoint.checkpoint_path(run / "checkpoints", 4)
    damage(last)
    with pytest.raises(
        InputError, match=r"step-00000004\.pt: checkpoint cannot be read \(.*\); give another"
    ):
        train(tiny, run, resume=str(last))
    with pytest.raises(InputError, match=r"step-00000004\.pt: checkpoint cannot be read"):
        export(last, tmp_path / "encoder.safetensors")
    with pytest.warns(UserWarning, match=r"step-00000004\.pt: .* going on from step-00000003\.pt"):
        train(tiny, run, resume="auto")
    assert_same_weights(tmp_path / "whole", run)
    for file in (run / "checkpoints").iterdir():
        damage(file)
    with pytest.raises(InputError, match=r"step-00000004\.pt: checkpoint cannot be read"):
        train(tiny, run, resume="auto")


def test_resume_refuses_steps_of_another_number_of_clips(tiny: TrainConfig, tmp_path: Path) -> None:
    """With as many clips a step the order is the same, however many processes share them."""
    run = tmp_path / "run"
    train(tiny, run)
    file = run / "provenance.json"
    record = json.loads(file.read_text())
    assert record["processes"] == 1
    file.write_text(json.dumps({**record, "processes": 2}))
    for out, resume in (
        (run, "auto"),
        (tmp_path / "new", str(run / "checkpoints" / "step-00000003.pt")),
    ):
        with pytest.raises(
            InputError,
            match=r"takes 4 clips in 2 processes, but now it would take 2 in 1; pass --loop\.",
        ):
            train(tiny, out, resume=resume)
    assert not (tmp_path / "new").exists()
    assert train(of_steps(tiny, global_batch=4), run, resume="auto").steps == 4
    del record["processes"]  # as runs of earlier versions left it
    file.write_text(json.dumps(record))
    assert train(tiny, run, resume="auto").steps == 4


def test_encoders_of_epochs_are_kept(tiny: TrainConfig, tmp_path: Path) -> None:
    train(of_steps(tiny, epochs=3, encoder_every=1), tmp_path / "run")
    files = sorted((tmp_path / "run" / "encoders").glob("*.safetensors"))
    assert [file.name for file in files] == [f"epoch-000{k}.safetensors" for k in (1, 2, 3)]
    _, card = load_encoder(files[1])
    assert card["training"]["epoch"] == 2
    kept, last = (
        load_encoder(file)[0].state_dict()
        for file in (files[2], tmp_path / "run" / "encoder.safetensors")
    )
    assert all(torch.equal(kept[name], last[name]) for name in last)


def test_checkpoints_come_by_minutes(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(step=35)
    monkeypatch.setattr(reporter.time, "perf_counter", lambda: float(next(seconds)))
    saved: list[int] = []
    save = checkpoint.save_step
    monkeypatch.setattr(
        checkpoint,
        "save_step",
        lambda folder, step, *a, **k: (saved.append(step), save(folder, step, *a, **k)),
    )
    train(of_steps(tiny, epochs=4, checkpoint_every=None, checkpoint_minutes=3), tmp_path / "run")
    assert saved == [2, 4, 6, 8]


def test_accumulation_is_refused_where_it_is_not_exact(tiny: TrainConfig) -> None:
    with pytest.raises(
        InputError,
        match=r"--loop\.accumulate: each of several batches would see its own anchors alone",
    ):
        of_steps(tiny, accumulate=2).check()


def test_a_run_folder_that_tensorboard_cannot_write_to_is_refused(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    run = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(InputError, match=r"name is not UTF-8.*choose another --out"):
        train(tiny, run)
    assert not run.exists()


def test_overwriting_never_deletes_the_data(tiny: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--overwrite would delete"):
        train(tiny, tmp_path, overwrite=True)
    assert len(list(tiny.data.iterdir())) == 4


def test_resume_refuses_other_videos(tiny: TrainConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    write_frames(tiny.data / "one-more", 9)
    with pytest.raises(InputError, match="holds other videos than when"):
        train(tiny, tmp_path / "run", resume="auto")


def broken_video(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "00000.png").write_text("broken")


def test_a_run_goes_on_without_a_video_that_was_taken_from_the_list(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the others stays, and others stand in for it, as they did while it was there and
    broken.
    """
    broken_video(tiny.data / "video2")
    train(tiny, tmp_path / "whole")
    stopped_after_second(monkeypatch, tiny, tmp_path / "run")
    shutil.rmtree(tiny.data / "video2")
    with pytest.warns(
        UserWarning,
        match=r"data: 1 of the 4 videos that .*run started with are gone, such as .*video2",
    ):
        train(tiny, tmp_path / "run", resume="auto")
    assert_same_weights(tmp_path / "whole", tmp_path / "run")
    (line,) = (tmp_path / "run" / "skipped.txt").read_text().splitlines()
    assert "video2: has 1 frames" in line


def test_a_video_that_becomes_garbage_is_left_out_and_the_run_goes_on(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after_second(monkeypatch, tiny, tmp_path / "run")
    broken_video(tiny.data / "video1")
    result = train(tiny, tmp_path / "run", resume="auto")
    assert result.steps == 4
    assert all("video1" in line for line in result.skipped)


def test_a_video_that_holds_up_its_reader_is_left_out_of_the_run(
    tiny: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The losses are those of a run in which it is broken in another way."""
    config = of_steps(tiny, workers=2, reader_timeout=1)
    path = tiny.data / "video4.mp4"
    path.write_text("garbage")
    (line,) = train(config, tmp_path / "garbage").skipped
    assert line.startswith(f"{path}: video cannot be decoded")
    path.unlink()
    os.mkfifo(path)
    (line,) = train(config, tmp_path / "fifo").skipped
    assert line.startswith(f"{path}: reading it takes more than 1 seconds; remove it")
    assert f"left out: {line}" in capsys.readouterr().err
    assert_same_weights(tmp_path / "garbage", tmp_path / "fifo")


@pytest.mark.slow
def test_a_truncated_shard_costs_its_videos_and_nothing_once_it_is_whole_again(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    pack_videos(
        tiny.data,
        shards,
        PackConfig(format="jpeg", short_side=40, every=1, shard_size=3),
        workers=1,
    )
    config = of_steps(dataclasses.replace(tiny, data=shards), epochs=3)
    train(config, tmp_path / "whole")
    stopped_after_second(monkeypatch, config, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "mended")
    last = shards / "shard-00001.tar"
    content = last.read_bytes()
    truncated(last)
    with pytest.warns(UserWarning, match=r"shard-00001\.tar: .*truncated"):
        result = train(config, tmp_path / "run", resume="auto")
    assert result.steps == 6
    assert all("truncated" in line for line in result.skipped)
    assert len(result.skipped) == 1
    last.write_bytes(content)
    train(config, tmp_path / "mended", resume="auto")
    assert_same_weights(tmp_path / "whole", tmp_path / "mended")


def test_more_broken_videos_than_a_few_stop_the_run_with_their_list(
    tiny: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("video1", "video2", "video3"):
        broken_video(tiny.data / name)
    listed = re.escape(str(tmp_path / "run" / "skipped.txt"))
    with pytest.raises(
        InputError,
        match=rf"[23] of 4 videos cannot be used, more than --loop.max-broken 0.05; {listed} ",
    ):
        train(tiny, tmp_path / "run")
    assert len((tmp_path / "run" / "skipped.txt").read_text().splitlines()) >= 2
    assert "\nleft out: " in capsys.readouterr().err
    assert train(of_steps(tiny, max_broken=1), tmp_path / "other").skipped


def test_export_of_the_last_checkpoint_is_the_trained_encoder(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    train(tiny, tmp_path / "run")
    export(tmp_path / "run" / "checkpoints" / "step-00000004.pt", tmp_path / "out.safetensors")
    trained, _ = load_encoder(tmp_path / "run" / "encoder.safetensors")
    exported, card = load_encoder(tmp_path / "out.safetensors")
    assert card["training"]["steps"] == 4
    assert all(
        torch.equal(a, b)
        for a, b in zip(trained.state_dict().values(), exported.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("gradient", [True, False])
def test_regularising_branch_options(
    tiny: TrainConfig, mode: str, gradient: bool, monkeypatch
) -> None:
    """In eval mode the branch leaves BatchNorm's statistics alone; its reference frame carries a
    gradient if asked.
    """
    objective = dataclasses.replace(
        tiny.objective, regularising_bn=mode, regularising_gradient=gradient
    )
    learner = make_learner(dataclasses.replace(tiny, objective=objective))
    encode, encoded = learner._encode, []

    def watch(frames):
        encoded.append((frames.shape[1], torch.is_grad_enabled()))
        return encode(frames)

    monkeypatch.setattr(learner, "_encode", watch)
    batch = ClipBatch(torch.randint(0, 255, (2, 2, 3, 32, 32), dtype=torch.uint8), ("a", "b"))
    learner(batch, torch.Generator().manual_seed(0))["loss"].backward()
    assert encoded == ([(3, True), (1, False)] if gradient else [(2, True), (2, False)])
    assert int(learner.encoder.backbone.bn1.num_batches_tracked) == (2 if mode == "train" else 1)
    assert all(module.training for module in learner.modules())


def _rank_gradient(rank: int, first, second, theta, index, out: Path) -> None:
    clips = slice(2 * rank, 2 * rank + 2)
    scale = torch.ones(first.shape[2], requires_grad=True)
    keys = (first * scale.view(-1, 1, 1))[clips]
    views2 = (second * scale.view(-1, 1, 1))[clips]
    losses = losses_at(keys, views2, theta[clips], index[clips], index[clips], SelfTrainingConfig())
    losses["loss"].backward()
    gradient = scale.grad.clone()
    torch.distributed.all_reduce(gradient)
    torch.save(gradient / 2, out / f"{rank}.pt")


def test_two_processes_have_the_gradient_of_one_on_the_whole_batch(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 3, 8, 6, 6, generator=generator)
    theta = torch.tensor([[[0.7, 0, 0.1], [0, 0.7, -0.2]]]).repeat(4, 1, 1)
    index = torch.randint(0, 36, (4, 4), generator=generator)
    scale = torch.ones(8, requires_grad=True)
    whole = losses_at(
        first * scale.view(-1, 1, 1),
        second * scale.view(-1, 1, 1),
        theta,
        index,
        index,
        SelfTrainingConfig(),
    )
    whole["loss"].backward()
    run_two_ranks(_rank_gradient, tmp_path, first, second, theta, index, tmp_path)
    for rank in range(2):
        torch.testing.assert_close(
            torch.load(tmp_path / f"{rank}.pt", weights_only=True), scale.grad, rtol=1e-4, atol=1e-5
        )
