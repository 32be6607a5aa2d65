"""The protocol of DUL, which is derived from that of CRW.

Frames keep their size, masks are soft, and the reference frame is matched everywhere.
"""

from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

DUL = Preset(
    name="dul",
    paper=(
        "Araslanov, Schaub-Meyer, Roth: Dense Unsupervised Learning for Video Segmentation,"
        " NeurIPS 2021"
    ),
    program="visinf/dense-ulearn-vos 88e5e35, infer_vos.py and labelprop/",
    checked="run",
    setup=Setup(
        layer="res4",
        # The program resizes masks and labels with align_corners=True.
        masks=MaskConfig(first_masks="soft", alignment="corners"),
        # The missing frames of a context are copies of the first one (early_context "repeat").
        propagation=PropagationConfig(
            context=20,
            radius=12,
            window="circle",
            reference="everywhere",
            topk=10,
            temperature=0.05,
        ),
    ),
    normalisation=IMAGENET,
    published=(
        Published(method="DUL, YouTube-VOS", score=69.3),
        Published(method="DUL, OxUvA", score=65.3),
        Published(method="DUL, TrackingNet", score=69.4),
        Published(method="DUL, Kinetics-400", score=68.7),
        Published(method="random ResNet-18", score=43.1),
    ),
)
PRESETS = (DUL,)
