"""Options of every command that writes masks: where they go, how a run is spread and resumed."""

from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.parallel import check_workers, shard_of
from densevos_eval.sequences.sequence import VideoSequence


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where masks go, and how the run is spread over processes and machines."""

    out: Path
    """Folder that the masks are written to."""
    overwrite: bool = False
    """Empty the output folder first if it holds files."""
    resume: bool = False
    """Continue the run in the output folder, if there is one: finished sequences are kept,
    unfinished ones are redone, and different settings or inputs are an error. If the masks of a
    --video have changed, propagate redoes only the frames that they can reach."""
    workers: int | None = None
    """Number of processes that share the sequences; they are spread over all GPUs. The default is
    one for each GPU; for zero-shot segmentation with a CRF it is one for each CPU core, but at most
    four for each GPU."""
    shard: str | None = None
    """Process only part I of N of the sequences, such as 1/4, so that several machines can share
    the work. Shards may share one output folder: --shard implies --resume."""
    fps: float | None = None
    """Frame rate of the movie of a --video. The default is that of the video, or 24 for a folder of
    frames."""

    def __post_init__(self) -> None:
        # Checked when options are made, so that a mistake shows before files are opened.
        check_workers(self.workers)
        check_fps(self.fps)

    def sequences(self, every: list[VideoSequence]) -> list[VideoSequence]:
        """The sequences of this shard; shards have about the same number of frames."""
        # Frames measure the work: long videos would make shards of equal counts uneven.
        return shard_of(every, self.shard, lambda sequence: len(sequence.frame_names))

    def check_movie(self, movie: bool) -> None:
        """Check that a frame rate is given only if there is a movie.

        Raises:
            InputError: There is a frame rate, but no movie.
        """
        # Only one's own video gets a movie with its masks.
        if self.fps is not None and not movie:
            raise InputError(
                "--fps: is for the movie of a --video;"
                " leave it out, densevos-eval show draws benchmarks"
            )


def check_fps(fps: float | None) -> None:
    """Check the frame rate of a movie.

    Raises:
        InputError: It is not a positive, finite number.
    """
    # Written so that NaN fails too.
    if fps is not None and not 0 < fps < float("inf"):
        raise InputError(f"--fps: must be above 0, is {fps:g}")
