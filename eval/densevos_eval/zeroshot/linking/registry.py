"""Loads linkers, embeddings and optical flow by name."""

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
RAFT_WEIGHTS = "C_T_V2"  # Default weights of RAFT, by torchvision's name.
COLOUR = "colour"  # Name of the embedding that needs no network.


@dataclass(frozen=True, kw_only=True)
class LinkerKind:
    """A linker, ready for any sequence."""

    linker: Linker
    settings: Mapping[str, Any]
    """Settings that tracks depend on besides the proposals, for the record of a run."""
    inputs: Sequence[Path] = ()
    """Files that are read."""


@dataclass(frozen=True, kw_only=True)
class LoadedEmbedding:
    """An embedding with its record."""

    embedding: Embedding | None
    """Describes the appearance of proposals; None: appearance is not used."""
    settings: Mapping[str, Any]
    """Settings for the record of a run."""
    inputs: Sequence[Path] = ()
    """Files that the embedding was loaded from."""


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
    """Load the linker of this name.

    Args:
        name: one of LINKERS.
        flow: optical flow that moves masks from frame to frame: dis or raft.
        flow_weights: weights of RAFT: a name of torchvision or a file; None: C_T_V2.
        embedding: appearance of proposals: colour, or an encoder; None: colour for unovost, and
            none for association, which then compares overlap only.
        layer: layer of the encoder; None: its default.
        pooling: region that features are pooled over: mask or box; None: mask.
        device: where networks run.

    Raises:
        InputError: if there is no such linker, or weights cannot be loaded.
    """
    if name not in LINKERS:
        raise InputError(f"--linking {name}: is unknown; choose one of {', '.join(LINKERS)}")

    optical_flow, flow_facts = load_flow(flow, flow_weights, device)
    # UnOVOST cannot do without an embedding; association can.
    if embedding is None and name == "unovost":
        embedding = COLOUR

    loaded = load_embedding(embedding, layer=layer, pooling=pooling, device=device)

    linker: Linker = Association(flow=optical_flow, embedding=loaded.embedding)
    if name == "unovost":
        linker = UnOVOST(flow=optical_flow, embedding=loaded.embedding or colour)

    settings = {"linking": name, **flow_facts, **loaded.settings, **recorded(linker)}
    return LinkerKind(linker=linker, settings=settings, inputs=loaded.inputs)


def load_embedding(
    spec: str | None, *, layer: str | None, pooling: str | None, device: str
) -> LoadedEmbedding:
    """Load the embedding of this name.

    Args:
        spec: colour, or an encoder as --encoder of propagate takes it; None: no embedding.
        layer: layer of the encoder; None: its default.
        pooling: mask or box; None: mask.
        device: where the encoder runs.

    Raises:
        InputError: if the encoder cannot be loaded, or an option of encoders is given without one.
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
    except InputError as error:
        # The message names the options of propagate, which the user did not give.
        reason = str(error).replace("--encoder", "--embedding")
        reason = reason.replace("--layer", "--embedding-layer")
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
    """Load optical flow by name.

    Args:
        name: dis or raft.
        weights: weights of RAFT: a name of torchvision or a file; None: C_T_V2.
        device: where RAFT runs.

    Returns:
        The flow, and its settings for the record of a run.

    Raises:
        InputError: if there is no such flow, weights are given for dis, or they cannot be loaded.
    """
    if name == "dis":
        if weights is not None:
            raise InputError(f"--flow-weights {weights}: is for --flow raft; leave it out")

        return dis_flow, {"flow": "dis"}

    if name != "raft":
        raise InputError(f"--flow {name}: is unknown; choose dis or raft")

    import torch  # Imported here: dis does not need it.

    from densevos.data.foreground.raft import load_raft

    chosen = weights or RAFT_WEIGHTS
    flow = load_raft(chosen, torch.device(device))
    return flow, {"flow": "raft", "flow_weights": _identity(chosen)}


def recorded(linker: Any) -> Mapping[str, Any]:
    """Collect the numbers among the settings of a linker, for the record of a run.

    Returns:
        Name with the prefix linking_, so that it cannot clash with other settings -> number.
    """
    numbers: dict[str, Any] = {}
    for setting in fields(linker):
        value = getattr(linker, setting.name)
        # The other settings are functions, which are recorded by name.
        if isinstance(value, int | float):
            numbers[f"linking_{setting.name}"] = value

    return numbers


def _identity(weights: str) -> str:
    """The name of published weights, or a fingerprint of their file."""
    file = Path(weights)
    return fingerprint([file]) if file.is_file() else weights
