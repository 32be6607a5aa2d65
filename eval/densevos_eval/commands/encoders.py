"""densevos-eval info: what an encoder is, and what a preset is."""

import tyro

from densevos.base.errors import InputError
from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.presets.describe import preset_facts
from densevos_eval.presets.options import PresetName
from densevos_eval.presets.registry import PRESETS


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

    Of an encoder: kind, architecture, layers, stride, normalisation, file, and how it was trained. Of a preset: its
    source, every switch as the option that sets it, published numbers, and what changes on other benchmarks.

    Args:
        encoder: As --encoder of propagate takes it.
        layer: Features that are compared; the encoder's usual ones when left out.
        weights_of: Network to take from a weights file that holds several, such as teacher or encoder_q.
        mean: Mean of R, G and B in 0 to 1, subtracted from frames; that of the weights when left out.
        std: Standard deviation of R, G and B in 0 to 1, by which frames are divided; that of the weights when left out.
        positions: How a vision transformer interpolates its position embeddings to the size of a frame; timm when
            left out.
        scale: Frames are resized by this factor before they are encoded.
        preset: A published protocol, as --preset of propagate takes it.
    """
    if encoder is None and preset is None:
        raise InputError("info: name an encoder, or a protocol with --preset")
    from densevos_eval.base.facts import as_lines

    if preset is not None:
        print("\n".join(as_lines(preset_facts(PRESETS[preset]))))
    if encoder is not None:
        from densevos_eval.adapters.describe import facts

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
