"""Small pictures of one frame: truth, prediction, and where they disagree; as data URIs."""

# Shapes: H x W pixels of a frame; frames and pictures are [H,W,3] uint8 RGB, masks [H,W] ids.

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

# Width of a picture in pixels, and its JPEG quality: small enough to embed many in a page.
WIDTH = 320
QUALITY = 80

# Colours of the pixels in which prediction and truth differ.
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
    """Pictures of one frame, cut to its objects: truth, each result, and the first result's errors.

    Args:
        sequence: The sequence, with its truth.
        results: Title -> folder of masks.
        frame: Name of the frame.
        ignore_void: Pixels of 255 in the truth are no object.
        own_ids: Results number objects freely, so that errors show object against background only.
    """
    index = sequence.frame_names.index(frame)
    image = open_frames(sequence.source).read([index])[0]
    truth = _ids(sequence.reader(sequence.truth[index]), sequence, image)
    # Void pixels become background in truth and results alike, so that they never disagree.
    void = (truth == VOID) & ignore_void
    truth = np.where(void, 0, truth)

    masks = {}
    for title, folder in results.items():
        mask = read_mask(mask_file(folder / sequence.name, frame))
        masks[title] = np.where(void, 0, _ids(mask, sequence, image))

    # A result titled "truth" would replace the picture of the truth.
    shown = {"truth": overlay(image, truth)}
    for title, ids in masks.items():
        shown[title] = overlay(image, ids)

    # Errors are drawn of the first result only, which is the one that the page is about.
    first_title = next(iter(results))
    first = masks[first_title]
    pair = (merged(truth), merged(first)) if own_ids else (truth, first)
    shown[f"{first_title} against truth"] = disagreement(image, *pair)

    # All pictures are cut to the same part, so that they can be compared at a glance.
    objects = [truth > 0]
    objects += [ids > 0 for ids in masks.values()]
    part = close_up(np.logical_or.reduce(objects))

    return [Picture(title=title, data=data_uri(picture[part])) for title, picture in shown.items()]


def close_up(objects: np.ndarray) -> tuple[slice, slice]:
    """The part of a frame that shows all objects with some room around them.

    The part has the frame's aspect ratio and at least a third of its width, so that the reader sees
    where it is.

    Args:
        objects: [H,W] bool.

    Returns:
        Rows and columns of the part.
    """
    if not objects.any():
        return slice(None), slice(None)

    # First and last row with objects, then first and last column.
    bounds = [np.flatnonzero(objects.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    extents = []
    for (first, last), side in zip(bounds, objects.shape, strict=True):
        extents.append((last - first + 1) / side)

    # One share for both sides keeps the aspect ratio. The factor 1.4 leaves room on each side, of a
    # fifth of the objects' larger extent.
    share = min(1.0, max(1 / 3, 1.4 * max(extents)))
    parts = []
    for (first, last), side in zip(bounds, objects.shape, strict=True):
        size = max(1, round(share * side))
        # Centred on the objects, and moved inwards at the border of the frame.
        start = int(np.clip((first + last + 1 - size) // 2, 0, side - size))
        parts.append(slice(start, start + size))

    rows, columns = parts
    return rows, columns


def disagreement(frame: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The frame pale and grey, with missed, false and swapped pixels in colour.

    Args:
        frame: [H,W,3] uint8 RGB.
        truth: Ids [H,W].
        prediction: Ids [H,W].

    Returns:
        A picture [H,W,3] uint8.
    """
    # Values from 96 to 198: pale enough for the colours to stand out.
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    picture = np.repeat((96 + grey * 0.4).astype(np.uint8)[..., None], 3, axis=2)

    # The three cases exclude each other, so that their order does not matter.
    differ = truth != prediction
    picture[differ & (prediction == 0)] = MISSED
    picture[differ & (truth == 0)] = FALSE
    picture[differ & (truth > 0) & (prediction > 0)] = SWAPPED

    return picture


def data_uri(picture: np.ndarray) -> str:
    """A picture [H,W,3] uint8, scaled to a width of 320 pixels, as a JPEG inside a URI."""
    height, width = picture.shape[:2]
    small = scaled_to(picture, max(1, round(height * WIDTH / width)))
    file = io.BytesIO()
    Image.fromarray(small).save(file, format="JPEG", quality=QUALITY, optimize=True)

    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _ids(ids: np.ndarray, sequence: VideoSequence, frame: np.ndarray) -> np.ndarray:
    """The mask at the size of its frame; some benchmarks have masks of other sizes."""
    if ids.shape != frame.shape[:2]:
        # Nearest neighbour: an average of two ids would be the id of a third object.
        ids = cv2.resize(ids, frame.shape[1::-1], interpolation=cv2.INTER_NEAREST)

    return merged(ids) if sequence.merge_objects else ids
