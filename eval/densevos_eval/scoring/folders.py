"""Find the folder of results that holds the masks of each sequence."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.metrics.metric import Named
from densevos_eval.runs.records import FILE, check_same_settings, read_settings


def located(sequences: Sequence[Named], folders: Iterable[Path]) -> dict[str, Path]:
    """Find the folder that holds the masks of each sequence.

    Args:
        sequences: The sequences to score.
        folders: Folders of masks. If there are several, each comes from a shard of the same run.

    Returns:
        Name of the sequence -> the folder that holds the folder of its masks. A single folder is
        not searched: the metric reports missing masks.

    Raises:
        InputError: There is no folder, or a file instead of one. Of several folders, two or none
            hold a sequence, or they were propagated with different encoders or settings.
    """
    folders = list(folders)
    if not folders:
        raise InputError("--results: names no folder; name one that holds masks")

    for folder in folders:
        if folder.is_file():
            raise InputError(
                f"--results {folder}: is a file, not a folder of masks;"
                " unpack it if it is an archive"
            )

    first, *others = folders
    # A single folder needs no search.
    if not others:
        return {sequence.name: first for sequence in sequences}

    # Scores of masks with different settings must not be mixed into one mean.
    settings = read_settings(first / FILE)
    for other in others:
        check_same_settings(other / FILE, settings, f"as {first / FILE} has; score them apart")

    # Shards share out the sequences, so each sequence must lie in exactly one folder.
    places = {}
    for sequence in sequences:
        homes = [folder for folder in folders if (folder / sequence.name).is_dir()]
        if not homes:
            raise InputError(
                f"--results: none of the folders holds {sequence.name}; propagate its --shard first"
            )

        if len(homes) > 1:
            raise InputError(
                f"{homes[1] / sequence.name}: {homes[0]} holds this sequence too;"
                " leave one of them out"
            )

        places[sequence.name] = homes[0]

    return places
