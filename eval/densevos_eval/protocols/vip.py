"""VIP: the parts of people in videos, as classes of pixels.

Published numbers count the given first frame, and so does the column `mIoU`; the other column does
not. Many published numbers come from the program of CRW, which interpolates class ids when it
resizes frames that are not square. This costs it many points, so its numbers on such frames are not
comparable with those of this project.
"""

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol

VIP = Protocol(
    name="vip",
    source="https://github.com/HCPLab-SYSU/ATEN, VIP_Fine",
    layout=load_folders,
    images="Images",
    annotations="Annotations/Category_ids",
    lists=("lists/{split}_videos.txt",),
    flags=frozenset({"split", "resolution"}),
    frame_size=(560, 560),  # As in Jabri et al., NeurIPS 2020, whatever the aspect.
    measure="parts",
)
PROTOCOLS = (VIP,)
