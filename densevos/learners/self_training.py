"""DUL: an encoder, two views, anchors, self-training and cross-view consistency in one step."""

import torch
from torch import Tensor, nn

from densevos.config import SelfTrainingConfig, ViewConfig
from densevos.data.clips import ClipBatch
from densevos.engine.distributed import gather_rows, own_share, row_offset, world_size
from densevos.engine.learner import Learner, Losses
from densevos.learners.panels import self_training_panels
from densevos.learners.views import make_views
from densevos.models.encoder import DenseEncoder, normalise
from densevos.objectives.anchors import align, gather_cells, grid_indices
from densevos.objectives.cross_view import cross_view_loss
from densevos.objectives.self_training import own_rows, pseudo_labels, self_training_error


class SelfTraining(Learner[ClipBatch]):
    """Anchor-based space-time self-training (Araslanov et al., NeurIPS 2021)."""

    def __init__(self, encoder: DenseEncoder, objective: SelfTrainingConfig, views: ViewConfig):
        super().__init__()
        self.encoder, self.objective, self.views = encoder, objective, views
        self._losses_at = losses_at

    def forward(self, batch: ClipBatch, generator: torch.Generator) -> Losses:
        """One step's losses; `generator` draws the second view and the anchors."""
        frames = normalise(
            batch.frames.to(next(self.parameters()).device, non_blocking=True).float() / 255
        )
        views = make_views(frames, self.views, generator)
        # Of the second view only the reference frame ever passes a gradient on, so only it is
        # encoded with one.
        learning = int(self.objective.regularising_gradient)
        main = self._encode(torch.cat([views.first, views.second[:, :learning]], dim=1))
        first, second_reference = main.tensor_split([views.first.shape[1]], dim=1)
        second = torch.cat(
            [second_reference, self._regularising(views.second[:, learning:])], dim=1
        )
        with torch.autocast(frames.device.type, enabled=False):
            cells = draw_cells(first.shape, self.objective, generator)
            return self._losses_at(first, second, views.theta, *cells, self.objective)

    def compile_step(self) -> None:
        """Compile the encoder and the losses at given cells; draws in between take generators,
        which cannot be.
        """
        self.encoder.compile()
        self._losses_at = torch.compile(losses_at)

    def panels(self, batch: ClipBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Frames, anchors, pseudo-labels, an affinity and the error of the first clip; see
        `self_training_panels`.
        """
        return self_training_panels(
            self.encoder, self.objective, self.views, batch.frames[0], generator
        )

    def _regularising(self, frames: Tensor) -> Tensor:
        self.encoder.train(self.training and self.objective.regularising_bn == "train")
        with torch.no_grad():
            keys = self._encode(frames)

        self.encoder.train(self.training)
        return keys

    def _encode(self, frames: Tensor) -> Tensor:
        keys = self.encoder(_layout_like(frames.flatten(0, 1), self.encoder))
        return keys.unflatten(0, frames.shape[:2])


def draw_cells(
    size: torch.Size, config: SelfTrainingConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Anchor cells [B,N*N] and cross-view cells [B,M*M] of reference frames with keys [B,T,K,h,w] =
    `size`.
    """
    clips, _, _, height, width = size
    anchors, cross_view = (
        own_share(
            grid_indices(
                clips * world_size(), height, width, cells, generator, jitter=config.anchor_jitter
            )
        )
        for cells in (config.anchor_grid, config.cross_view_grid)
    )

    return anchors, cross_view


def losses_at(
    first: Tensor,
    second: Tensor,
    theta: Tensor,
    anchor_index: Tensor,
    cross_view_index: Tensor,
    config: SelfTrainingConfig,
) -> Losses:
    """The step of Sec. 3.3 at given anchor cells [B,N*N] and cross-view cells [B,M*M].

    `first`, `second` [B,T,K,h,w] are unit keys of both views (frame 0: the reference), `theta`
    [B,2,3] aligns them. Returns `loss` (Eq. 6), `self_training` (Eq. 3), `cross_view` (Eq. 5) and,
    as a diagnostic without gradient, `agreement`: how often the first view's dominant own anchor is
    the pseudo-label.
    """
    clips, frames = first.shape[:2]
    aligned = align(first.flatten(0, 1), theta.repeat_interleave(frames, dim=0)).view_as(
        first
    )  # T(k)
    own = gather_cells(first[:, 0], anchor_index)  # q = G_N(k): [B,N^2,K]
    anchors = gather_rows(own.flatten(0, 1))
    labels = pseudo_labels(second[:, 1:].detach(), own.detach())  # Eq. 2
    rows = own_rows(labels, own.shape[1], row_offset(clips))
    self_training = self_training_error(
        aligned[:, 1:], anchors, rows, config.temperature
    ).mean()  # Eq. 3
    r = gather_cells(aligned[:, 0], cross_view_index).flatten(0, 1)  # G_M(T(k))
    r_hat = gather_cells(second[:, 0], cross_view_index).flatten(0, 1)  # G_M(k_hat)
    cross_view = cross_view_loss(
        r, gather_rows(r_hat), config.temperature, row_offset(len(r))
    )  # Eq. 5
    with torch.no_grad():
        agreement = (pseudo_labels(aligned[:, 1:], own) == labels).float().mean()

    loss = self_training + config.cross_view_weight * cross_view  # Eq. 6
    return {
        "loss": loss,
        "self_training": self_training,
        "cross_view": cross_view,
        "agreement": agreement,
    }


def _layout_like(frames: Tensor, encoder: nn.Module) -> Tensor:
    weight = next(encoder.parameters())
    if weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous():
        return frames.contiguous(memory_format=torch.channels_last)
    return frames
