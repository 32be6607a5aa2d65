"""Where foreground maps lie: a PNG a frame, or an archive a video. A map is an indexed PNG: 0, 1,
255 unknown.
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
    """Maps of many videos: ROOT/VIDEO/FRAME.png, or FRAME.png in ROOT/VIDEO.zip, which is not
    compressed further.

    300,000 videos of 300 frames would be 90 million files. In an archive any map is read by its
    name.
    """

    root: Path

    def archive(self, video: str) -> Path:
        """The archive of a video's maps."""
        return self.root / f"{video}.zip"

    def loose(self, video: str) -> Path:
        """The folder of a video's maps."""
        return self.root / video

    def to_be_packed(self, video: str) -> Path:
        """The folder in which maps wait until all are there that go into the archive."""
        return self.root / f".{video}.part"

    def frames(self, video: str) -> set[str]:
        """Names of the frames of a video that have a map; empty if there are none.

        Raises:
            InputError: The video's archive is damaged.
        """
        return _stems(self.loose(video)) | self._archived(video)

    def read(self, video: str, frames: Sequence[str]) -> list[np.ndarray]:
        """Maps [H,W] uint8 of frames of a video, by the names of the frames.

        Raises:
            InputError: One is missing or damaged, or holds anything but 0, 1 and 255. The message
                names it.
        """
        if not self.archive(video).is_file():
            return [read_map(self.loose(video) / f"{frame}.png") for frame in frames]

        with _opened(self.archive(video)) as archive:
            return [self._read_archived(archive, video, frame) for frame in frames]

    def pack(self, video: str) -> None:
        """Put the maps that wait to be packed into the video's archive, which may have others
        already.
        """
        folder, archived = self.to_be_packed(video), self._archived(video)
        files = sorted(folder.glob("*.png")) if folder.is_dir() else []
        if files:
            with atomic_write(self.archive(video)) as target, zipfile.ZipFile(target, "w") as made:
                if archived:
                    with _opened(self.archive(video)) as earlier:
                        for frame in sorted(archived - {file.stem for file in files}):
                            made.writestr(
                                zipfile.ZipInfo(f"{frame}.png"), earlier.read(f"{frame}.png")
                            )

                for file in files:
                    made.writestr(zipfile.ZipInfo(file.name), file.read_bytes())

        shutil.rmtree(folder, ignore_errors=True)

    def _archived(self, video: str) -> set[str]:
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
            if (loose := self.loose(video) / name).is_file():  # made before the others were packed
                return read_map(loose)
            raise InputError(f"{title}: mask is missing") from None
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{title}: mask cannot be read ({error}); write it again") from error

        return _checked(_decoded(content, title), title)


def read_map(path: Path) -> np.ndarray:
    """A foreground map [H,W] uint8; InputError when it holds anything but 0, 1 and 255."""
    return _checked(read_mask(path), str(path))


def waiting(maps: MapFolder, video: str) -> set[str]:
    """Names of the frames whose maps wait to be packed."""
    return _stems(maps.to_be_packed(video))


def _checked(ids: np.ndarray, title: str) -> np.ndarray:
    strange = (ids > 1) & (ids != VOID)
    if strange.any():
        other = ids[strange][0]
        raise InputError(
            f"{title}: holds {other}; foreground is 1, background 0, and 255 unknown: save the map so"
        )

    return ids


def _decoded(content: bytes, title: str) -> np.ndarray:
    plain = plain_png(content)
    if plain is not None:
        return plain

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over.
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
