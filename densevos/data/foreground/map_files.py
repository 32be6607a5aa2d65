"""Files of foreground maps: one PNG per frame, or one archive of them per video.

A map is an indexed PNG: 0 background, 1 foreground, 255 uncertain.
"""

import io
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.masks import VOID, ids_of, read_mask
from densevos.base.names import is_png
from densevos.base.png import plain_png


@dataclass(frozen=True)
class MapFolder:
    """Maps of many videos: ROOT/VIDEO/FRAME.png, or FRAME.png in ROOT/VIDEO.zip.

    Archives exist because 300,000 videos of 300 frames would be 90 million files. Any map of an
    archive can be read by its name. Archives store the PNG files without further compression.
    """

    root: Path

    def archive(self, video: str) -> Path:
        """Path of the archive of a video's maps."""
        return self.root / f"{video}.zip"

    def loose(self, video: str) -> Path:
        """Path of the folder of a video's maps that are not in an archive."""
        return self.root / video

    def to_be_packed(self, video: str) -> Path:
        """Path of the folder that holds a video's new maps until they are packed."""
        return self.root / f".{video}.part"

    def frames(self, video: str) -> set[str]:
        """Names of the frames of a video that have a map; maps that wait to be packed do not count.

        Raises:
            InputError: The video's archive is damaged.
        """
        return _stems(self.loose(video)) | self._archived(video)

    def read(self, video: str, frames: Sequence[str]) -> list[np.ndarray]:
        """Read the maps of frames of a video.

        Args:
            video: Name of the video.
            frames: Names of the frames.

        Returns:
            One map [H,W] uint8 for each frame.

        Raises:
            InputError: A map is missing or damaged, or holds anything but 0, 1 and 255. The message
                names the map.
        """
        if not self.archive(video).is_file():
            return [read_map(self.loose(video) / f"{frame}.png") for frame in frames]

        with _opened(self.archive(video)) as archive:
            return [self._read_archived(archive, video, frame) for frame in frames]

    def pack(self, video: str) -> None:
        """Move the maps that wait to be packed into the video's archive.

        Maps that the archive holds already are kept, unless a waiting map has the same name.

        Raises:
            InputError: The video's archive is damaged.
        """
        # Without waiting maps the archive stays as it is.
        folder = self.to_be_packed(video)
        archived = self._archived(video)
        files = sorted(folder.glob("*.png")) if folder.is_dir() else []

        if files:
            # The archive is written anew, so that a stop leaves the earlier one as it was. ZipInfo
            # without a date makes the bytes the same in every run.
            with atomic_write(self.archive(video)) as target, zipfile.ZipFile(target, "w") as made:
                if archived:
                    # A waiting map is newer than one of the same name in the archive.
                    kept = archived - {file.stem for file in files}
                    with _opened(self.archive(video)) as earlier:
                        for frame in sorted(kept):
                            name = f"{frame}.png"
                            made.writestr(zipfile.ZipInfo(name), earlier.read(name))

                for file in files:
                    made.writestr(zipfile.ZipInfo(file.name), file.read_bytes())

        # Only after the archive is complete: a stop before this repeats the packing and loses
        # nothing.
        shutil.rmtree(folder, ignore_errors=True)

    def _archived(self, video: str) -> set[str]:
        """Names of the frames whose maps are in the video's archive."""
        if not self.archive(video).is_file():
            return set()
        with _opened(self.archive(video)) as archive:
            return {name.removesuffix(".png") for name in archive.namelist() if is_png(name)}

    def _read_archived(self, archive: zipfile.ZipFile, video: str, frame: str) -> np.ndarray:
        name = f"{frame}.png"
        title = f"{self.archive(video)}/{name}"
        try:
            content = archive.read(name)
        except KeyError:
            # A run without --pack may have made this map before the others were packed.
            loose = self.loose(video) / name
            if loose.is_file():
                return read_map(loose)
            raise InputError(f"{title}: mask is missing") from None
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{title}: mask cannot be read ({error}); write it again") from error

        return _checked(_decoded(content, title), title)


def read_map(path: Path) -> np.ndarray:
    """Read a foreground map, [H,W] uint8.

    Raises:
        InputError: The file is missing or damaged, or holds anything but 0, 1 and 255.
    """
    return _checked(read_mask(path), str(path))


def waiting(maps: MapFolder, video: str) -> set[str]:
    """Names of the frames of a video whose maps wait to be packed."""
    return _stems(maps.to_be_packed(video))


def _checked(ids: np.ndarray, title: str) -> np.ndarray:
    """The map itself; InputError if it holds anything but 0, 1 and 255."""
    # Object ids of a segmentation mask are a likely mistake here.
    strange = (ids > 1) & (ids != VOID)
    if strange.any():
        other = ids[strange][0]
        raise InputError(
            f"{title}: holds {other}; foreground is 1, background 0 and uncertain 255: save the map"
            " with these values"
        )

    return ids


def _decoded(content: bytes, title: str) -> np.ndarray:
    """The ids [H,W] uint8 of a PNG file's bytes."""
    # Maps that this package wrote are decoded without Pillow, which is slower.
    plain = plain_png(content)
    if plain is not None:
        return plain

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:  # Pillow lets through many kinds of errors.
        raise InputError(f"{title}: mask cannot be read ({error}); write it again") from error

    return ids_of(image, title)


def _stems(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.png")} if folder.is_dir() else set()


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{archive}: archive of maps cannot be read ({error}); remove it and make it again"
        ) from error
