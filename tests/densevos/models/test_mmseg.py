"""Weights of Swin + UperNet as mmsegmentation and Swin's authors keep them."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.models.segmentation.base import SegmentationNetwork
from densevos.models.segmentation.inflation import renamed
from densevos.models.segmentation.mmseg import from_mmseg
from densevos.models.segmentation.network import make_network
from tests.densevos.models.test_segmentation_models import SWIN, VIDEO

NAMES = {
    "authors": (
        (r"^backbone\.swin\.embeddings\.patch_embeddings\.projection", "backbone.patch_embed.proj"),
        (r"^backbone\.swin\.encoder\.layers", "backbone.layers"),
        (r"attention\.q_proj", "attn.qkv"),
        (r"attention\.o_proj", "attn.proj"),
        (r"attention\.relative_position_bias\.", "attn."),
    ),
    "mmseg": (
        (r"^backbone\.swin\.embeddings\.patch_embeddings", "backbone.patch_embed"),
        (r"^backbone\.swin\.encoder\.layers", "backbone.stages"),
        (r"attention\.q_proj", "attn.w_msa.qkv"),
        (r"attention\.o_proj", "attn.w_msa.proj"),
        (r"attention\.relative_position_bias\.", "attn.w_msa."),
        (r"mlp\.fc1", "ffn.layers.0.0"),
        (r"mlp\.fc2", "ffn.layers.1"),
    ),
}
SHARED = (
    (r"^backbone\.swin\.embeddings\.norm", "backbone.patch_embed.norm"),
    (
        r"^backbone\.hidden_states_norms\.stage(\d)",
        lambda found: f"backbone.norm{int(found[1]) - 1}",
    ),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    (r"^decode_head\.classifier", "decode_head.conv_seg"),
    ("batch_norm", "bn"),
)


def network_of(seed: int) -> SegmentationNetwork:
    """Every weight and statistic is drawn, so that none can be mistaken for another."""
    torch.manual_seed(seed)
    network = make_network(SWIN, 5).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("norm.weight", "norm.bias", "bias_table", "running_mean")):
            torch.nn.init.normal_(tensor)
    return network


def kept(network: SegmentationNetwork, origin: str) -> dict[str, Tensor]:
    """A network's weights as files of this origin have them."""
    state, found = network.state_dict(), {}
    for name, tensor in state.items():
        if ".k_proj." in name or ".v_proj." in name or name.endswith("relative_position_index"):
            continue
        if ".q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            tensor = torch.cat(parts)
        elif ".downsample." in name and origin == "mmseg":
            tensor = unfolded(tensor)
        found[renamed(name, (*NAMES[origin], *SHARED))] = tensor
    block = (
        "backbone.layers.0.blocks.0.attn"
        if origin == "authors"
        else "backbone.stages.0.blocks.0.attn.w_msa"
    )
    assert f"{block}.relative_position_bias_table" in found
    unused = {
        f"{block}.relative_position_index": torch.zeros(9, 9),
        "auxiliary_head.conv_seg.bias": torch.ones(5),
    }
    return {**found, **unused}


def unfolded(weight: Tensor) -> Tensor:
    """[...,4C] for what nn.Unfold puts side by side, from one for four slices, as nn.Unfold itself
    orders them.
    """
    channels = weight.shape[-1] // 4
    cells = torch.arange(4 * channels).view(2, 2, channels)  # of slices: column, row, channel
    order = F.unfold(cells.permute(2, 1, 0)[None].float(), 2)[0, :, 0].long()
    return weight[..., order]


@pytest.mark.parametrize("origin", ["authors", "mmseg"])
def test_weights_of_mmsegmentation_compute_the_same(origin: str, tmp_path: Path) -> None:
    reference = network_of(1)
    torch.save(
        {"meta": {"epoch": 1}, "state_dict": kept(reference, origin)}, tmp_path / "upernet.pth"
    )
    network = make_network(
        dataclasses.replace(SWIN, weights=str(tmp_path / "upernet.pth")), 5
    ).eval()
    assert network.initial_weights == str(tmp_path / "upernet.pth")  # nothing is left at random
    video = make_network(
        dataclasses.replace(VIDEO, weights=str(tmp_path / "upernet.pth")), 5
    ).eval()
    image = torch.randn(1, 1, 3, 128, 128)
    with torch.no_grad():
        expected = reference(image)
        assert torch.equal(network(image), expected)
        found = video(image.expand(-1, 4, -1, -1, -1))
    torch.testing.assert_close(found[:, 2], expected[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("origin", ["authors", "mmseg"])
def test_every_weight_has_its_place(origin: str) -> None:
    network = network_of(2)
    found = from_mmseg(kept(network, origin))
    left = {name for name in found if name not in network.state_dict()}
    assert {name.split(".")[-1] for name in left} == {"relative_position_index", "bias"}
    assert len(left) == 2  # the index, which is made anew, and the auxiliary head
    for name, tensor in network.state_dict().items():
        assert name.endswith("relative_position_index") or torch.equal(found[name], tensor)


def test_patch_merging_by_unfolding_and_by_slices_is_the_same() -> None:
    """Weights for slices, applied as Swin's authors merge, and reordered, applied as mmsegmentation
    does.
    """
    x, weight = torch.randn(2, 5, 8, 6), torch.randn(10, 20)
    slices = torch.cat([x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)], 1)
    expected = torch.einsum("oc,nchw->nohw", weight, slices).flatten(2)
    torch.testing.assert_close(unfolded(weight) @ F.unfold(x, 2, stride=2), expected)
