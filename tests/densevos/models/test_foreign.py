"""Weights files of others: what is in them, whatever wraps it, and one line for what holds none."""

import argparse
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from densevos.models.foreign import (
    UnreadableError,
    differences,
    of_network,
    read_foreign,
    weights_in,
)

PLAIN = {
    "cls_token": torch.tensor([1.0]),
    **{f"blocks.{n}.norm.weight": torch.tensor([10.0 + n]) for n in range(4)},
    "norm.weight": torch.tensor([2.0]),
}
OTHER = {name: -tensor for name, tensor in PLAIN.items()}
HEAD = {"head.weight": torch.zeros(3)}


def before(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in weights.items()}


def chunked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names as in training with DINOv2: two blocks in each chunk."""
    return {
        re.sub(r"blocks\.(\d+)", lambda n: f"blocks.{int(n[1]) // 2}.{n[1]}", k): v
        for k, v in weights.items()
    }


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        {"state_dict": before("module.", PLAIN), "epoch": 3},
        {
            "state_dict": before("model.", PLAIN) | {"loss.weight": torch.zeros(2)},
            "hyper_parameters": {"lr": 0.1},
        },
        {
            "student": before("module.backbone.", OTHER),
            "teacher": before("backbone.", PLAIN) | HEAD,
        },
        {
            "student": before("module.backbone.", PLAIN),
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}},
        },
        {"model": before("teacher.backbone.", PLAIN) | before("student.backbone.", OTHER)},
        {"teacher": before("backbone.", chunked(PLAIN))},
        {"state_dict": before("module.encoder_q.", PLAIN) | before("module.encoder_k.", OTHER)},
        before("_orig_mod.", PLAIN),
    ],
    ids=[
        "plain",
        "parallel",
        "lightning",
        "dino",
        "student",
        "dinov2",
        "chunks",
        "moco",
        "compiled",
    ],
)
def test_the_network_is_found_whatever_wraps_it(tmp_path: Path, content: dict) -> None:
    torch.save(content, tmp_path / "weights.pth")
    weights = of_network(weights_in(read_foreign(tmp_path / "weights.pth")), PLAIN)
    assert weights == PLAIN


def test_two_networks_of_which_none_is_the_main_one() -> None:
    with pytest.raises(
        UnreadableError, match=r"holds several networks \(a, b\); save the one wanted alone"
    ):
        of_network(before("a.", PLAIN) | before("b.", OTHER), PLAIN)


def test_other_networks_keep_their_names() -> None:
    grouped = {
        f"blocks.0.{n}.conv.weight": torch.zeros(1) for n in range(3)
    }  # stages of a CNN, and no chunks
    assert of_network(before("module.", grouped), grouped) == grouped
    assert of_network(before("module.", HEAD), PLAIN) == before("module.", HEAD)
    assert of_network(PLAIN, {}) == PLAIN


@pytest.mark.parametrize("new", [True, False])
def test_plain_values_beside_the_weights_are_read(tmp_path: Path, new: bool) -> None:
    values = {
        "args": argparse.Namespace(lr=1e-4, out=Path("runs")),
        "loss": np.float64(1.5),
        "step": np.int64(7),
        "best": np.bool_(True),
        "curve": np.arange(3, dtype=np.float32),
    }
    torch.save({"model": PLAIN, **values}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    content = read_foreign(tmp_path / "w.pth")
    assert weights_in(content) == PLAIN
    assert (content["loss"], content["step"], content["args"]) == (1.5, 7, values["args"])
    np.testing.assert_array_equal(content["curve"], [0, 1, 2])


def test_arrays_and_numbers_of_objects_are_refused(tmp_path: Path) -> None:
    for value in (
        np.array([Foreign()], dtype=object),
        np.array([{}], dtype=object),
        np.zeros(1, [("a", "O")]),
    ):
        torch.save({"model": PLAIN, "value": value}, tmp_path / "w.pth")
        with pytest.raises(UnreadableError, match="holds pickled code"):
            read_foreign(tmp_path / "w.pth")


def test_files_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    safetensors.torch.save_file(PLAIN, tmp_path / "weights.pth")
    torch.save(PLAIN, tmp_path / "weights.safetensors")
    for name in ("weights.pth", "weights.safetensors"):
        assert read_foreign(tmp_path / name) == PLAIN


@pytest.mark.parametrize("length", [0x80, 0x280, 0x3C20])
def test_lengths_of_safetensors_that_look_like_a_pickle_or_a_page(
    tmp_path: Path, length: int
) -> None:
    path, tensors = tmp_path / "weights.safetensors", {"norm.weight": PLAIN["norm.weight"]}
    short = safetensors.torch.save(tensors, metadata={"note": ""})
    note = "x" * (length - len(short) + 4 + 8)  # four bytes of values, eight of the length
    path.write_bytes(safetensors.torch.save(tensors, metadata={"note": note}))
    assert int.from_bytes(path.read_bytes()[:8], "little") == length
    assert read_foreign(path) == tensors


class Foreign:
    """A class that only its author's code has."""


def test_files_without_weights_are_told_for_what_they_are(tmp_path: Path) -> None:
    torch.save(PLAIN, tmp_path / "complete.pth")
    torch.save({"model": PLAIN, "args": Foreign()}, tmp_path / "code.pth")
    (tmp_path / "folder.pth").mkdir()
    complete = (tmp_path / "complete.pth").read_bytes()
    contents = {
        "empty.pth": (b"", "is empty; download it again"),
        "page.pth": (b"\n<!DOCTYPE html><html>", "is a web page"),
        "page.safetensors": (b"<html>", "is a web page"),
        "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        "answer.pth": (b'{"error": "not found"}', "is a file of JSON"),
        "text.pth": (b"Not Found\n", r"is a text and no weights \(Not Found\)"),
        "packed.pth": (b"\x1f\x8b\x08\x00", "is compressed; unpack it first"),
        "cut.pth": (complete[: len(complete) // 2], "cannot be read .*; download it again"),
        "cut.safetensors": (bytes(20), "is not a complete safetensors file"),
    }
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
    messages = {name: message for name, (_, message) in contents.items()}
    messages["folder.pth"] = "is a folder"
    messages["code.pth"] = (
        rf"holds pickled code \({Foreign.__module__}\.Foreign\), which is not run"
    )
    for name, message in messages.items():
        with pytest.raises(UnreadableError, match=message):
            read_foreign(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(2)])
def test_contents_without_names_of_weights(content: object) -> None:
    with pytest.raises(UnreadableError, match="holds no weights"):
        weights_in(content)


def test_differences_name_what_is_missing_what_is_there_and_shapes() -> None:
    assert differences(PLAIN, PLAIN) == ""
    assert differences(PLAIN | HEAD, PLAIN) == "others are there: head.weight"
    assert differences(HEAD, PLAIN) == (
        "6 of 6 names are missing: cls_token, blocks.0.norm.weight, blocks.1.norm.weight, ...; "
        "others are there: head.weight"
    )
    assert (
        differences(PLAIN | {"norm.weight": torch.zeros(2, 3)}, PLAIN)
        == "norm.weight is [2, 3], not [1]"
    )
