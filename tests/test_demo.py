"""The demo, shortened: every file it promises is there and readable."""

import dataclasses
import json
from pathlib import Path

import pytest

from densevos import demo
from densevos.base.errors import RunError, Stopped
from densevos.models.encoder import load_encoder


@pytest.mark.slow
def test_demo_writes_all_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    small = dataclasses.replace(demo.TRAINING_CLIPS, height=64, width=96, frames=6)
    for name, value in {
        "TRAINING": 6,
        "HELD_OUT": 2,
        "TRAINING_CLIPS": small,
        "HELD_OUT_CLIPS": small,
    }.items():
        monkeypatch.setattr(demo, name, value)
    out = tmp_path / "demo"
    demo.run_demo(out, seed=0, epochs=1, overwrite=False)
    results = json.loads((out / "results.json").read_text())
    for name in ("random_init", "trained"):
        assert results[name]["J&F"] == pytest.approx((results[name]["J"] + results[name]["F"]) / 2)
        assert 0 < results[name]["J"] < 1
    assert results["train_seconds"] > 0
    load_encoder(out / "encoder.safetensors")
    assert json.loads((out / "encoder.json").read_text())["training"]["steps"] == 1
    assert (out / "metrics.jsonl").read_text().count("\n") == 1
    assert (out / "overlays" / "overview.png").stat().st_size > 1000
    assert len(list((out / "overlays").glob("*.mp4"))) == 2
    assert "J&F" in capsys.readouterr().out


def test_a_demo_that_is_stopped_advises_an_option_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise Stopped("go on with --resume auto")

    monkeypatch.setattr(demo, "write_davis", lambda *arguments, **options: None)
    monkeypatch.setattr(demo, "train", stopped)
    with pytest.raises(Stopped, match=r"start it again with --out .*out --overwrite"):
        demo.run_demo(tmp_path / "out", seed=0, epochs=1, overwrite=False)


def test_failure_of_the_evaluator_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"densevos-eval score failed: error: .*nowhere"):
        demo.evaluator(
            "score", "--dataset", "davis17", "--root", tmp_path / "nowhere", "--results", tmp_path
        )
