"""Loads kinds of proposals by name, from a user's module:function, or from a folder of files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.outside import from_outside, is_outside
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.proposals.edge_map import EdgeMap, gradient_edges
from densevos_eval.zeroshot.proposals.proposal import Proposal, ProposalSource

KINDS = ("parts", "edgebox", "maskrcnn", "segments:RUN")
SEGMENTS = "segments:"


@dataclass(frozen=True, kw_only=True)
class ProposalKind:
    """One kind of proposals, ready for any sequence."""

    settings: Mapping[str, Any]
    """Settings that the proposals depend on besides the frames."""
    of_sequence: Callable[[VideoSequence], ProposalSource]
    """Makes the source for one sequence, which is then called with its frames in order."""
    refusal: Callable[[VideoSequence], InputError | None] = lambda sequence: None
    """Why a sequence cannot be used, as far as that is known before the run."""
    inputs: Sequence[Path] = ()
    """Files and folders that are read."""


def load_proposals(
    kind: str,
    *,
    device: str,
    threshold: float,
    weights: str | None = None,
    edge_map: str | None = None,
) -> ProposalKind:
    """Load the kind of proposals that the command line names.

    Args:
        kind: one of KINDS, a segmentation network's model.safetensors, `module:function` (a
            `ProposalSource`), or a folder of files, see `saved`.
        device: where a network runs.
        threshold: foreground threshold on the probability.
        weights: weights of Mask R-CNN: a name of torchvision or a file; None: COCO_V1.
        edge_map: `module:function` that computes edges for EdgeBoxes; None: the gradient.

    Raises:
        InputError: if there is no such kind, an option belongs to another kind, or weights cannot
            be loaded.
    """
    if edge_map is not None and kind != "edgebox":
        raise InputError(f"--edge-map {edge_map}: is for --proposals edgebox; leave it out")
    if weights is not None and kind != "maskrcnn":
        raise InputError(f"--proposal-weights {weights}: is for --proposals maskrcnn; leave it out")

    # Each kind is imported by the function that loads it: some need torchvision or a network.
    if kind == "parts":
        return _parts(threshold)
    if kind == "edgebox":
        return _edge_boxes(threshold, edge_map)
    if kind == "maskrcnn":
        return _mask_rcnn(device, weights)
    if kind.startswith(SEGMENTS) or kind.endswith(".safetensors"):
        return _segments(Path(kind.removeprefix(SEGMENTS)), device)
    if is_outside(kind):
        return _from_outside(kind)

    return _saved(kind)


def _parts(threshold: float) -> ProposalKind:
    from densevos_eval.zeroshot.proposals.parts import Parts

    return _same_for_all(Parts(threshold=threshold), {"proposals": "parts"})


def _edge_boxes(threshold: float, edge_map: str | None) -> ProposalKind:
    from densevos_eval.zeroshot.proposals.edgebox import EdgeBoxes

    edges: EdgeMap = gradient_edges
    if edge_map is not None:
        edges = _guarded_edges(edge_map, from_outside(edge_map, "--edge-map"))

    source = EdgeBoxes(edges=edges, threshold=threshold)
    # Every number is recorded with a prefix, so that it cannot clash with other settings.
    settings: dict[str, Any] = {"proposals": "edgebox", "edge_map": edge_map}
    for name, value in asdict(source).items():
        if name not in ("edges", "cut"):
            settings[f"edgebox_{name}"] = value

    for name, value in asdict(source.cut).items():
        settings[f"grabcut_{name}"] = value

    return _same_for_all(source, settings)


def _mask_rcnn(device: str, weights: str | None) -> ProposalKind:
    from densevos_eval.zeroshot.proposals.maskrcnn import load_mask_rcnn

    source = load_mask_rcnn(weights or "COCO_V1", device)
    return ProposalKind(
        settings={"proposals": "maskrcnn", **source.settings()},
        of_sequence=lambda sequence: source,
        inputs=source.inputs,
    )


def _segments(path: Path, device: str) -> ProposalKind:
    import torch

    from densevos_eval.segmentation.classifier import FILE, load_classifier
    from densevos_eval.zeroshot.proposals.segments import Segments

    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"--proposals {SEGMENTS}{path}: no such file, or no {FILE} in it; give the run folder"
            " of densevos train i2v_cnn (or another i2v recipe), or its model.safetensors"
        )

    classifier = load_classifier(file, torch.device(device))
    settings = {
        "proposals": f"{SEGMENTS}{path}",
        "proposal_weights": fingerprint([file]),
        "proposal_size": classifier.size,
    }
    source = Segments(classifier=classifier)

    return ProposalKind(settings=settings, of_sequence=lambda sequence: source, inputs=[file])


def _from_outside(spec: str) -> ProposalKind:
    function = from_outside(spec, "--proposals")
    if not callable(function):
        raise InputError(
            f"--proposals {spec}: is a {type(function).__name__};"
            " must be a function of frame, foreground"
        )

    def checked(frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        try:
            proposals = list(function(frame, foreground))
        except Exception as error:  # The user's code raises whatever it likes.
            raise _failed("--proposals", spec, error) from error

        for proposal in proposals:
            # Other masks would fail later, where the message could not name the function.
            mask = getattr(proposal, "mask", None)
            if (
                not isinstance(mask, np.ndarray)
                or mask.dtype != bool
                or mask.shape != foreground.shape
            ):
                raise InputError(
                    f"--proposals {spec}: returned a proposal without a mask"
                    f" {list(foreground.shape)} of bool; return Proposal(mask=..., score=...) at"
                    " the size of the frame"
                )

        return proposals

    return _same_for_all(checked, {"proposals": spec})


def _saved(kind: str) -> ProposalKind:
    from densevos_eval.zeroshot.proposals.saved import SavedProposals

    folder = Path(kind)
    if not folder.is_dir():
        raise InputError(
            f"--proposals {kind}: is no kind of proposals and no folder; choose one of"
            f" {', '.join(KINDS)}, name a function as module:name, or give a folder with"
            " SEQUENCE/FRAME.npz"
        )

    # The fingerprint covers contents and names of all files, in a fixed order.
    files = sorted(folder.rglob("*.npz"))
    names = [str(file.relative_to(folder)) for file in files]
    saved = SavedProposals(folder=folder)
    return ProposalKind(
        settings={"proposals": "saved", "proposal_files": fingerprint(files, names)},
        of_sequence=saved.of_sequence,
        refusal=saved.refusal,
        inputs=[folder],
    )


def _same_for_all(source: ProposalSource, settings: Mapping[str, Any]) -> ProposalKind:
    return ProposalKind(settings=settings, of_sequence=lambda sequence: source)


def _guarded_edges(spec: str, function: Any) -> EdgeMap:
    """A user's edge map, wrapped so that its errors name it."""
    if not callable(function):
        raise InputError(
            f"--edge-map {spec}: is a {type(function).__name__}; must be a function of a frame"
        )

    def guarded(frame: np.ndarray) -> np.ndarray:
        try:
            edges = np.asarray(function(frame), np.float32)
        except Exception as error:  # The user's code raises whatever it likes.
            raise _failed("--edge-map", spec, error) from error

        size = frame.shape[:2]
        # NaN fails both comparisons, so it is refused too.
        if edges.shape != size or not ((edges >= 0) & (edges <= 1)).all():
            raise InputError(
                f"--edge-map {spec}: returned {list(edges.shape)} for a frame of {list(size)}; it"
                " must return the strength of edges [H,W] in 0..1, as large as the frame"
            )

        return edges

    return guarded


def _failed(flag: str, spec: str, error: Exception) -> InputError:
    # The user's code may raise errors of many lines, and a message has one.
    reason = " ".join(str(error).split())[:160]
    return InputError(f"{flag} {spec}: failed ({type(error).__name__}: {reason}); fix the function")
