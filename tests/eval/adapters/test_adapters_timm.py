"""timm's transformers and CNNs as dense encoders; no model hub is asked."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, normalise
from densevos_eval.adapters.encoder import load_encoder

timm = pytest.importorskip("timm", reason="timm is not installed: pip install 'densevos[timm]'")

TINY = "test_vit"  # 6 blocks, 64 channels, patches of 16, made for 160x160


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def frames(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def model(name: str, seed: int = 5) -> torch.nn.Module:
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False, num_classes=0).eval()


def patch_tokens(
    network: torch.nn.Module, images: torch.Tensor, cells: tuple[int, int]
) -> torch.Tensor:
    """What timm's own forward pass says of the patches, class token dropped, [1,C,h,w] of unit
    length.
    """
    with torch.no_grad():
        tokens = network.forward_features(normalise(images))[:, 1:]
    return F.normalize(tokens.transpose(1, 2).unflatten(2, cells), dim=1)


@pytest.mark.parametrize("wrapped", [False, True])
def test_patch_tokens_of_local_weights_at_the_size_of_training(
    tmp_path: Path, wrapped: bool
) -> None:
    network, path = model(TINY), tmp_path / "vit.pth"
    state = network.state_dict()
    if wrapped:
        state = {"teacher": {f"backbone.{k}": v for k, v in state.items()}}
    torch.save(state, path)
    encoder = load_encoder(f"timm:{TINY}:{path}", device="cpu")
    assert (encoder.layer, encoder.stride, encoder.mean) == ("5", 16, MEAN)
    expected = patch_tokens(network, frames(160, 160), (10, 10))
    torch.testing.assert_close(encoder(frames(160, 160)), expected, rtol=1e-4, atol=1e-5)


def test_checkpoints_of_dinov2_training(tmp_path: Path) -> None:
    network, path = model(TINY), tmp_path / "training.pth"
    blocks = {
        re.sub(r"^blocks\.(\d)", r"blocks.0.\1", k): v for k, v in network.state_dict().items()
    }
    teacher = {f"teacher.backbone.{k}": v for k, v in blocks.items()} | {
        "teacher.backbone.mask_token": torch.zeros(1, 64),
        "teacher.dino_head.mlp.0.weight": torch.zeros(2, 2),
    }
    student = {f"student.backbone.{k}": torch.zeros_like(v) for k, v in blocks.items()}
    torch.save({"model": student | teacher, "loss": np.float64(1.5)}, path)
    expected = patch_tokens(network, frames(160, 160), (10, 10))
    features = load_encoder(f"timm:{TINY}:{path}", device="cpu")(frames(160, 160))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "beside",
    [
        {"masked_embed": torch.zeros(1, 64)},
        {"mask_token": torch.zeros(1, 1, 64), "decoder_norm.weight": torch.zeros(9)},
    ],
    ids=["ibot", "mae"],
)
def test_what_pretraining_leaves_beside_the_encoder_is_not_used(
    tmp_path: Path, beside: dict
) -> None:
    torch.save({"model": model(TINY).state_dict() | beside}, tmp_path / "vit.pth")
    torch.save(model(TINY).state_dict(), tmp_path / "plain.pth")
    first, second = (
        load_encoder(f"timm:{TINY}:{tmp_path / f}", device="cpu") for f in ("vit.pth", "plain.pth")
    )
    assert torch.equal(first(frames(32, 32)), second(frames(32, 32)))


def test_positions_are_interpolated_to_any_frame(tmp_path: Path) -> None:
    encoder = load_encoder(f"timm:{TINY}:none", device="cpu")
    assert encoder.of_frame(np.zeros((70, 131, 3), np.uint8)).shape == (64, 5, 9)
    flat = frames(1, 1).expand(1, 3, 320, 160)
    cells = encoder(flat.contiguous())[0].flatten(1)
    assert (
        float((cells[:, :1] * cells).sum(0).min()) < 0.9999
    )  # equal patches are told apart by where they are


@pytest.mark.parametrize(
    ("name", "stride"), [("vit_tiny_patch16_224", 16), ("vit_small_patch14_dinov2", 14)]
)
def test_strides_follow_the_patches(name: str, stride: int) -> None:
    encoder = load_encoder(f"timm:{name}@2:none", device="cpu")
    assert (encoder.layer, encoder.stride) == ("2", stride)


def test_blocks_are_layers() -> None:
    first, last = (
        load_encoder(f"timm:{TINY}@{layer}:none", device="cpu")(frames(32, 32)) for layer in "05"
    )
    assert not torch.allclose(first, last)
    assert torch.equal(
        load_encoder(f"timm:{TINY}:none", device="cpu", layer="0")(frames(32, 32)), first
    )
    with pytest.raises(InputError, match="has no layer 6; choose --layer 0, 1, 2, 3, 4, 5"):
        load_encoder(f"timm:{TINY}@6:none", device="cpu")


def test_cnns_are_dense_and_stages_are_layers() -> None:
    encoder = load_encoder("timm:test_resnet:none", device="cpu")
    assert (encoder.layer, encoder.stride) == ("4", 8)
    assert encoder.of_frame(np.zeros((50, 61, 3), np.uint8)).shape == (96, 7, 8)
    assert load_encoder("timm:test_resnet@1:none", device="cpu").stride == 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm:vit_tinny:none", "knows no such model"),
        ("timm:test_vot:none", "similar are|no such model"),
        ("timm:test_vit:none.pth", r"none\.pth: no such weights file"),
        ("timm:test_mlp:none", "no such model|takes frames of any size"),
    ],
)
def test_models_that_cannot_be_used(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_encoder(spec, device="cpu")


def test_cnns_that_cannot_be_dilated_keep_their_stride() -> None:
    if not hasattr(timm.models.VGG, "forward_intermediates"):
        pytest.skip("older versions of timm give no features of VGG")
    encoder = load_encoder("timm:vgg11:none", device="cpu")
    assert encoder.stride == 8
    assert encoder(frames(32, 48)).shape[2:] == (4, 6)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    torch.save(model("test_resnet").state_dict(), tmp_path / "resnet.pth")
    message = (
        r"do not fit \(.* of 78 names are missing: cls_token, .*others are there: .*name "
        r"the model they belong to"
    )
    with pytest.raises(InputError, match=message):
        load_encoder(f"timm:{TINY}:{tmp_path / 'resnet.pth'}", device="cpu")


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, *, pretrained: bool, **options: object) -> None:
        assert pretrained
        raise OSError("the hub cannot be reached")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        InputError, match=rf"hub cannot be reached.*timm:{TINY}:FILE\.pth.*timm:{TINY}:none"
    ):
        load_encoder(f"timm:{TINY}", device="cpu")


def test_timm_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"timm is not installed; pip install 'densevos\[timm\]'"):
        load_encoder("timm:test_vit", device="cpu")
