"""Every sequence of a run: what is whole stays as it is, the others are shared out, the broken ones come back."""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Sequence as Several

from densevos.base.parallel import BROKEN, Broken, OnStep, check_any, each
from densevos_eval.sequences import Sequence

Write = Callable[[Sequence, OnStep], None]


def write_every(
    sequences: list[Sequence],
    write: Write,
    *,
    whole: Collection[str] = (),
    broken: Mapping[str, Broken] | None = None,
    processes: Several[Callable[[], Write]] = (),
    on_frame: OnStep = lambda name: None,
) -> dict[str, Broken]:
    """Call write(sequence, on_frame) for every sequence, and return the reasons of those without a result, by name.

    whole: names of the sequences that have their result already. broken: reasons that are known before.
    processes: makers of such a function, each called in a process of its own that works on a sequence at a time;
        `write` itself is not called then.
    on_frame: called with the sequence's name after each of its frames, and as often for those passed over.

    Raises the error of the first sequence if all are broken.
    """
    failed, waiting = dict(broken or {}), []
    for sequence in sequences:
        if sequence.name not in whole and sequence.name not in failed:
            waiting.append(sequence)
        else:
            for _ in sequence.frame_names:
                on_frame(sequence.name)
    if processes:
        waiting.sort(key=lambda one: -len(one.frame_names))  # A long one begun last would keep a single process busy.
    for sequence, outcome in each(write, waiting, processes=processes, on_step=on_frame):
        if isinstance(outcome, BROKEN):
            failed[sequence.name] = outcome
    check_any(failed, [sequence.name for sequence in sequences])
    return failed
