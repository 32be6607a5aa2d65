"""The protocol of UVC: each frame of the context votes separately.

Frames are grey, and features are compared by their products, without normalisation.
"""

import math
from dataclasses import replace

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

_DAVIS = Setup(
    layer="res4",
    # The network sees the lightness of Lab in all three channels.
    frames=FrameConfig(
        short_side=480,
        multiple=64,
        rounding="down",
        rounded="other",
        resampling="bilinear",
        colour="lab",
    ),
    masks=MaskConfig(
        first_masks="hard", alignment="centres", enlarged_to="encoded", stretched=True
    ),
    # A softmax over all cells of each frame; of its cells the five best are kept.
    propagation=PropagationConfig(
        context=7,
        radius=math.inf,
        reference="near",
        early_context="none",
        similarity="dot",
        voting="each-frame",
        topk=5,
        ties="all",
        temperature=1,
    ),
)
UVC = Preset(
    name="uvc",
    paper=(
        "Li et al.: Joint-task Self-supervised Learning for Temporal Correspondence (UVC),"
        " NeurIPS 2019"
    ),
    program="Liusifei/UVC 4336938, test.py, libs/test_utils.py and libs/model.py",
    checked="run",
    setup=_DAVIS,
    normalisation=IMAGENET,
    published=(
        Published(method="UVC ResNet-18", score=60.9, note="from memory, with tracking of boxes"),
    ),
)
VIP = replace(
    UVC,
    program=UVC.program.replace("test.py", "test_mask_vip.py", 1),
    setup=replace(
        _DAVIS,
        frames=FrameConfig(frame_size="560x560", resampling="bilinear", colour="lab"),
        propagation=replace(_DAVIS.propagation, context=1),
    ),
    published=(),
    notes=(
        "The command in the program's README takes one preceding frame (--pre_num 1) of 560x560"
        " pixels.",
    ),
)
# The variant is made from UVC, so it gets it last.
UVC = replace(UVC, variants={"vip": VIP})
PRESETS = (UVC,)
