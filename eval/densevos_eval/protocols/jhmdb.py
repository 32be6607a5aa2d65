"""JHMDB: frames, joints and splits of 21 actions.

The metric `joints` follows the rule of published numbers. `--metric joints-box` instead measures
distances relative to the longest side of the box, and counts lost joints as wrong.
"""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden
from densevos.base.text import read_list
from densevos_eval.protocols.layout import need_consecutive, need_file, need_folder, need_frames
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

TEST = "2"  # Marks test videos in the lists; 1 marks training videos.


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the test videos CLASS/VIDEO of a split; see protocol.Layout.

    The splits are `split1` to `split3`.
    """
    pattern = protocol.lists[0].format(split=split)
    hint = (
        f"{protocol.name} needs {protocol.images}/CLASS/VIDEO/00001.png,"
        f" {protocol.annotations}/CLASS/VIDEO/joint_positions.mat"
        f" and {pattern.replace('*', 'CLASS')} below --root (from {protocol.source})"
    )
    for folder in (root, root / protocol.images, root / protocol.annotations):
        need_folder(folder, hint)

    # Each action has a list of its own for each split.
    chosen = names or _test_videos(root / pattern, hint)
    return [_sequence(protocol, root, name, hint) for name in chosen]


def _test_videos(pattern: Path, hint: str) -> list[str]:
    """Names of the test videos in all lists of this pattern, in which * is the class."""
    need_folder(pattern.parent, hint)
    lists = sorted(file for file in pattern.parent.glob(pattern.name) if not is_hidden(file.name))
    if not lists:
        raise InputError(f"{str(pattern).replace('*', 'CLASS')}: file is missing; {hint}")

    # Folders of videos lie below those of their actions, so names include the action.
    names = []
    for file in lists:
        action = file.name.removesuffix(pattern.name.removeprefix("*"))
        for line in read_list(file, hint):
            # A line is VIDEO.avi and the part of the split that the video belongs to.
            entry = line.split()
            if entry[1:] == [TEST]:
                names.append(f"{action}/{entry[0].removesuffix('.avi')}")

    if not names:
        raise InputError(f"{pattern}: these lists name no test video (VIDEO.avi {TEST}); {hint}")

    return names


def _sequence(protocol: Protocol, root: Path, name: str, hint: str) -> VideoSequence:
    images = root / protocol.images / name
    joints = root / protocol.annotations / name / "joint_positions.mat"

    # Joints belong to frames by their order, so no frame may be missing.
    frame_names = need_frames(images, hint)
    need_consecutive(images, frame_names, hint)
    need_file(joints, hint)

    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        joints=joints,
        frame_size=protocol.frame_size,
    )


JHMDB = Protocol(
    name="jhmdb",
    source="http://jhmdb.is.tue.mpg.de",
    layout=load,
    images="Rename_Images",
    annotations="joint_positions",
    lists=("splits/*_test_{split}.txt",),
    splits={"val": "split1"},
    frame_size=(320, 320),  # As in Jabri et al., NeurIPS 2020, whatever the aspect.
    measure="joints",
)
PROTOCOLS = (JHMDB,)
