"""Open what a user names: a folder, list, video file, index, or a source of the user's own code."""

import warnings
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos.data.sources.folder_tree import folder_tree
from densevos.data.sources.indexed import indexed_source, left_out
from densevos.data.sources.paths import PathSource
from densevos.data.sources.shards import is_shards, open_shards
from densevos.data.sources.source import VideoSource
from densevos.data.sources.video_file import VIDEO_SUFFIXES
from densevos.data.sources.video_list import video_list

INDEX_SUFFIX = ".npz"


def open_source(spec: Path | str, flag: str = "--data") -> VideoSource:
    """Open the videos that `spec` names.

    Args:
        spec: One of

            * a folder of videos, a list or a video file, see `open_paths`;
            * FILE.npz, an index of videos, see `indexed_source`;
            * a folder that `densevos data pack` wrote;
            * `package.module:function`, a function without arguments that returns a `VideoSource`.
        flag: The option that `spec` was given to, for messages.

    Returns:
        The source.

    Raises:
        InputError: `spec` names no videos, cannot be imported, or is not a source.
    """
    # An existing path wins: a file name may hold a colon.
    if is_outside(str(spec)) and not Path(spec).exists():
        return _from_outside(str(spec), flag)
    if Path(spec).suffix == INDEX_SUFFIX:
        return _from_index(Path(spec))
    if is_shards(Path(spec)):
        return _open_shards(Path(spec))

    return open_paths(Path(spec))


def _open_shards(root: Path) -> VideoSource:
    """Open packed videos and warn about each incomplete shard."""
    # Videos in the complete shards can still be used.
    shards = open_shards(root)
    for note in shards.incomplete_shards():
        warnings.warn(note, stacklevel=3)

    return shards


def open_paths(path: Path) -> PathSource:
    """Open the frame folders and video files of `path`.

    Warns about files that are left out of a folder or may be no frames.

    Args:
        path: A folder, searched with all folders below it; a text file with one path per line; or a
            single video file.

    Returns:
        The source.

    Raises:
        InputError: `path` is missing or empty, or lists a missing file.
    """
    # A file with the suffix of a video is one video; any other file must be a list.
    if path.is_dir():
        source = folder_tree(path)
    elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        source = PathSource(path, (path,))
    elif path.is_file():
        source = video_list(path)
    else:
        raise InputError(
            f"{path}: no such data folder or list; give a folder of frame folders or video files"
        )

    # The notes may say why a folder with files holds no videos.
    if not source.videos:
        notes = "".join(f" ({note})" for note in source.notes)
        raise InputError(
            f"{path}: holds no frame folders and no video files{notes}; give a folder of videos"
        )

    # Frames that are left out by mistake must not go unnoticed.
    for note in source.notes:
        warnings.warn(note, stacklevel=2)

    return source


def _from_index(file: Path) -> VideoSource:
    source = indexed_source(file)
    if note := left_out(file, source.index):
        warnings.warn(note, stacklevel=3)
    return source


def _from_outside(spec: str, flag: str) -> VideoSource:
    function = from_outside(spec, flag)
    source = function() if callable(function) else function
    # Check the contract now: a missing method would stop the run much later.
    contract = ("names", "inputs", "__len__", "title", "open", "identity")
    lacking = [name for name in contract if name not in dir(source)]

    if lacking:
        raise InputError(
            f"{flag} {spec}: gives {type(source).__name__} without {', '.join(lacking)}; "
            "it must return a VideoSource (densevos.data.sources.source)"
        )

    if not len(source):
        raise InputError(f"{flag} {spec}: holds no videos; give a source of at least one")

    opened: VideoSource = source
    return opened
