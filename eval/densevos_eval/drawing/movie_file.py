"""Write pictures as a movie that every player and browser shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

X264 = {"crf": "15"}
"""Quality of the encoder, low is better: contours and small text stay sharp."""

INDEX_FIRST = {"movflags": "+faststart"}
"""The index at the start of the file: browsers then play it while it loads."""


class MovieWriter:
    """Encodes pictures as they come.

    Args:
        container: The file that PyAV writes.
        fps: Pictures per second.
    """

    def __init__(self, container: Any, fps: float):
        self._container, self._fps = container, fps
        self._stream: Any = None

    def append_data(self, picture: np.ndarray) -> None:
        """Encode one picture [H,W,3] uint8; all have the same size, with even sides."""
        # The libraries of FFmpeg are slow to load, and most commands write no movie.
        import av

        # The size of the movie is that of its first picture.
        if self._stream is None:
            rate = Fraction(self._fps).limit_denominator(1001)  # 29.97 is 30000/1001
            self._stream = self._container.add_stream("libx264", rate=rate, options=X264)
            self._stream.height, self._stream.width = picture.shape[:2]
            self._stream.pix_fmt = "yuv420p"

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write the pictures that the encoder still buffers."""
        # A movie without pictures has no stream.
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))


@contextmanager
def movie(path: Path, fps: float) -> Iterator[MovieWriter]:
    """A context that writes an MP4 (H.264 in yuv420p), which appears when it is complete.

    Args:
        path: The movie's file.
        fps: Pictures per second.

    Yields:
        A writer; its pictures must have even sides, see `overlay.even`.
    """
    import av

    # The number of the process keeps two runs from writing the same hidden file.
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    try:
        with av.open(str(aside), "w", options=INDEX_FIRST) as container:
            writer = MovieWriter(container, fps)
            yield writer
            writer.finish()

        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
