"""densevos-eval info | features: what an encoder is, and what it computes of a video."""

from itertools import islice
from pathlib import Path
from typing import Literal

import tyro

from densevos.base.errors import InputError
from densevos.base.files import made_folder
from densevos.data.sources.source import iterate_frames
from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.presets.describe import preset_facts
from densevos_eval.presets.options import PresetName
from densevos_eval.presets.registry import PRESETS
from densevos_eval.sequences.own_video import own_video


def info(
    encoder: tyro.conf.Positional[str | None] = None,
    layer: str | None = None,
    weights_of: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    positions: Positions | None = None,
    scale: float = 1,
    preset: PresetName | None = None,
) -> None:
    """Print what an encoder is, or what a preset is and which numbers were published with it.

    Of an encoder: kind, architecture, layers, stride, normalisation, file, and how it was trained.
    Of a preset: its source, every switch as the option that sets it, published numbers, and what
    changes on other benchmarks.

    Args:
        encoder: As --encoder of propagate takes it.
        layer: Features that are compared; the encoder's usual ones when left out.
        weights_of: Network to take from a weights file that holds several, such as teacher or
            encoder_q.
        mean: Mean of R, G and B in 0 to 1, subtracted from frames; that of the weights when left
            out.
        std: Standard deviation of R, G and B in 0 to 1, by which frames are divided; that of the
            weights when left out.
        positions: How a vision transformer interpolates its position embeddings to the size of a
            frame; timm when left out.
        scale: Frames are resized by this factor before they are encoded.
        preset: A published protocol, as --preset of propagate takes it.
    """
    if encoder is None and preset is None:
        raise InputError("info: name an encoder, or a protocol with --preset")

    from densevos_eval.base.facts import as_lines

    # A preset alone needs no encoder to be loaded.
    if preset is not None:
        print("\n".join(as_lines(preset_facts(PRESETS[preset]))))
    if encoder is not None:
        # This module loads torch, which a wrong option must not wait for.
        from densevos_eval.adapters.describe import facts

        # A description encodes one small frame, for which a CPU is fast enough.
        options = EncoderOptions(
            encoder=encoder,
            layer=layer,
            weights_of=weights_of,
            mean=mean,
            std=std,
            positions=positions,
            scale=scale,
            device="cpu",
        )
        print("\n".join(as_lines(facts(options.load()))))


def features(
    video: tyro.conf.Positional[Path],
    encoder: EncoderOptions,
    out: Path,
    start: str | None = None,
    end: str | None = None,
    step: int = 1,
    max_side: int | None = None,
    number: Literal["float16", "float32"] = "float16",
    overwrite: bool = False,
) -> None:
    """Write the features of every frame of a video to an .npz file.

    It holds `features` [T,C,h,w], of length 1 in every cell; `frames`, their names; `stride`;
    `frame_size` and `encoded_size` [H,W]; `encoder` and `layer`. Memory does not grow with the
    video: frames are written one by one.

    Args:
        video: A video file or a folder of frames.
        encoder: What computes the features.
        out: The file: features.npz.
        start: First frame to use: its number, or seconds such as 3.5s.
        end: Last frame to use.
        step: Take only every so many frames, from the first one on.
        max_side: Encode frames with a longer side at this size, in pixels; as they are when left
            out.
        number: Type of the features; float16 takes half the space.
        overwrite: Replace the file.
    """
    # Every mistake is an error before the encoder is loaded.
    if step < 1:
        raise InputError(f"--step: must be 1 or more frames, is {step}")
    if max_side is not None and max_side < 1:
        raise InputError(f"--max-side: must be 1 or more pixels, is {max_side}")
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the file, such as {out / 'features.npz'}")
    if out.resolve() == video.resolve():
        raise InputError(f"{out}: is the video itself; choose another --out")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists; pass --overwrite, or choose another --out")

    # Features need frames only, so the video has no masks here.
    sequence = own_video(video, None, start=start, end=end)
    names = sequence.frame_names[::step]
    reader = sequence.frames()
    # All frames of a video share one size, so the first one decides the encoder's scale.
    size = reader.read([0])[0].shape[:2]

    from densevos_eval.adapters.feature_file import write_features
    from densevos_eval.base.progress import frame_progress, run_header
    from densevos_eval.propagation.propagator import fitted

    # The scale depends on the frame's size, so the network is fitted to this video.
    made_folder(out.parent)
    network = fitted(encoder.load(), size, max_side)
    facts = {"encoder": network.name, "layer": network.layer, "device": str(network.device)}
    header = run_header("features", 1, len(names), facts, f"into {out}")

    with frame_progress(len(names), "features", header) as on_frame:
        shape = write_features(
            out,
            network,
            # Frames are decoded in order, because seeking is slow in a video file.
            islice(iterate_frames(reader), 0, None, step),
            names,
            size,
            number=number,
            on_frame=lambda: on_frame("features"),
        )

    # The user learns the size of the arrays without opening the file.
    count, channels, height, width = shape
    print(
        f"{out}: {count} frames, {channels} channels, {height}x{width} cells of {network.stride} "
        f"pixels"
    )
