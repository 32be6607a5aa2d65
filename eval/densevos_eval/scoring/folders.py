"""Which of several folders of results holds the masks of each sequence."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.metrics.metric import Named
from densevos_eval.runs.records import FILE, check_same_settings, read_settings


def located(sequences: Sequence[Named], folders: Iterable[Path]) -> dict[str, Path]:
    """Which of the folders holds the masks of each sequence; of several, each from a shard of one
    run.

    Raises InputError for a sequence that lies in two of several folders, or in none, and when those
    were not propagated with the same encoder and settings.
    """
    folders = list(folders)
    if not folders:
        raise InputError("--results: names no folder; name one that holds masks")

    for folder in folders:
        if folder.is_file():
            raise InputError(
                f"--results {folder}: is a file, not a folder of masks; unpack it if it is an archive"
            )

    first, *others = folders
    if not others:
        return {sequence.name: first for sequence in sequences}

    for other in others:
        check_same_settings(
            other / FILE, read_settings(first / FILE), f"as {first / FILE} has; score them apart"
        )

    places = {}
    for sequence in sequences:
        homes = [folder for folder in (first, *others) if (folder / sequence.name).is_dir()]
        if not homes:
            raise InputError(
                f"--results: none of the folders holds {sequence.name}; propagate its --shard first"
            )

        if len(homes) > 1:
            raise InputError(
                f"{homes[1] / sequence.name}: {homes[0]} holds this sequence too; leave one of them out"
            )

        places[sequence.name] = homes[0]

    return places
