"""densevos describe --system: what the machine has."""

import json
import os

import pytest

from densevos import cli
from densevos.base import console
from densevos.data.sources import video
from densevos.inference import system


def test_info_tells_versions_decoders_and_memory(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(video.READER, "decord")
    assert console.run(lambda: cli.dispatch(["describe", "--system"])) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["packages"]["torch"].startswith("2.")
    assert set(told["decoders"]) == {"torchcodec", "decord", "pyav"}
    assert told["videos_are_read_by"] == ["DecordReader", "AvReader"]
    assert told["movies_are_written_with"] == "libx264"
    assert {"tensorboard", "timm"} <= set(told["optional_packages"])
    assert isinstance(told["encoders_that_come_along"], list)
    assert isinstance(told["mps"], bool)
    assert 1 <= told["cores"] <= (os.cpu_count() or 1)
    assert told["memory_gb"] > 0
    assert isinstance(told["bf16_native_on_cpu"], bool)


def test_a_decoder_that_does_not_load_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        system, "loading_problem", lambda name: "no FFmpeg" if name == "torchcodec" else None
    )
    told = system.describe_system()["decoders"]
    assert told["torchcodec"] == "does not load: no FFmpeg"
    assert told["pyav"][0].isdigit()


@pytest.mark.parametrize("arguments", [["describe"], ["describe", "a.safetensors", "--system"]])
def test_a_model_or_the_system(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert console.run(lambda: cli.dispatch(arguments)) == 2
    assert capsys.readouterr().err == "error: densevos describe: give a model, or --system alone\n"
