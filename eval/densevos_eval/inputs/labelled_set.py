"""Options for a labelled set of images or videos: SET:ROOT, and how it is read."""

from dataclasses import dataclass, fields

from densevos.base.errors import InputError
from densevos.config.sets import SetOptions
from densevos.data.segmentation.segmentation_set import SegmentationSet
from densevos.data.segmentation.sets.registry import open_set


@dataclass(frozen=True, kw_only=True)
class ChosenSet(SetOptions):
    """A labelled or unlabelled set, and how it is read."""

    set: str | None = None
    """Set to read, as SET:ROOT, such as camvid:/data/CamVid; SET names the layout of the files
    below ROOT."""
    split: str = "val"
    """Name of the part of the set or benchmark; most benchmarks list its sequences in ImageSets."""

    def open(self, *, labels: bool = True) -> SegmentationSet:
        """Open the set.

        Args:
            labels: Whether its labels are read too.

        Raises:
            InputError: No set is named, or files are missing or hold nothing that is wanted.
        """
        # The set is optional here, because score can take a benchmark instead.
        if self.set is None:
            raise InputError(
                "--set: is missing; name a set as SET:ROOT, such as camvid:/data/CamVid"
            )

        # How a set is read is the same for training and scoring, so the options are shared.
        options = {option.name: getattr(self, option.name) for option in fields(SetOptions)}
        return open_set(self.set, labels=labels, **options)
