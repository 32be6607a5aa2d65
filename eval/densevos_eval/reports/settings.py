"""What made the masks of a result, as short lines: encoder, sizes, and every setting by name."""

from collections.abc import Iterator, Mapping
from typing import Any

MAIN = ("method", "encoder", "model", "layer", "stride", "precision", "max_side")
"""Settings that every reader wants to know, in this order; a run may lack some."""

USUAL = {"precision": "fp32", "stride": 8}
"""Usual values, which a short line leaves out."""


def summary(made_with: Mapping[str, Any]) -> list[str]:
    """The main settings, a few words each: NAME VALUE, or the value alone for the method."""
    facts = []
    for name in MAIN:
        value = made_with.get(name)
        if value is None or USUAL.get(name) == value:
            continue

        # The name of a method makes sense without "method" before it.
        if name == "method":
            facts.append(str(value))
        else:
            facts.append(f"{name.replace('_', ' ')} {value}")

    # Not every method records these groups.
    # Segmentation by class records which frames it read as a word, and no size.
    frames = made_with.get("frames")
    size = _size(frames) if isinstance(frames, Mapping) else None
    if size:
        facts.append(size)

    facts.extend(_search(made_with.get("propagation") or {}))
    return facts


def listed(made_with: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Every setting that has a value, by name; settings of a group are named GROUP.NAME.

    Args:
        made_with: The settings; values may be groups of settings.
        before: Prefix of all names.
    """
    lines: dict[str, str] = {}
    for name, value in made_with.items():
        title = f"{before}{name}"
        # Groups may contain groups, so the prefix grows with each level.
        if isinstance(value, Mapping):
            lines.update(listed(value, f"{title}."))
        elif isinstance(value, list):
            lines[title] = ", ".join(map(str, value))
        elif value is not None:
            lines[title] = str(value)

    return lines


def _size(frames: Mapping[str, Any]) -> str | None:
    """The size that frames were resized to; None if they were not."""
    for name in ("frame_size", "short_side", "long_side"):
        if frames.get(name):
            return f"{name.replace('_', ' ')} {frames[name]}"

    return None


def _search(propagation: Mapping[str, Any]) -> Iterator[str]:
    """The settings of label propagation that decide where labels come from."""
    for name in ("context", "radius", "topk", "temperature"):
        if name in propagation:
            yield f"{name} {propagation[name]}"
