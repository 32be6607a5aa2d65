"""What a preset is, in facts to print."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from densevos_eval.base.sizes import size_text
from densevos_eval.presets.preset import Preset

CHECKED = {
    "run": "against the program as it ran",
    "read": "against a second implementation made from reading the program",
    "paper": "against the text of the paper",
}


def preset_facts(preset: Preset) -> dict[str, str]:
    """Title and text of each fact, in the order to be read: source, switches, published numbers,
    notes.
    """
    facts = {"preset": preset.name, "paper": preset.paper}
    if preset.program:
        facts["program"] = preset.program

    facts["checked"] = CHECKED[preset.checked]

    facts["layer"] = preset.setup.layer or "the encoder's own"
    facts["normalisation"] = "that of the encoder's weights"
    if preset.normalisation:
        mean, std = (" ".join(map(str, values)) for values in asdict(preset.normalisation).values())
        facts["normalisation"] = f"mean {mean}, std {std}"

    facts["positions"] = preset.positions or "the encoder's own"
    for config in (preset.setup.frames, preset.setup.masks, preset.setup.propagation):
        facts.update(_switches(config))

    facts["annotations"] = (
        f"scored at {size_text(preset.annotation_size)}"
        if preset.annotation_size
        else "as they are"
    )

    for one in preset.published:
        note = f" ({one.note})" if one.note else ""
        facts[f"published: {one.method}"] = f"{one.score:.1f}, {one.what}{note}"

    for number, note in enumerate(preset.notes, 1):
        facts[f"note {number}"] = note

    for dataset, variant in preset.variants.items():
        facts[f"on {dataset}"] = ", ".join(differences(variant, preset)) or "the same"

    return facts


def differences(preset: Preset, other: Preset) -> list[str]:
    """The switches of a preset that another has otherwise: `--flag value` each, in the order of
    `preset_facts`.
    """
    others = dict(_all_switches(other))
    return [f"{flag} {value}" for flag, value in _all_switches(preset) if others.get(flag) != value]


def _all_switches(preset: Preset) -> list[tuple[str, str]]:
    setup = preset.setup
    return [
        fact
        for config in (setup.frames, setup.masks, setup.propagation)
        for fact in _switches(config)
    ]


def _switches(config: Any) -> Iterator[tuple[str, str]]:
    """The flag and the value of every switch that is set."""
    for one in fields(config):
        value = getattr(config, one.name)
        if value is not None:
            yield f"--{one.name.replace('_', '-')}", f"{value}"
