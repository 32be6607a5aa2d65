"""Pictures written as a movie that every player and browser shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

X264 = {"crf": "15"}
"""Quality: contours and small text stay sharp."""

INDEX_FIRST = {"movflags": "+faststart"}
"""Browsers then play it before all is loaded."""


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
        """Encode one picture [H,W,3] uint8, with even sides, and all of one size."""
        import av  # The libraries of FFmpeg take a while to load, and most commands write no movie.

        if self._stream is None:
            rate = Fraction(self._fps).limit_denominator(1001)  # 29.97 is 30000/1001
            self._stream = self._container.add_stream("libx264", rate=rate, options=X264)
            self._stream.height, self._stream.width = picture.shape[:2]
            self._stream.pix_fmt = "yuv420p"

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))


@contextmanager
def movie(path: Path, fps: float) -> Iterator[MovieWriter]:
    """A writer (`append_data` takes pictures [H,W,3] uint8 of one size) of an H.264 MP4 in yuv420p,
    for every player.

    The file appears under `path` when it is complete. Its pictures must have even sides: see
    `overlay.even`.
    """
    import av

    aside = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    try:
        with av.open(str(aside), "w", options=INDEX_FIRST) as container:
            writer = MovieWriter(container, fps)
            yield writer
            writer.finish()

        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
