"""Semantic masks on disk, and pictures of them over the frames."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from densevos.base.errors import RunError
from densevos.base.files import written_whole
from densevos.base.masks import write_mask
from densevos.base.parallel import Broken, OnStep
from densevos_eval import sequences as benchmark
from densevos_eval.devices import limit_threads, threads_of_each
from densevos_eval.drawing.legend import legend
from densevos_eval.drawing.overlay import overlay, stacked
from densevos_eval.metrics.shot_metric import SEGMENTED
from densevos_eval.runs.every import Write, write_every
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import begin, is_whole, written_sequence
from densevos_eval.segmentation.classifier import Classifier
from densevos_eval.segmentation.options import Material, ids_by_name

OVERLAYS = "overlays"  # below the folder of the masks


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done: the material, where results go, and whether they are drawn over the frames too."""

    material: Material
    out: Path
    overlays: bool = False

    @property
    def folders(self) -> list[Path]:
        """Where files go: masks to `out`, overlays to a folder within."""
        return [self.out, self.out / OVERLAYS] if self.overlays else [self.out]


def segment_to_folder(
    work: Work,
    classifier: Classifier,
    *,
    model: Path,
    overwrite: bool = False,
    resume: bool = False,
    processes: Sequence[Callable[[], Classifier]] = (),
    on_frame: OnStep = lambda name: None,
) -> dict[str, Broken]:
    """Write OUT/SHOT/FRAME.png with class ids for every frame that is asked for, and OUT/segment.json.

    With overlays OUT/overlays/SHOT/FRAME.jpg too. A shot appears when it is whole. One that fails does not end the
    others: shots without result come back with the reason.

    model: the file that `classifier` is from. resume, processes, on_frame: as in propagate_to_folder.

    Raises InputError for a folder that cannot be used, before it is touched, when the model does not know the classes,
    and when no shot has a result.
    """
    sequences = work.material.sequences
    classes = work.material.classes or classifier.classes
    ids_by_name(classifier.classes, classes)
    settings = run_settings(classifier, work.material, classes, model)
    inputs = [model, *(one.source for one in sequences)]
    begin(work.out, settings, overwrite=overwrite, resume=resume, inputs=inputs, file=SEGMENTED)
    for folder in work.folders[1:]:
        begin(folder, settings, overwrite=False, resume=True, inputs=[], file=SEGMENTED)
    done = {one.name for one in sequences if resume and all(is_whole(folder, one) for folder in work.folders)}
    threads = threads_of_each(len(processes))
    return write_every(
        sequences,
        partial(_write_shot, classifier, work),
        whole=done,
        broken=work.material.broken,
        processes=[partial(_in_process, load, work, threads) for load in processes],
        on_frame=on_frame,
    )


def run_settings(classifier: Classifier, material: Material, classes: Iterable[str], model: Path) -> dict[str, Any]:
    """What the masks of a run depend on, but for frames."""
    clips = {"gap": classifier.gap} if classifier.network.clip_frames > 1 else {}
    return {
        "method": "semantic segmentation",
        "model": str(model),
        "weights": fingerprint([model]),
        "size": classifier.size,
        **clips,
        "device": classifier.device.type,
        **material.facts,
        "classes": list(classes),
    }


def _in_process(load: Callable[[], Classifier], work: Work, threads: int) -> Write:
    limit_threads(threads)
    return partial(_write_shot, load(), work)


def _write_shot(classifier: Classifier, work: Work, sequence: benchmark.Sequence, on_frame: OnStep) -> None:
    classes = work.material.classes or classifier.classes
    ids = ids_by_name(classifier.classes, classes)
    reader = work.material.open[sequence.name]()
    places = {name: index for index, name in enumerate(sequence.frame_names)}
    wanted = [places[name] for name in sequence.written]
    try:
        with ExitStack() as opened:
            masks, *pictures = [opened.enter_context(written_sequence(folder, sequence)) for folder in work.folders]
            for index, found in classifier(reader, wanted):
                name, mask = sequence.frame_names[index], ids[found]
                write_mask(masks / f"{name}.png", mask)
                for folder in pictures:
                    _write_overlay(folder / f"{name}.jpg", reader.read([index])[0], mask, classes)
                on_frame(sequence.name)
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise RunError(f"{sequence.source}: memory is too short; run with fewer --workers or a --size") from error


def has_background(classes: Sequence[str]) -> bool:
    """Whether id 0 is what none of the others is."""
    return classes[0] == "background"


def _write_overlay(file: Path, frame: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> None:
    shown = {id: classes[id] for id in np.unique(mask).tolist()}
    with written_whole(file) as opened:
        picture = stacked([overlay(frame, mask, background=has_background(classes)), legend(shown, frame.shape[1])])
        Image.fromarray(picture).save(opened, format="JPEG", quality=90)
