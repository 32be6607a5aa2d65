"""Linkers and flows by name."""

import pytest
import torch

from densevos.base.errors import InputError
from densevos.data.foreground.flow import dis_flow
from densevos_eval.zeroshot.linking.association import Association
from densevos_eval.zeroshot.linking.registry import load_flow, load_linker


def test_association_and_its_settings() -> None:
    kind = load_linker("association")
    settings = kind.settings
    assert kind.linker == Association()
    assert (settings["linking"], settings["flow"], settings["linking_most_tracks"]) == (
        "association",
        "dis",
        20,
    )
    assert not any(callable(value) for value in settings.values())


def test_flows_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    assert load_flow("dis", None, "cpu") == (dis_flow, {"flow": "dis"})

    def offline(*_: object, **__: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(
        InputError, match=r"--flow-weights C_T_V2: cannot be fetched \(no way out\); give a file"
    ):
        load_flow("raft", None, "cpu")
    for name, load in {
        "--linking nearest": load_linker,
        "--flow nearest": lambda name: load_flow(name, None, "cpu"),
    }.items():
        with pytest.raises(InputError, match=f"{name}: is unknown"):
            load("nearest")
