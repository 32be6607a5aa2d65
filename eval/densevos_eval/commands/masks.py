"""densevos-eval propagate | zeroshot | segment | frame: videos become masks."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.files import check_kept
from densevos.data.segmentation.sets.registry import parse_spec
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.inputs.footage import Unlabelled, Videos
from densevos_eval.presets.options import PropagationOptions
from densevos_eval.runs.options import RunOptions
from densevos_eval.runs.records import SEGMENTED
from densevos_eval.segmentation.options import NetworkOptions, Pictures, SegmentationInput
from densevos_eval.sequences.sequence import VideoSequence, described_given
from densevos_eval.zeroshot.options import CrfOptions, InstanceOptions, ZeroShotOptions

if TYPE_CHECKING:
    from densevos_eval.segmentation.adaptation import Statistics


def propagate(
    videos: Videos,
    encoder: EncoderOptions,
    options: PropagationOptions,
    run: RunOptions,
    save_probabilities: bool = False,
) -> None:
    """Propagate given masks through the sequences of a benchmark (--dataset, --root) or one's own
    --video.

    Writes an indexed PNG per frame, at the frame's size, as OUT/SEQUENCE/FRAME.png, and
    OUT/propagation.json. A --video also gets OUT/SEQUENCE.mp4 with the masks drawn over it. A
    folder of masks appears when it is complete. Sequences that fail are listed at the end; all
    others are still processed.

    Of a --video the command says which colour of its masks is which object. From a mask in the
    middle, propagation goes forward and backward. A corrected mask and --resume keep the frames
    before it.

    Args:
        videos: What to propagate through.
        encoder: What computes the features.
        options: How labels are propagated.
        run: Where masks go.
        save_probabilities: Write soft masks too, 0 (no) to 255 (yes):
            OUT/SEQUENCE/probabilities/ID/FRAME.png (ID 0: the background).
    """
    # Options are checked before files are opened, and files before torch is loaded.
    setup = options.setup(videos.dataset)
    run.check_movie(videos.video is not None)
    sequences = videos.find()

    # Soft masks and --max-side have no meaning for joints.
    if (save_probabilities or videos.max_side) and any(sequence.joints for sequence in sequences):
        raise InputError(
            "--save-probabilities, --max-side: are for masks, and this propagates joints; leave "
            "them out"
        )

    # A wrong colour would be propagated through the whole video, so the user sees it first.
    if videos.video:
        _describe_masks(sequences[0])

    from densevos_eval.propagation.propagate import Propagation
    from densevos_eval.runs.runner import run as run_all

    # Each process makes its own writer on its own device, so the runner gets a function.
    load = partial(
        Propagation.loaded,
        encoder=encoder,
        setup=setup,
        max_side=videos.working_side,
        probabilities=save_probabilities,
    )
    run_all(
        "propagate", sequences, load, run, device=encoder.device, movie=videos.video is not None
    )


def _describe_masks(sequence: VideoSequence) -> None:
    """Say which colour of the given masks is which object, and what may not be meant."""
    _, painted = described_given(sequence)
    if painted:
        console.print_notes(painted.notes)
        for line in painted.warnings:
            warnings.warn(line, stacklevel=2)


def zeroshot(
    videos: Unlabelled,
    crf: CrfOptions,
    options: ZeroShotOptions,
    instances: InstanceOptions,
    run: RunOptions,
) -> None:
    """Find the primary objects of every video without a first mask: by how they move, or with a
    trained model.

    Writes an indexed PNG per frame (1: object), at the frame's size, as OUT/SEQUENCE/FRAME.png, and
    with the CRF the masks before it as OUT/no-crf/SEQUENCE/FRAME.png: both folders are results for
    score, compare and report. A --video also gets OUT/SEQUENCE.mp4. A folder of masks appears when
    it is complete. Sequences that fail are listed at the end; all others are still processed.

    With --instances every object has an id of its own, the same through the video, and
    OUT/SEQUENCE/tracks.json lists ids, first and last frames and scores. There are then no masks
    before the CRF.

    Args:
        videos: What to find objects in: a benchmark that scores foreground against background, or
            your own video.
        crf: What refines the masks.
        options: What finds the objects.
        instances: Whether and how to distinguish objects.
        run: Where masks go.
    """
    # Options that contradict one another end the command before any file is opened.
    config = crf.config()
    instances.check(videos.dataset, options)
    run.check_movie(videos.video is not None)
    sequences = videos.find()
    from densevos_eval.runs.runner import run as run_all
    from densevos_eval.runs.writer import MaskWriter
    from densevos_eval.zeroshot.instance_level import InstanceLevel
    from densevos_eval.zeroshot.object_level import ObjectLevel, usual_workers

    # With --instances every object has an id; otherwise all objects share the id 1.
    load: Callable[[str], MaskWriter] = partial(ObjectLevel.loaded, options=options, crf=config)
    if instances.instances:
        load = partial(InstanceLevel.loaded, options=options, instances=instances, crf=config)

    # The CRF runs on CPU cores, so it decides the number of processes.
    usual = usual_workers(config, len(run.sequences(sequences)))
    own = videos.video is not None
    run_all("zeroshot", sequences, load, run, device=options.device, usual_workers=usual, movie=own)


def segment(pictures: Pictures, options: NetworkOptions, run: RunOptions) -> None:
    """Tell the class of every pixel with a trained segmentation network: a set of images or videos,
    or one's own video.

    Writes an indexed PNG of class ids per frame, at the frame's size, as OUT/SEQUENCE/FRAME.png (an
    image is a sequence of one frame), and OUT/segment.json with the classes. A --video also gets
    OUT/SEQUENCE.mp4. A folder of masks appears when it is complete. Sequences that fail are listed
    at the end; all others are still processed. A network of clips sees frames as far apart as in
    training.

    Args:
        pictures: What to segment.
        options: What tells the classes.
        run: Where masks go.
    """
    run.check_movie(pictures.video is not None)
    material = pictures.load()
    console.print_notes(material.notes)
    from densevos_eval.runs.runner import run as run_all
    from densevos_eval.segmentation.segment import SemanticSegmentation

    if pictures.set is not None:
        _check_set_kept(pictures.set, run)

    # Statistics are estimated here, once, so that all processes use the same ones. Each shard
    # estimates them on the complete input, so that shards agree.
    statistics = _estimated_statistics(options, material, run) if options.adapt_statistics else None
    load = partial(
        SemanticSegmentation.loaded, options=options, material=material, statistics=statistics
    )
    own = pictures.video is not None
    run_all(
        "segment",
        material.sequences,
        load,
        run,
        device=options.device,
        movie=own,
        broken=material.broken,
    )


def _check_set_kept(spec: str, run: RunOptions) -> None:
    """Check that --overwrite deletes no part of a set, such as its labels."""
    if run.overwrite:
        roots = [parse_spec(spec)[1]]
        # An earlier run may lie in the folder of the set, and is no part of it.
        is_run = (run.out / SEGMENTED).is_file()
        check_kept(run.out, inputs=roots, sets=() if is_run else roots)


def _estimated_statistics(
    options: NetworkOptions, material: SegmentationInput, run: RunOptions
) -> "Statistics":
    """BatchNorm's statistics of the frames to segment or of --adapt-from; InputError at once for
    what would end the run later.
    """
    from densevos_eval.base.progress import frame_progress, run_header
    from densevos_eval.runs.records import check_choice
    from densevos_eval.segmentation.adaptation import (
        adapt,
        check_layers,
        frames_to_see,
        other_input,
    )
    from densevos_eval.segmentation.segment import SemanticSegmentation

    # What would end the run later must end it here, not after the estimate.
    writer = SemanticSegmentation.loaded(options.device, options=options, material=material)
    check_choice(
        run.out / writer.record, overwrite=run.overwrite, resume=run.resume or run.shard is not None
    )
    check_layers(writer.classifier, options.adapt_layers)
    run.sequences(material.sequences)

    if options.adapt_from is not None:
        clip = writer.classifier.network.clip_frames
        material = other_input(options.adapt_from, out=run.out, clip_frames=clip)
        _check_set_kept(options.adapt_from, run)
        console.print_notes(material.notes)

    # Progress counts frames: a network of clips sees several at a time.
    clips = frames_to_see(writer.classifier, material)
    frames = sum(len(clip) for each in clips.values() for clip in each)
    header = run_header("statistics", len(clips), frames, {"model": str(options.model)})
    with frame_progress(frames, "statistics", header) as on_frame:
        statistics = adapt(
            writer.classifier,
            material,
            on_frame,
            layers=options.adapt_layers,
            source=options.adapt_from,
        )

    # The run itself does not read frames of another set, so nothing else would tell of them.
    if options.adapt_from is not None:
        console.print_notes(f"--adapt-from: left out: {error}" for error in statistics.left_out)

    return statistics


def frame(video: tyro.conf.Positional[Path], out: Path, at: str | None = None) -> None:
    """Write one frame of a video, at its own size, to paint the objects over.

    Args:
        video: A video file or a folder of frames.
        out: The picture: first.png.
        at: Which frame, by its number or in seconds such as 3.5s; the first when left out.
    """
    from densevos_eval.sequences.own_video import write_frame

    print(write_frame(video, out, at))
