"""One's own frames and masks: a folder of each per sequence, with or without lists of names."""

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    layout=load_folders,
    lists=tuple(f"ImageSets/{folder}{{split}}.txt" for folder in ("", "2017/", "2016/", "480p/", "1080p/")),
    list_required=False,
    flags=frozenset({"split", "resolution"}),
    foreground=True,
    annotated="any",
)
PROTOCOLS = (FOLDER,)
