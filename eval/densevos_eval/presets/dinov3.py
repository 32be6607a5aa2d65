"""The protocol of DINOv3's notebook of segmentation tracking.

Frames are large. Masks are hard, and are always resized with nearest neighbour.
"""

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

DINOV3 = Preset(
    name="dinov3",
    paper="Siméoni et al.: DINOv3, 2025",
    program="facebookresearch/dinov3 6876159, notebooks/segmentation_tracking.ipynb",
    checked="run",
    setup=Setup(
        # Both sides are rounded up to whole patches.
        frames=FrameConfig(
            short_side=960, multiple="cell", rounding="up", rounded="both", resampling="bicubic"
        ),
        masks=MaskConfig(first_masks="hard", enlarging="nearest", stretched=True),
        # As in DINO's program, but with a round window and a higher temperature.
        propagation=PropagationConfig(
            context=7,
            radius=12,
            window="disc",
            reference="near",
            early_context="none",
            topk=5,
            ties="all",
            temperature=0.2,
        ),
    ),
    normalisation=IMAGENET,
    published=(
        Published(method="DINOv3 ViT-S/16", score=72.7),
        Published(method="DINOv3 ViT-B/16", score=77.2),
        Published(method="DINOv3 ViT-L/16", score=79.9),
        Published(
            method="DINOv3 ViT-7B/16", score=79.7, note="83.3 at a larger input, second hand"
        ),
    ),
    notes=(
        "The notebook shows one video; whether the printed numbers were made with it is not known.",
    ),
)
PRESETS = (DINOV3,)
