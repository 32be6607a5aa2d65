"""Output folders that a repeated command continues; a record in the folder keeps its settings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import new_folder, write_json


def open_resumable(
    out: Path,
    name: str,
    settings: Mapping[str, object],
    *,
    kind: str,
    overwrite: bool,
    inputs: Sequence[Path],
) -> None:
    """Make a folder with a record of its settings, or check the record of an existing folder.

    Args:
        out: The folder.
        name: Name of the record, a JSON file.
        settings: All settings that affect the content.
        kind: What the content is, for messages; for example, maps.
        overwrite: Empty the folder first.
        inputs: Files and folders that are read, and so must not be deleted.

    Raises:
        InputError: The folder holds something else, or content made with other settings.
    """
    # Through JSON, so that tuples compare equal to the lists that are read.
    record = json.loads(json.dumps(settings))
    file = out / name
    # A folder without a record is new or of something else, which new_folder refuses.
    if overwrite or not file.is_file():
        new_folder(out, overwrite=overwrite, inputs=inputs)
        write_json(file, record)
        return

    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{file}: is no record of {kind} ({error}); choose another --out or pass --overwrite"
        ) from error

    # A setting may be missing in either record.
    changed = []
    for key in sorted({*record, *earlier}):
        if record.get(key) != earlier.get(key):
            changed.append(key)

    # Content of two settings in one folder could not be told apart later.
    if changed:
        raise InputError(
            f"{out}: its {kind} were made with another {', '.join(changed)} ({name});"
            " choose another --out or pass --overwrite"
        )


def check_shard_alone(shard: str | None, *, overwrite: bool) -> None:
    """Refuse a shard that would empty the folder to which other shards write.

    Args:
        shard: "I/N", or None.
        overwrite: Whether to empty the folder.

    Raises:
        InputError: Both are given.
    """
    if shard is not None and overwrite:
        raise InputError(
            f"--shard {shard}: with --overwrite it would delete what other shards wrote; "
            "empty --out first"
        )
