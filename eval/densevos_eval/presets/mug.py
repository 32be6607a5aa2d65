"""The protocols of MuG: that of the paper, and that of its released code.

In the paper every cell of the frame before votes, with hard labels.
"""

import math

from densevos_eval.presets.preset import Preset
from densevos_eval.propagation.settings import PropagationConfig, Setup

_PAPER = "Lu et al.: Learning Video Object Segmentation from Unlabeled Videos, CVPR 2020"

# The paper compares raw features, whose products are large. For unit vectors this corresponds to a
# low temperature: at 0.07 the thousands of dissimilar cells outvote the few similar ones, and
# objects dissolve.
MUG = Preset(
    name="mug",
    paper=f"{_PAPER}, Eq. 17",
    program="",
    checked="paper",
    setup=Setup(
        layer="key",
        propagation=PropagationConfig(
            context=1,
            radius=math.inf,
            reference="none",
            topk="all",
            temperature=0.01,
            labels="hard",
        ),
    ),
)

# The released code votes with the first and the preceding frame, and with soft labels.
MUG_RELEASE = Preset(
    name="mug-release",
    paper=_PAPER,
    program="",
    checked="paper",
    setup=Setup(
        layer="x",
        propagation=PropagationConfig(context=1, radius=math.inf, topk=5, temperature=0.01),
    ),
    notes=(
        "The released code takes the five best cells of the first and of the preceding frame"
        " separately, weighs them by a softmax over all cells, averages the two frames, and"
        " stretches each object's map to 0..1 before they are compared. Here the five best of both"
        " frames together vote, with weights that sum to 1, and maps are compared without"
        " stretching.",
    ),
)
PRESETS = (MUG, MUG_RELEASE)
