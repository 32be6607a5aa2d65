"""Linkers by name, ready to use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.data.foreground.flow import Flow, dis_flow
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.zeroshot.linking.association import Association
from densevos_eval.zeroshot.linking.embedding import (
    Embedding,
    colour,
    pooled_over_boxes,
    pooled_over_masks,
)
from densevos_eval.zeroshot.linking.track import Linker
from densevos_eval.zeroshot.linking.unovost import UnOVOST

LINKERS = ("association", "unovost")
RAFT_WEIGHTS = "C_T_V2"
COLOUR = "colour"
"""The embedding that needs no network."""


@dataclass(frozen=True, kw_only=True)
class LinkerKind:
    """A linker, ready for any sequence."""

    linker: Linker
    settings: Mapping[str, Any]
    """What tracks depend on besides the proposals, for the record of a run."""
    inputs: Sequence[Path] = ()
    """Files that are read."""


@dataclass(frozen=True, kw_only=True)
class LoadedEmbedding:
    """What tells how proposals look, its settings for the record, and the files that it was read
    from.
    """

    embedding: Embedding | None
    settings: Mapping[str, Any]
    inputs: Sequence[Path] = ()


def load_linker(
    name: str,
    *,
    flow: str = "dis",
    flow_weights: str | None = None,
    embedding: str | None = None,
    layer: str | None = None,
    pooling: str | None = None,
    device: str = "cpu",
) -> LinkerKind:
    """The linker of this name.

    Args:
        name: One of LINKERS.
        flow: Optical flow that moves masks from frame to frame: dis or raft.
        flow_weights: Weights of RAFT: a name of torchvision or a file; None: C_T_V2.
        embedding: What tells how proposals look: colour, or an encoder; None: colour for unovost,
            and nothing for association, which then looks at overlap alone.
        layer: Layer of the encoder; None: its usual one.
        pooling: What features are pooled over, mask or box; None: mask.
        device: Where networks run.

    Raises:
        InputError: There is no such linker, or weights cannot be had.
    """
    if name not in LINKERS:
        raise InputError(f"--linking {name}: is unknown; choose one of {', '.join(LINKERS)}")

    between, flow_facts = load_flow(flow, flow_weights, device)
    if embedding is None and name == "unovost":
        embedding = COLOUR

    looks = load_embedding(embedding, layer=layer, pooling=pooling, device=device)

    linker: Linker = Association(flow=between, embedding=looks.embedding)
    if name == "unovost":
        linker = UnOVOST(flow=between, embedding=looks.embedding or colour)

    settings = {"linking": name, **flow_facts, **looks.settings, **recorded(linker)}
    return LinkerKind(linker=linker, settings=settings, inputs=looks.inputs)


def load_embedding(
    spec: str | None, *, layer: str | None, pooling: str | None, device: str
) -> LoadedEmbedding:
    """What tells how proposals look, by name; None for nothing.

    Args:
        spec: colour, or an encoder as --encoder of propagate takes it.
        layer: Layer of the encoder; None: its usual one.
        pooling: mask or box; None: mask.
        device: Where the encoder runs.

    Raises:
        InputError: The encoder cannot be loaded, or an option of one is given without it.
    """
    if spec in (None, COLOUR):
        for flag, value in (("--embedding-layer", layer), ("--embedding-pooling", pooling)):
            if value is not None:
                raise InputError(
                    f"{flag} {value}: is for the features of an encoder; name one with --embedding"
                )

        return LoadedEmbedding(embedding=colour if spec else None, settings={"embedding": spec})

    try:
        encoder = load_encoder(str(spec), layer=layer, device=device)
    except InputError as error:  # It names the options of propagate.
        reason = (
            str(error).replace("--encoder", "--embedding").replace("--layer", "--embedding-layer")
        )
        raise InputError(reason) from error

    pooled = pooled_over_boxes if pooling == "box" else pooled_over_masks
    files = encoder.source.files if encoder.source else ()
    settings = {
        "embedding": spec,
        "embedding_layer": encoder.layer,
        "embedding_pooling": pooling or "mask",
        "embedding_weights": fingerprint(files),
    }

    return LoadedEmbedding(embedding=pooled(encoder), settings=settings, inputs=files)


def load_flow(name: str, weights: str | None, device: str) -> tuple[Flow, dict[str, Any]]:
    """Optical flow by name (dis, raft), and its settings for the record; InputError for what cannot
    be had.
    """
    if name == "dis":
        if weights is not None:
            raise InputError(f"--flow-weights {weights}: is for --flow raft; leave it out")
        return dis_flow, {"flow": "dis"}

    if name != "raft":
        raise InputError(f"--flow {name}: is unknown; choose dis or raft")

    import torch  # Imported here: dis needs none of it.

    from densevos.data.foreground.raft import load_raft

    chosen = weights or RAFT_WEIGHTS
    flow = load_raft(chosen, torch.device(device))
    return flow, {"flow": "raft", "flow_weights": _identity(chosen)}


def recorded(linker: Any) -> Mapping[str, Any]:
    """The numbers among the settings of a linker, by names that no other part of a run has."""
    values = {one.name: getattr(linker, one.name) for one in fields(linker)}
    return {
        f"linking_{name}": value for name, value in values.items() if isinstance(value, int | float)
    }


def _identity(weights: str) -> str:
    """The name of published weights, or what is in a file of them."""
    file = Path(weights)
    return fingerprint([file]) if file.is_file() else weights
