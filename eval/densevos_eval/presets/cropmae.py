"""The protocol of CropMAE, and of SiamMAE and T-CoRe as run with its program.

It is CRW's propagation, applied to patches of a vision transformer.
"""

from dataclasses import replace

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

_DAVIS = Setup(
    frames=FrameConfig(frame_size="480x880", resampling="bilinear-float"),
    # Masks are written at 480x880, the size of the converted annotations that they are scored with.
    masks=MaskConfig(
        first_masks="soft",
        reduced_by="corner",
        alignment="centres",
        enlarged_to="encoded",
        mask_size="480x880",
    ),
    propagation=PropagationConfig(
        context=20, radius=20, window="circle", reference="everywhere", topk=7, temperature=0.7
    ),
)
CROPMAE = Preset(
    name="cropmae",
    paper=(
        "Eymaël et al.: Efficient Image Pre-Training with Siamese Cropped Masked Autoencoders,"
        " ECCV 2024"
    ),
    program="alexandre-eymael/CropMAE 5d0dab2, downstreams/propagation/",
    checked="run",
    setup=_DAVIS,
    normalisation=IMAGENET,
    positions="dino",
    annotation_size=(480, 880),
    published=(
        Published(method="CropMAE ViT-S/16", score=60.1, note="users measure 57.4 to 59.1"),
        Published(
            method="SiamMAE ViT-S/16", score=62.0, note="from memory, not checked in the paper"
        ),
        Published(method="T-CoRe", score=66.4, note="64.1 to 66.4"),
    ),
    notes=(
        "The program reads a data set that was converted to 480x880 beforehand, and does not say"
        " how. Here frames of another size are resized as the program itself resizes them.",
    ),
)
# The place of a joint is the mean of its 5 strongest cells.
JHMDB = replace(
    CROPMAE,
    setup=replace(
        _DAVIS,
        frames=replace(_DAVIS.frames, frame_size="320x320"),
        masks=MaskConfig(alignment="centres", joints="cells", joint_cells=5),
    ),
    annotation_size=None,
    published=(),
    notes=(),
)
# Frames of VIP are not converted: they keep their aspect ratio, with a long side of 880.
VIP = replace(
    CROPMAE,
    setup=replace(
        _DAVIS,
        frames=FrameConfig(
            long_side=880,
            multiple=64,
            rounding="down",
            rounded="other",
            resampling="bilinear-float",
        ),
        masks=MaskConfig(
            reduced_by="corner", alignment="centres", enlarged_to="encoded", first_output="cells"
        ),
        propagation=replace(_DAVIS.propagation, topk=10),
    ),
    annotation_size=None,
    published=(),
    notes=(),
)
# The variants are made from CROPMAE, so it gets them last.
CROPMAE = replace(CROPMAE, variants={"jhmdb": JHMDB, "vip": VIP})
PRESETS = (CROPMAE,)
