"""Mask R-CNN with weights made here: what comes out of its boxes, and weights that are not its
own.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from densevos.base.errors import InputError
from densevos_eval.zeroshot.proposals.maskrcnn import MaskRcnn, load_mask_rcnn

FRAME = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
FOREGROUND = np.zeros((40, 56), np.float32)


class Known(nn.Module):
    """Finds two boxes that nearly agree, of different classes, one apart, one of a low score, one
    without mask.
    """

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        (image,) = images
        assert image.shape == (3, 40, 56)
        assert 0 <= image.min() < image.max() <= 1
        boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [30, 20, 40, 30], [20, 0, 30, 10], [0, 30, 5, 35]]
        masks = torch.zeros(5, 1, 40, 56)
        for mask, (left, top, right, bottom) in zip(masks[:4], boxes, strict=False):
            mask[0, top:bottom, left:right] = 0.6
            mask[0, top, left:right] = 0.4
        scores = torch.tensor([0.5, 0.9, 0.3, 0.05, 0.8])
        return [
            {
                "boxes": torch.tensor(boxes).float(),
                "scores": scores,
                "masks": masks,
                "labels": torch.arange(5),
            }
        ]


def test_classes_are_ignored_and_low_scores_left_out() -> None:
    proposals = MaskRcnn(network=Known(), device=torch.device("cpu"), weights="known")(
        FRAME, FOREGROUND
    )
    assert [round(proposal.score, 4) for proposal in proposals] == [0.9, 0.3]
    first, second = proposals
    assert (first.mask.dtype, first.mask.shape, int(first.mask.sum())) == (bool, (40, 56), 90)
    assert second.mask[21:30, 30:40].all()


def test_weights_of_a_file_make_the_network(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    with torch.device("meta"):
        shapes = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None).state_dict()
    # Expanded from one number, so that the file is small.
    weights = {
        name: torch.zeros((), dtype=one.dtype).expand(one.shape) for name, one in shapes.items()
    }
    weights["roi_heads.box_predictor.cls_score.bias"] = 6.0 * (
        torch.arange(91) == 7
    )  # of class 7, whatever it is
    weights["roi_heads.mask_predictor.mask_fcn_logits.bias"] = torch.ones(
        91
    )  # masks fill their boxes
    file = tmp_path / "weights.pth"
    torch.save(weights, file)

    source = load_mask_rcnn(str(file), "cpu", short_side=64)
    assert source.inputs == [file]
    assert len(source.settings()["proposal_weights"]) == 64
    proposals = source(FRAME, FOREGROUND)
    assert proposals
    assert all(proposal.score > 0.1 and proposal.mask.shape == (40, 56) for proposal in proposals)


def test_weights_of_another_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    hint = "give the weights of maskrcnn_resnet50_fpn_v2"
    with pytest.raises(
        InputError, match=rf"--proposal-weights .*weights\.pth: is of another network .*; {hint}"
    ):
        load_mask_rcnn(str(file), "cpu")
    file.write_text("<html>")
    with pytest.raises(InputError, match=r"--proposal-weights .*weights\.pth: is a web page"):
        load_mask_rcnn(str(file), "cpu")
    with pytest.raises(
        InputError, match=r"nowhere\.pth: no such file; give a file with the weights"
    ):
        load_mask_rcnn(str(tmp_path / "nowhere.pth"), "cpu")
    with pytest.raises(
        InputError,
        match=r"--proposal-weights COCO_V9: unknown; .* has COCO_V1, DEFAULT, or give a file",
    ):
        load_mask_rcnn("COCO_V9", "cpu")

    def offline(*_: object, **__: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(
        InputError, match=r"COCO_V1: cannot be fetched \(no way out\); give a file with the weights"
    ):
        load_mask_rcnn("COCO_V1", "cpu")
