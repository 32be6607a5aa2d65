"""One's own frames and masks: a folder of each per sequence, with or without lists of names.

J and F are those of vos-benchmark (github.com/hkchengrex/vos-benchmark): objects may appear in any
frame, and count from there. One convention differs: of sparse annotations the last one counts too.
Propagation is given the first annotation alone, so objects that appear later are lost to it; the
frame in which an object appears counts, and a mask that was given there would be scored.
"""

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    layout=load_folders,
    lists=tuple(
        f"ImageSets/{folder}{{split}}.txt" for folder in ("", "2017/", "2016/", "480p/", "1080p/")
    ),
    list_required=False,
    flags=frozenset({"split", "resolution"}),
    foreground=True,
    annotated="any",
    late_objects=True,
    both_ways=True,
)
PROTOCOLS = (FOLDER,)
