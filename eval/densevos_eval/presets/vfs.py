"""The protocol of VFS: features of layer3 of a ResNet, and hard masks.

The reference frame is matched near the query, and once more as one of the first context frames.
"""

from dataclasses import replace

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.presets.preset import IMAGENET, Preset, Published
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

VFS = Preset(
    name="vfs",
    paper="Xu, Wang: Rethinking Self-supervised Correspondence Learning (VFS), ICCV 2021",
    program=(
        "xvjiarui/VFS, configs/r18_nc_sgd_cos_100e_r2_1xNx8_k400.py,"
        " mmaction/models/trackers/vanilla_tracker.py"
    ),
    checked="run",
    setup=Setup(
        layer="res3",
        frames=FrameConfig(short_side=480, resampling="bilinear"),
        # The program resizes masks twice: to the frame as the encoder sees it, and then to cells.
        masks=MaskConfig(
            first_masks="hard", reduced_from="encoded", alignment="centres", stretched=True
        ),
        # The first frame is added to the context, and counts twice while the context holds it.
        propagation=PropagationConfig(
            context=20,
            radius=12,
            window="circle",
            reference="near",
            early_context="once",
            topk=10,
            temperature=0.07,
        ),
    ),
    normalisation=IMAGENET,
    published=(Published(method="VFS ResNet-18", score=66.7),),
    notes=(
        "neighbor_range 24 of the configuration is a circle of radius 12: cells strictly nearer."
        " What VFS calls res4 is layer3 of the network, res3 here.",
    ),
)
# The program's configuration for the ResNet-50 has a wider window.
VFS_R50 = replace(
    VFS,
    name="vfs-r50",
    program=VFS.program.replace(
        "r18_nc_sgd_cos_100e_r2_1xNx8_k400", "r50_nc_sgd_cos_100e_r5_1xNx2_k400"
    ),
    setup=replace(VFS.setup, propagation=replace(VFS.setup.propagation, radius=18)),
    published=(Published(method="VFS ResNet-50", score=69.5),),
    notes=("neighbor_range 36 of the configuration is a circle of radius 18.",),
)
PRESETS = (VFS, VFS_R50)
