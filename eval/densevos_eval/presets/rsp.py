"""The protocol of RSP: DINO's program on a data set that was converted to 480x880.

The window is wider and the context longer than DINO's.
"""

from dataclasses import replace

from densevos_eval.presets.dino import FRAMES, MASKS, NORMALISATION
from densevos_eval.presets.preset import Preset, Published
from densevos_eval.propagation.settings import PropagationConfig, Setup

RSP = Preset(
    name="rsp",
    paper="Jang et al.: Visual Representation Learning with Stochastic Frame Prediction, ICML 2024",
    program=(
        "huiwon-jang/RSP, eval_video_segmentation_davis.py and"
        " data_preprocessing/eval/davis_preprocessing.py"
    ),
    checked="run",
    setup=Setup(
        # The converted frames were saved as JPEG, with Pillow's default quality of 75.
        frames=replace(FRAMES, converted="480x880", converted_quality=75),
        # The annotations were converted too, so masks are scored at that size.
        masks=replace(MASKS, mask_size="480x880"),
        propagation=PropagationConfig(
            context=30,
            radius=30,
            window="square",
            reference="near",
            early_context="none",
            topk=7,
            ties="all",
            temperature=0.1,
        ),
    ),
    normalisation=NORMALISATION,
    positions="dino",
    annotation_size=(480, 880),
    published=(
        Published(method="RSP ViT-S/16", score=60.1, note="from memory, not checked in the paper"),
    ),
)
PRESETS = (RSP,)
