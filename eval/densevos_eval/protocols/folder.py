"""One's own frames and masks: a folder of each per sequence, with or without lists of names."""

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    layout=load_folders,
    lists=("ImageSets/{split}.txt", "ImageSets/2017/{split}.txt", "ImageSets/2016/{split}.txt"),
    list_required=False,
    flags=frozenset({"split", "resolution"}),
    foreground=True,
    annotated="any",
)
PROTOCOLS = (FOLDER,)
