"""densevos-eval watch: the encoders of a run are scored as they appear."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from densevos.base import console
from densevos.base.errors import RunError, Stopped
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos_eval import cli, watch
from tests.eval import copies


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that wrote three encoders, the second of which is broken, and a benchmark beside."""
    copies.davis(tmp_path / "DAVIS", "ImageSets/2017/val.txt", names={"one": copies.MASKS["one"]})
    for epoch in (9, 20):
        write(tmp_path / "run", epoch)
    (tmp_path / "run" / "encoders" / "epoch-0010.safetensors").write_bytes(b"half of it")
    (tmp_path / "run" / "encoders" / "epoch-0010.json").write_text("{}")
    (tmp_path / "run" / "encoders" / "epoch-0030.safetensors").write_bytes(
        b"its card is not there yet"
    )
    return tmp_path / "run"


def write(run: Path, epoch: int, name: str | None = None) -> Path:
    (run / "encoders").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(epoch)
    file = run / (name or f"encoders/epoch-{epoch:04d}.safetensors")
    save_encoder(file, DenseEncoder(EncoderConfig()), {"steps": 10 * epoch})
    return file


def started(run: Path, *options: str) -> int:
    arguments = [
        "watch",
        str(run),
        "--dataset",
        "davis17",
        "--root",
        str(run.parent / "DAVIS"),
        "--device",
        "cpu",
    ]
    return console.run(lambda: cli.dispatch([*arguments, *options]))


def lines(run: Path) -> list[dict]:
    return [
        json.loads(line) for line in (run / "encoders" / "scores.jsonl").read_text().splitlines()
    ]


class Evaluator:
    """Stands for the processes: notes what is propagated, and scores each encoder as it is told."""

    def __init__(self, **scores: float):
        self.scores, self.propagated = scores, []
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, command: str, *words: object) -> None:
        name = Path(str(words[1] if command == "propagate" else words[-1])).stem
        if self.scores.get(name) is None:
            raise RunError(f"densevos-eval {command}: {name} is broken")
        if command == "propagate":
            self.propagated.append(name)
        if command == "score":
            folder = Path(str(words[-1]))
            folder.mkdir(parents=True)
            score = {"J&F-Mean": self.scores[name]}
            facts = {"dataset": "davis17", "split": "val", "overall": score, "sequences": {}}
            (folder / "results.json").write_text(json.dumps(facts))
            self.meanwhile()


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch) -> Evaluator:
    stands_in = Evaluator(
        **{"epoch-0009": 0.5, "epoch-0020": 0.4, "epoch-0040": 0.7, "encoder": 0.6, "last": 0.6}
    )
    monkeypatch.setattr(watch, "_evaluator", stands_in)
    return stands_in


def test_every_encoder_is_scored_once_and_the_best_is_linked(
    run: Path, evaluator: Evaluator, capsys
) -> None:
    assert started(run, "--once") == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "encoders/epoch-0009.safetensors: J&F 50.0 (best so far)",
        "encoders/epoch-0020.safetensors: J&F 40.0",
    ]
    assert (
        "epoch-0010.safetensors: passed over: densevos-eval info: epoch-0010 is broken" in said.err
    )
    best = run / "encoders" / "best.safetensors"
    assert best.resolve() == run / "encoders" / "epoch-0009.safetensors"
    assert json.loads((run / "encoders" / "best.json").read_text())["training"]["steps"] == 90
    assert [(line.get("score"), line.get("steps")) for line in lines(run)] == [
        (0.5, 90),
        (None, None),
        (0.4, 200),
    ]
    assert not list((run / "encoders").glob("masks/*"))

    write(run, 40)
    assert started(run, "--once", "--keep") == 0
    assert evaluator.propagated == ["epoch-0009", "epoch-0020", "epoch-0040"]
    assert best.resolve() == run / "encoders" / "epoch-0040.safetensors"
    assert (run / "encoders" / "masks" / "epoch-0040" / "results.json").exists()


def test_other_options_are_other_scores(run: Path, evaluator: Evaluator) -> None:
    assert started(run, "--once") == 0
    assert started(run, "--once", "--context", "5") == 0
    assert evaluator.propagated == ["epoch-0009", "epoch-0020"] * 2
    assert lines(run)[3]["options"][-2:] == ["--context", "5"]


def test_it_waits_for_the_last_encoder(
    run: Path, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoders that appear while others are scored count, and those that appear while it waits."""
    evaluator.meanwhile = lambda: write(run, 40)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: write(run, 50, "encoder.safetensors"))
    assert started(run) == 0
    assert evaluator.propagated == ["epoch-0009", "epoch-0020", "epoch-0040", "encoder"]
    assert lines(run)[-1]["encoder"] == "encoder.safetensors"


def test_what_is_not_the_encoders_fault_ends_it(
    run: Path, evaluator: Evaluator, monkeypatch, capsys
) -> None:
    def full(command: str, *words: object) -> None:
        if command == "propagate":
            raise RunError("densevos-eval propagate: no space left on device")

    monkeypatch.setattr(watch, "_evaluator", full)
    assert started(run) == 1
    assert capsys.readouterr().err == "error: densevos-eval propagate: no space left on device\n"
    assert not (run / "encoders" / "scores.jsonl").exists()


def test_sigterm_says_how_to_go_on(run: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def stopped(seconds: float) -> None:
        raise Stopped("run the same command again to go on")

    monkeypatch.setattr(watch, "_evaluator", Evaluator())
    monkeypatch.setattr(watch.time, "sleep", stopped)
    assert started(run) == 143
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no run; write densevos-eval watch RUN"),
        (("--once", "--dataset", "davis17"), "no run; write densevos-eval watch RUN"),
        (("nowhere", "--dataset", "davis17", "--root", "x"), "nowhere: no such run"),
        ((".", "--dataset", "davis17"), "--root is missing"),
        (
            (".", "--dataset=davis17", "--root=x", "--out", "masks"),
            "--out is chosen for each encoder",
        ),
    ],
)
def test_what_cannot_be_watched(arguments: tuple[str, ...], message: str, capsys) -> None:
    assert console.run(lambda: cli.dispatch(["watch", *arguments])) == 2
    assert message in capsys.readouterr().err


def test_scoring_gets_the_options_of_the_benchmark_alone() -> None:
    benchmark = ["--dataset=davis17", "--root", "DAVIS", "--sequences", "a", "b", "--split", "val"]
    words = ["--context", "5", *benchmark[:3], "--layer", "res3", *benchmark[3:], "--topk", "5"]
    assert watch.benchmark_words(words) == benchmark


def test_a_broken_encoder_is_none_for_info(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By this a broken encoder is told from a benchmark that cannot be used."""
    encoders = run / "encoders"
    assert (
        console.run(lambda: cli.dispatch(["info", str(encoders / "epoch-0010.safetensors")])) == 2
    )
    assert (
        console.run(lambda: cli.dispatch(["info", str(encoders / "epoch-0009.safetensors")])) == 0
    )
