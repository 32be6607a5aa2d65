"""Write the features of a video to an .npz file.

They are written frame by frame, so memory does not grow with the length of the video.
"""

# Shapes: T frames, H x W pixels of a frame, C channels of a feature, h x w cells of a feature map.

import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.base.sizes import Size

Number = Literal["float16", "float32"]


def write_features(
    path: Path,
    encoder: Encoder,
    frames: Iterable[np.ndarray],
    names: Sequence[str],
    size: Size,
    *,
    number: Number = "float16",
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[int, int, int, int]:
    """Write the features of the frames of one video to an .npz file.

    The file holds these arrays:

    * `features` [T,C,h,w], of length 1 in every cell unless the encoder has `unit` off;
    * `frames` [T], the names of the frames;
    * `stride`, the width of a cell in pixels;
    * `frame_size` [2], H and W of the frames;
    * `encoded_size` [2], H and W to which they were resized: cell (y,x) covers the pixels from
      (y,x) * stride on;
    * `encoder` and `layer`, names.

    Args:
        path: The file, of any suffix. It appears when it is complete.
        encoder: Computes the features.
        frames: T frames [H,W,3] uint8 RGB.
        names: T names.
        size: H and W of the frames.
        number: Type of the features.
        on_frame: Called after each frame.

    Returns:
        The shape (T, C, h, w).

    Raises:
        InputError: A frame cannot be read or encoded, or there are fewer frames than names.
    """
    facts = {
        "frames": np.array(names),
        "stride": np.array(encoder.stride),
        "frame_size": np.array(size),
        "encoded_size": np.array(encoder.sizes(size).encoded),
        "encoder": np.array(encoder.name),
        "layer": np.array(encoder.layer),
    }

    # An .npz file is a zip archive with an .npy file for each array.
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, value in facts.items():
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, value, allow_pickle=False)

        # Without force_zip64 a file of more than 2 GB could not be written as a stream.
        with archive.open("features.npy", "w", force_zip64=True) as member:
            features = encoder.stream().over(frames)
            shape = _write_array(member, features, len(names), np.dtype(number), on_frame)

    return shape


def _write_array(
    member: IO[bytes],
    features: Iterable[Tensor],
    count: int,
    number: np.dtype,
    on_frame: Callable[[], object],
) -> tuple[int, int, int, int]:
    """Write `count` features [C,h,w] as an array [count,C,h,w]; return that shape."""
    written, shape = 0, (0, 0, 0)
    for features_of_frame in features:
        values = np.ascontiguousarray(features_of_frame.cpu().numpy(), number)

        # The first frame tells C, h and w, so the header comes now.
        if not written:
            shape = values.shape
            header = {
                "descr": npy.dtype_to_descr(number),
                "fortran_order": False,
                "shape": (count, *shape),
            }
            npy.write_array_header_1_0(member, header)

        member.write(values.data)
        written += 1
        on_frame()

    # The header already states the number of frames, so a short file would be damaged.
    if written != count:
        raise InputError(f"video: has {written} frames where {count} were announced; re-encode it")

    return count, *shape
