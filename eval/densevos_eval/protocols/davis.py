"""DAVIS: 2016 with one object, 2017 with several objects, 2017 test-dev, and 2017 unsupervised."""

from dataclasses import replace

from densevos_eval.metrics.matching import best_assignment
from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

# The toolbox measures T only for these videos (`eval_t` in its list of sequences), since objects of
# the others are occluded or deform strongly. The first ten belong to val, the others to train.
STABILITY_SEQUENCES = """
    blackswan camel car-roundabout car-shadow cows drift-straight kite-surf paragliding-launch
    scooter-black soapbox

    bear boat bus car-turn dance-jump drift-turn elephant flamingo hike hockey kite-walk
    mallard-water motocross-bumps rhino stroller surf train
"""
DAVIS16 = Protocol(
    name="davis16",
    source="https://davischallenge.org/davis2016/code.html",
    layout=load_folders,
    # The archive of 2016 has no lists of sequences, but lists of frames for each resolution.
    lists=(
        "ImageSets/2016/{split}.txt",
        "ImageSets/480p/{split}.txt",
        "ImageSets/1080p/{split}.txt",
    ),
    flags=frozenset({"split", "resolution"}),
    foreground=True,
    merge_objects=True,
    stability=frozenset(STABILITY_SEQUENCES.split()),
)
DAVIS17 = Protocol(
    name="davis17",
    source="https://davischallenge.org/davis2017/code.html",
    layout=load_folders,
    lists=("ImageSets/2017/{split}.txt",),
    flags=frozenset({"split", "resolution"}),
)
DAVIS17_TESTDEV = replace(
    DAVIS17,
    name="davis17-testdev",
    splits={"val": "test-dev"},
    annotated="first",
    submission="{sequence}/{frame}.png",
)
DAVIS17_UNSUPERVISED = replace(
    DAVIS17,
    name="davis17-unsupervised",
    source="https://davischallenge.org/davis2017/code.html#unsupervised",
    annotations="Annotations_unsupervised",
    first_mask_given=False,
    # Foreground against background is one proposal, which counts for the object it fits best.
    foreground=True,
    skipped=(0, 0),
    ignore_void=True,
    max_proposals=20,
    match=best_assignment,
)
PROTOCOLS = (DAVIS16, DAVIS17, DAVIS17_TESTDEV, DAVIS17_UNSUPERVISED)
