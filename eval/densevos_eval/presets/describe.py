"""Describes presets in lines to print."""

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
    """Collect the facts about a preset.

    Returns:
        Title -> text, in the order to print: source, settings, published scores, notes, variants.
    """
    facts = {"preset": preset.name, "paper": preset.paper}
    if preset.program:
        facts["program"] = preset.program

    facts["checked"] = CHECKED[preset.checked]

    # Every preset has the same titles, so that two of them can be compared line by line.
    facts["layer"] = preset.setup.layer or "the encoder's own"
    facts["normalisation"] = "that of the encoder's weights"
    if preset.normalisation:
        values = asdict(preset.normalisation)
        mean, std = " ".join(map(str, values["mean"])), " ".join(map(str, values["std"]))
        facts["normalisation"] = f"mean {mean}, std {std}"

    facts["positions"] = preset.positions or "the encoder's own"
    for config in (preset.setup.frames, preset.setup.masks, preset.setup.propagation):
        facts.update(_switches(config))

    facts["annotations"] = "as they are"
    if preset.annotation_size:
        facts["annotations"] = f"scored at {size_text(preset.annotation_size)}"

    for published in preset.published:
        note = f" ({published.note})" if published.note else ""
        score = f"{published.score:.1f}, {published.what}{note}"
        facts[f"published: {published.method}"] = score

    for number, note in enumerate(preset.notes, 1):
        facts[f"note {number}"] = note

    # A variant is described by its differences only.
    for dataset, variant in preset.variants.items():
        facts[f"on {dataset}"] = ", ".join(differences(variant, preset)) or "the same"

    return facts


def differences(preset: Preset, other: Preset) -> list[str]:
    """List the settings in which a preset differs from another.

    Args:
        preset: the preset whose settings are listed.
        other: the preset that it is compared with.

    Returns:
        `--flag value` for each setting, in the order of `preset_facts`.
    """
    others = dict(_all_switches(other))
    return [f"{flag} {value}" for flag, value in _all_switches(preset) if others.get(flag) != value]


def _all_switches(preset: Preset) -> list[tuple[str, str]]:
    setup = preset.setup
    switches: list[tuple[str, str]] = []
    for config in (setup.frames, setup.masks, setup.propagation):
        switches += _switches(config)

    return switches


def _switches(config: Any) -> Iterator[tuple[str, str]]:
    """The flag and the value of every setting that is not None."""
    for setting in fields(config):
        value = getattr(config, setting.name)
        if value is not None:
            yield f"--{setting.name.replace('_', '-')}", f"{value}"
