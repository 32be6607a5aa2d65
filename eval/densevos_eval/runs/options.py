"""Options of every command that writes masks: where they go, and how the run is spread and
resumed.
"""

from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.parallel import check_workers, shard_of
from densevos_eval.sequences.sequence import VideoSequence


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where masks go, and how the run is spread over processes and machines."""

    out: Path
    """Folder for the masks."""
    overwrite: bool = False
    """Empty the output folder first if it holds files."""
    resume: bool = False
    """Go on with the run in the output folder, if there is one: finished sequences are kept,
    unfinished ones are redone, and other settings or inputs are an error. If masks of a --video
    have changed, propagate computes only the frames again that they can reach."""
    workers: int | None = None
    """Number of processes that share the sequences, on several GPUs in turn. Without this option
    there is one for each GPU; zero-shot segmentation with a CRF uses one for each CPU core, but at
    most four for each GPU."""
    shard: str | None = None
    """Process only part I of N of the sequences: 1/4, 2/4 and so on, each perhaps on another
    machine. Shards may share one output folder, since each goes on with what is there
    (--resume)."""
    fps: float | None = None
    """Frame rate of the movie of a --video; without this option it is that of the video, or 24 for
    a folder of frames."""

    def __post_init__(self) -> None:
        check_workers(self.workers)
        check_fps(self.fps)

    def sequences(self, every: list[VideoSequence]) -> list[VideoSequence]:
        """The sequences of this shard."""
        return shard_of(every, self.shard, lambda sequence: len(sequence.frame_names))

    def check_movie(self, movie: bool) -> None:
        """Raise InputError for a frame rate where there is no movie."""
        if self.fps is not None and not movie:
            raise InputError(
                "--fps: is for the movie of a --video; leave it out, densevos-eval show draws benchmarks"
            )


def check_fps(fps: float | None) -> None:
    """Raise InputError for what is no frame rate of a movie."""
    if fps is not None and not 0 < fps < float("inf"):
        raise InputError(f"--fps: must be above 0, is {fps:g}")
