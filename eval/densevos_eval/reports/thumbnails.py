"""Small pictures of one frame: truth, prediction, and where they disagree; as data URIs."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.base.masks import VOID, read_mask
from densevos.base.names import mask_file
from densevos.data.sources.video import open_frames
from densevos_eval.drawing.overlay import overlay, scaled_to
from densevos_eval.sequences.sequence import VideoSequence, merged

WIDTH = 320
QUALITY = 80
MISSED = (255, 176, 0)
FALSE = (0, 158, 255)
SWAPPED = (220, 38, 127)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A title and a JPEG as data URI."""

    title: str
    data: str


def thumbnails(
    sequence: VideoSequence,
    results: Mapping[str, Path],
    frame: str,
    *,
    ignore_void: bool,
    own_ids: bool,
) -> list[Picture]:
    """Truth, masks of every result (title -> folder), disagreement of the first with the truth,
    close to the objects.

    frame: name of the frame. ignore_void: pixels of 255 in the truth are no object. own_ids: the
    results number objects as they like, so that only object and background are told apart.
    """
    index = sequence.frame_names.index(frame)
    image = open_frames(sequence.source).read([index])[0]
    truth = _ids(sequence.reader(sequence.truth[index]), sequence, image)
    void = (truth == VOID) & ignore_void
    truth = np.where(void, 0, truth)
    masks = {
        title: np.where(
            void, 0, _ids(read_mask(mask_file(folder / sequence.name, frame)), sequence, image)
        )
        for title, folder in results.items()
    }
    shown = {"truth": overlay(image, truth)}
    shown |= {title: overlay(image, ids) for title, ids in masks.items()}
    first = next(iter(masks.values()))
    pair = (merged(truth), merged(first)) if own_ids else (truth, first)
    shown[f"{next(iter(results))} against truth"] = disagreement(image, *pair)
    part = close_up(np.logical_or.reduce([truth > 0, *(ids > 0 for ids in masks.values())]))

    return [Picture(title=title, data=data_uri(picture[part])) for title, picture in shown.items()]


def close_up(objects: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the part to show, in the shape of the frame: `objects` [H,W] bool with
    room around them.

    The part is at least a third of the frame wide, so that one still sees where it is.
    """
    if not objects.any():
        return slice(None), slice(None)

    bounds = [np.flatnonzero(objects.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    extent = max(
        (last - first + 1) / side for (first, last), side in zip(bounds, objects.shape, strict=True)
    )
    share = min(1.0, max(1 / 3, 1.4 * extent))
    starts_and_sizes = []

    for (first, last), side in zip(bounds, objects.shape, strict=True):
        size = max(1, round(share * side))
        starts_and_sizes.append(
            (int(np.clip((first + last + 1 - size) // 2, 0, side - size)), size)
        )

    rows, columns = (slice(start, start + size) for start, size in starts_and_sizes)
    return rows, columns


def disagreement(frame: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The frame [H,W,3] pale and grey, with pixels [H,W] of missed, false and swapped objects in
    colour.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    picture = np.repeat((96 + grey * 0.4).astype(np.uint8)[..., None], 3, axis=2)
    differ = truth != prediction
    picture[differ & (prediction == 0)] = MISSED
    picture[differ & (truth == 0)] = FALSE
    picture[differ & (truth > 0) & (prediction > 0)] = SWAPPED

    return picture


def data_uri(picture: np.ndarray) -> str:
    """The picture [H,W,3] uint8, 320 pixels wide, as a JPEG inside a URI."""
    height, width = picture.shape[:2]
    small = scaled_to(picture, max(1, round(height * WIDTH / width)))
    file = io.BytesIO()
    Image.fromarray(small).save(file, format="JPEG", quality=QUALITY, optimize=True)

    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _ids(ids: np.ndarray, sequence: VideoSequence, frame: np.ndarray) -> np.ndarray:
    """The mask at the size of its frame: in some benchmarks they differ, which scoring has
    checked.
    """
    if ids.shape != frame.shape[:2]:
        ids = cv2.resize(ids, frame.shape[1::-1], interpolation=cv2.INTER_NEAREST)

    return merged(ids) if sequence.merge_objects else ids
