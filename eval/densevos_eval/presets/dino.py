"""The protocol of DINO, and of methods that are scored with its program.

Masks are hard, the first frame is matched near the query only, and labels are stretched.
"""

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.presets.preset import Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

# 0.228 instead of 0.229, as in the program.
NORMALISATION = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.228, 0.224, 0.225))

# Height 480, and the width rounded down to a multiple of 64.
FRAMES = FrameConfig(
    short_side=480, multiple=64, rounding="down", rounded="other", resampling="bilinear"
)

# A cell has the object of one pixel, and each object's map is stretched to 0..1 before the argmax.
MASKS = MaskConfig(first_masks="hard", alignment="centres", enlarged_to="encoded", stretched=True)

DINO = Preset(
    name="dino",
    paper="Caron et al.: Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
    program="facebookresearch/dino 7c446df, eval_video_segmentation.py and vision_transformer.py",
    checked="run",
    setup=Setup(
        frames=FRAMES,
        masks=MASKS,
        # The queue of preceding frames starts empty. Of the cells in the window, all that are not
        # worse than the fifth best vote.
        propagation=PropagationConfig(
            context=7,
            radius=12,
            window="square",
            reference="near",
            early_context="none",
            topk=5,
            ties="all",
            temperature=0.1,
        ),
    ),
    normalisation=NORMALISATION,
    positions="dino",
    published=(
        Published(method="DINO ViT-S/16", score=61.8),
        Published(method="DINO ViT-S/8", score=69.9),
        Published(method="DINO ViT-B/8", score=71.4, note="from memory, not checked in the paper"),
        Published(method="SMTC", score=67.6, note="64.0 to 67.6"),
    ),
)
PRESETS = (DINO,)
