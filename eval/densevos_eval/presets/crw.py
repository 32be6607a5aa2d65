"""The protocol of CRW, and of methods that are scored with its program.

It differs from DUL's in how masks are resized. It also covers joints (JHMDB) and parts (VIP).
"""

from dataclasses import replace

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

_DAVIS = Setup(
    layer="res3",
    # OpenCV, which the program resizes masks and labels with, aligns the borders of images.
    masks=MaskConfig(first_masks="soft", alignment="centres"),
    propagation=PropagationConfig(
        context=20, radius=12, window="circle", reference="everywhere", topk=10, temperature=0.05
    ),
)
CRW = Preset(
    name="crw",
    paper=(
        "Jabri, Owens, Efros: Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020"
    ),
    program="ajabri/videowalk 047f3f4, code/test.py, code/data/ and code/eval/",
    checked="run",
    setup=_DAVIS,
    normalisation=IMAGENET,
    published=(
        Published(method="CRW", score=67.6),
        Published(method="SFC alone", score=68.0),
        Published(method="SFC with MoCo", score=71.3),
        Published(method="HVC", score=73.1, note="features of MoCo are joined at test"),
    ),
)
# Frames are resized to a square as float32, whatever their aspect ratio.
_SQUARE = FrameConfig(frame_size="320x320", resampling="bilinear-float")
# The place of a joint is the mean of its 3 strongest cells.
JHMDB = replace(
    CRW,
    setup=replace(
        _DAVIS, frames=_SQUARE, masks=MaskConfig(alignment="centres", joints="cells", joint_cells=3)
    ),
    published=(),
    notes=(
        "The release names no settings for JHMDB beyond its defaults; context, radius and top k are"
        " those of DAVIS.",
    ),
)
# The masks of VIP are also written for the first frame, from the labels of its cells.
VIP = replace(
    CRW,
    setup=replace(
        _DAVIS,
        frames=replace(_SQUARE, frame_size="560x560"),
        masks=MaskConfig(
            reduced_by="corner", alignment="centres", enlarged_to="encoded", first_output="cells"
        ),
    ),
    published=(),
    notes=(
        "The program resizes the class ids of the first frame bilinearly, through a wrong argument,"
        " so that ids of other classes appear along borders. Here they are resized with nearest"
        " neighbour.",
    ),
)
# The variants are made from CRW, so it gets them last.
CRW = replace(CRW, variants={"jhmdb": JHMDB, "vip": VIP})
PRESETS = (CRW,)
