"""What made the masks of a result, as short lines: encoder, sizes, and every setting by name."""

from collections.abc import Iterator, Mapping
from typing import Any

MAIN = ("method", "encoder", "model", "layer", "stride", "precision", "max_side")
"""Settings that every reader wants to know, in their order; those that a run lacks are left out."""

USUAL = {"precision": "fp32", "stride": 8}
"""Values that need not be said in a short line."""


def summary(made_with: Mapping[str, Any]) -> list[str]:
    """The main settings, a few words each: the encoder by its name, others with theirs before
    them.
    """
    facts = []
    for name in MAIN:
        value = made_with.get(name)
        if value is None or USUAL.get(name) == value:
            continue
        facts.append(str(value) if name == "method" else f"{name.replace('_', ' ')} {value}")

    size = _size(made_with.get("frames") or {})
    return [*facts, *([size] if size else []), *_search(made_with.get("propagation") or {})]


def listed(made_with: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Every setting that has a value, by its name; those of a group as GROUP.NAME."""
    found: dict[str, str] = {}
    for name, value in made_with.items():
        title = f"{before}{name}"
        if isinstance(value, Mapping):
            found.update(listed(value, f"{title}."))
        elif value is not None:
            found[title] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    return found


def _size(frames: Mapping[str, Any]) -> str | None:
    """The size that frames were resized to; None where they were not."""
    for name in ("frame_size", "short_side", "long_side"):
        if frames.get(name):
            return f"{name.replace('_', ' ')} {frames[name]}"

    return None


def _search(propagation: Mapping[str, Any]) -> Iterator[str]:
    """What label propagation looks at."""
    for name in ("context", "radius", "topk", "temperature"):
        if name in propagation:
            yield f"{name} {propagation[name]}"
