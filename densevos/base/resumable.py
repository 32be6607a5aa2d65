"""Output folders that a repeated command goes on with: a record in them says how their content is
made.
"""

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
    """Make `out` and record in OUT/NAME how its content is made; or check that what is there was
    made alike.

    Args:
        out: The folder.
        name: Name of the record, a JSON file.
        settings: All that decides what the content is like.
        kind: What the content is, for messages: maps, say.
        overwrite: Empty the folder first.
        inputs: What is read, and so must not be emptied.

    Raises:
        InputError: The folder holds anything else, or content made in another way, unless
            `overwrite`.
    """
    record = json.loads(json.dumps(settings))
    file = out / name
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

    if changed := sorted(key for key in {*record, *earlier} if record.get(key) != earlier.get(key)):
        raise InputError(
            f"{out}: its {kind} were made with another {', '.join(changed)} ({name});"
            " choose another --out or pass --overwrite"
        )


def check_shard_alone(shard: str | None, *, overwrite: bool) -> None:
    """Raise InputError for a shard that would empty the folder that others write to."""
    if shard is not None and overwrite:
        raise InputError(
            f"--shard {shard}: with --overwrite it would delete what other shards wrote; empty --out first"
        )
