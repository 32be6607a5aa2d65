"""Proposals on disk."""

from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval.zeroshot.proposals.proposal import Proposal
from densevos_eval.zeroshot.proposals.saved import read_proposals, write_proposals


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    mask = np.eye(4, 5, dtype=bool)
    write_proposals(tmp_path / "a" / "0.npz", [Proposal(mask=mask, score=0.25)], (4, 5))
    masks, scores = read_proposals(tmp_path / "a" / "0.npz")
    np.testing.assert_array_equal(masks, mask[None])
    assert scores.tolist() == [0.25]
    write_proposals(tmp_path / "a" / "0.npz", [], (4, 5))
    assert read_proposals(tmp_path / "a" / "0.npz")[0].shape == (0, 4, 5)


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "0.npz"
    with pytest.raises(
        InputError, match=r"0\.npz: file is missing; write one file per frame with masks"
    ):
        read_proposals(file)
    masks = np.ones((2, 3, 4), bool)
    for arrays in (
        {"masks": masks},
        {"masks": masks.astype(float), "scores": np.ones(2)},
        {"masks": masks[0], "scores": np.ones(3)},
        {"masks": masks, "scores": np.ones(3)},
        {"masks": masks, "scores": np.array([0.5, 1.5])},
        {"masks": masks, "scores": np.array([0.5, np.nan])},
        {"masks": masks, "scores": np.array([{}, {}])},  # pickled
    ):
        np.savez(file, **arrays)
        with pytest.raises(
            InputError, match=r"0\.npz: .*masks \[N,H,W\] bool and scores \[N\] in 0\.\.1"
        ):
            read_proposals(file)
    for content in (b"", b"nonsense", file.read_bytes()[:80]):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"0\.npz: holds no proposals"):
            read_proposals(file)
