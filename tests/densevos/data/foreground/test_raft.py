"""RAFT as an optical flow: sizes, and weights that are not its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.optical_flow import raft_small

from densevos.base.errors import InputError
from densevos.data.foreground.raft import Raft, load_raft


class Known(nn.Module):
    """A flow that says what it was given: the shift in x is the first frame's mean, that in y the
    second's.
    """

    def forward(self, a: Tensor, b: Tensor) -> list[Tensor]:
        assert a.shape == b.shape
        assert a.shape[2] % 8 == a.shape[3] % 8 == 0
        assert min(a.shape[2:]) >= 128
        flow = torch.stack([a.mean(1), b.mean(1)], dim=1)
        return [torch.zeros_like(flow), flow]


def test_frames_are_padded_scaled_and_the_last_flow_is_cut_again() -> None:
    black, white = np.zeros((130, 45, 3), np.uint8), np.full((130, 45, 3), 255, np.uint8)
    flow = Raft(network=Known(), device=torch.device("cpu"))(black, white)
    assert (flow.shape, flow.dtype) == ((130, 45, 2), np.float32)
    np.testing.assert_allclose(flow, np.broadcast_to([-1, 1], flow.shape), atol=1e-6)


@pytest.mark.slow
def test_weights_of_a_file_make_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.save(raft_small(weights=None).state_dict(), tmp_path / "raft.pth")
    frames = np.random.default_rng(0).integers(0, 255, (2, 40, 60, 3), np.uint8)
    flow = load_raft(str(tmp_path / "raft.pth"), torch.device("cpu"))(frames[0], frames[1])
    assert flow.shape == (40, 60, 2)
    assert np.isfinite(flow).all()


def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for weights, said in {
        str(tmp_path / "other.pth"): "is of another network",
        str(tmp_path / "nowhere.pth"): "no such file; give a file with the weights of raft_small",
        "C_T_V9": "unknown; raft_small has C_T_V1, C_T_V2, DEFAULT, or give a file",
    }.items():
        with pytest.raises(InputError, match=said) as error:
            load_raft(weights, cpu)
        assert str(error.value).startswith(f"--flow-weights {weights}: ")
    with pytest.raises(InputError, match="frames of 4x3 and 5x3 pixels"):
        Raft(network=Known(), device=cpu)(
            np.zeros((3, 4, 3), np.uint8), np.zeros((3, 5, 3), np.uint8)
        )
