"""The same encoders under every protocol: which commands run, and the tables of what they leave."""

import json
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from experiments.protocol_effects import run
from tests.benchmarks.folders import Pretended, gathered
from tests.conftest import ROOT


def test_steps_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = Pretended(lambda command: None)
    monkeypatch.setattr(run, "run_jobs", pretended)
    environment = {
        "DAVIS": "/d",
        "ENCODER": "e.safetensors",
        "OUT": str(tmp_path),
        "PRESETS": "dul rsp",
    }
    run.run({**environment, "SEQUENCES": "bear dog"}, ())
    where = "--dataset davis16 --root /d --split dev --sequences bear dog"
    expected = []
    for preset, at_size in (("dul", ""), ("rsp", " --annotation-size 480x880")):
        for name, encoder in (("random", "random:resnet18"), ("trained", "e.safetensors")):
            out = tmp_path / name / preset
            method = f"--encoder {encoder} --layer res4 --preset {preset}"
            expected.append(f"densevos-eval propagate {method} {where} --out {out} --resume")
            expected.append(f"densevos-eval score {where}{at_size} --no-stability --results {out}")
    assert pretended.called == [
        *expected,
        f"python {ROOT}/benchmarks gather protocol_effects {tmp_path}",
    ]

    with pytest.raises(InputError, match="takes no options"):
        run.run(environment, ("--loop.epochs", "1"))
    with pytest.raises(InputError, match="PRESETS: there is no dinov9"):
        run.run({**environment, "PRESETS": "dinov9"}, ())
    assert {"dul", "crw", "uvc"} <= set(run.of_programs().split())
    assert "mug" not in run.of_programs().split()


def test_tables_of_protocols(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for encoder, j in (("random", 0.5), ("trained", 0.625)):
        for preset, more in (("dul", 0.0), ("crw", 0.125)):
            folder = tmp_path / encoder / preset
            folder.mkdir(parents=True)
            means = {"J&F-Mean": j + more, "J-Mean": j, "F-Mean": j + 2 * more}
            (folder / "results.json").write_text(
                json.dumps({"overall": means, "sequences": {"bear": means}})
            )
    said, result = gathered(capsys, "protocol_effects", str(tmp_path))
    assert "| dul | 50.0 (50.0, 50.0) | 62.5 (62.5, 62.5) | +12.5 |" in said.splitlines()
    assert "| crw | --alignment centres |" in said.splitlines()
    assert result["sequences"] == ["bear"]
