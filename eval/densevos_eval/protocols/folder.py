"""Your own frames and masks: a folder of each per sequence, with or without lists of names.

J and F are those of vos-benchmark (github.com/hkchengrex/vos-benchmark): objects may appear in any
frame, and count from there. One convention differs: the last of sparse annotations counts too.

Propagation receives only the first annotation, so it cannot follow objects that appear later. Their
first frame is scored, so a mask given there would be scored too.
"""

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    layout=load_folders,
    # Lists may lie where the archives of DAVIS have them.
    lists=(
        "ImageSets/{split}.txt",
        "ImageSets/2017/{split}.txt",
        "ImageSets/2016/{split}.txt",
        "ImageSets/480p/{split}.txt",
        "ImageSets/1080p/{split}.txt",
    ),
    list_required=False,
    flags=frozenset({"split", "resolution"}),
    foreground=True,
    annotated="any",
    late_objects=True,
    both_ways=True,
)
PROTOCOLS = (FOLDER,)
