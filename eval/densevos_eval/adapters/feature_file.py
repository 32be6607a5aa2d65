"""Features of a video as an .npz file, written frame by frame: memory does not grow with the length
of the video.
"""

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

    The file holds `features` [T,C,h,w], of length 1 in every cell unless the encoder says
    otherwise; `frames` [T], the names of the frames; `stride`, the pixels that a cell is wide;
    `frame_size` [H,W]; `encoded_size` [H,W], that which frames were resized to, and of which cell
    (y,x) covers pixels (y,x) * stride and on; `encoder` and `layer`, names.

    Args:
        path: The file, of any suffix; it appears when it is complete.
        encoder: What computes the features.
        frames: T frames [H,W,3] uint8 RGB.
        names: T names.
        size: H and W of the frames.
        number: Type of the features.
        on_frame: Called after each frame.

    Returns:
        The shape T, C, h, w.

    Raises:
        InputError: A frame cannot be read or encoded, or there are fewer than names.
    """
    facts = {
        "frames": np.array(names),
        "stride": np.array(encoder.stride),
        "frame_size": np.array(size),
        "encoded_size": np.array(encoder.sizes(size).encoded),
        "encoder": np.array(encoder.name),
        "layer": np.array(encoder.layer),
    }

    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, value in facts.items():
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, value, allow_pickle=False)

        with archive.open("features.npy", "w", force_zip64=True) as member:
            shape = _stream(
                member, encoder.stream().over(frames), len(names), np.dtype(number), on_frame
            )

    return shape


def _stream(
    member: IO[bytes],
    features: Iterable[Tensor],
    count: int,
    number: np.dtype,
    on_frame: Callable[[], object],
) -> tuple[int, int, int, int]:
    """Write `count` features [C,h,w] one after another as an array [count,C,h,w]; return that
    shape.
    """
    written, shape = 0, (0, 0, 0)
    for one in features:
        values = np.ascontiguousarray(one.cpu().numpy(), number)
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

    if written != count:
        raise InputError(f"video: has {written} frames where {count} were announced; re-encode it")

    return count, *shape
