"""DUL: one step of self-training with two views, anchors and cross-view consistency."""

# Shapes: B clips, T frames (frame 0: the reference), K channels of a key, h x w cells of the
# feature map, N x N grid of anchors, M x M grid of cross-view cells.

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
        """The losses of one step; `generator` draws the second view and the anchors."""
        device = next(self.parameters()).device
        frames = normalise(batch.frames.to(device, non_blocking=True).float() / 255)
        views = make_views(frames, self.views, generator)

        # In the second view only the reference frame has a gradient (and even that one only with
        # regularising_gradient), so only it is encoded together with the first view.
        learning = int(self.objective.regularising_gradient)
        main = self._encode(torch.cat([views.first, views.second[:, :learning]], dim=1))
        first, second_reference = main.tensor_split([views.first.shape[1]], dim=1)
        regularising = self._regularising(views.second[:, learning:])
        second = torch.cat([second_reference, regularising], dim=1)

        with torch.autocast(frames.device.type, enabled=False):
            anchors, cross_view = draw_cells(first.shape, self.objective, generator)
            return self._losses_at(first, second, views.theta, anchors, cross_view, self.objective)

    def compile_step(self) -> None:
        """Compile the encoder and the losses at given cells.

        The draws between them stay as they are: torch.compile does not support their generators.
        """
        self.encoder.compile()
        self._losses_at = torch.compile(losses_at)

    def panels(self, batch: ClipBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Pictures of what the losses compare in the first clip; see `self_training_panels`."""
        return self_training_panels(
            self.encoder, self.objective, self.views, batch.frames[0], generator
        )

    def _regularising(self, frames: Tensor) -> Tensor:
        """Keys of the second view, without gradient."""
        self.encoder.train(self.training and self.objective.regularising_bn == "train")
        with torch.no_grad():
            keys = self._encode(frames)

        self.encoder.train(self.training)
        return keys

    def _encode(self, frames: Tensor) -> Tensor:
        """Frames [B,T,3,H,W] -> unit keys [B,T,K,h,w]."""
        keys = self.encoder(_layout_like(frames.flatten(0, 1), self.encoder))
        by_sample: Tensor = keys.unflatten(0, frames.shape[:2])
        return by_sample


def draw_cells(
    size: torch.Size, config: SelfTrainingConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw the cells of the reference frames that a step compares.

    Args:
        size: Shape [B,T,K,h,w] of the keys.
        config: Sides N and M of both grids, and their jitter.
        generator: Source of the draws.

    Returns:
        Anchor cells [B,N*N] and cross-view cells [B,M*M].
    """
    clips, _, _, height, width = size
    # All processes draw for the whole batch, so that draws do not depend on their number.
    batch, jitter = clips * world_size(), config.anchor_jitter
    anchors = grid_indices(batch, height, width, config.anchor_grid, generator, jitter=jitter)
    cross_view = grid_indices(
        batch, height, width, config.cross_view_grid, generator, jitter=jitter
    )

    return own_share(anchors), own_share(cross_view)


def losses_at(
    first: Tensor,
    second: Tensor,
    theta: Tensor,
    anchor_index: Tensor,
    cross_view_index: Tensor,
    config: SelfTrainingConfig,
) -> Losses:
    """The losses of Sec. 3.3 at given cells.

    Args:
        first: Unit keys [B,T,K,h,w] of the first view.
        second: Unit keys [B,T,K,h,w] of the second view.
        theta: Aligns the views, [B,2,3].
        anchor_index: Anchor cells [B,N*N].
        cross_view_index: Cross-view cells [B,M*M].
        config: Temperature and weight.

    Returns:
        Scalars: `loss` (Eq. 6), `self_training` (Eq. 3) and `cross_view` (Eq. 5). `agreement` is a
        diagnostic without gradient: how often the first view's dominant own anchor is the
        pseudo-label.
    """
    clips, frames = first.shape[:2]
    transforms = theta.repeat_interleave(frames, dim=0)
    aligned = align(first.flatten(0, 1), transforms).view_as(first)  # T(k)

    # Self-training: every frame but the reference is assigned to the anchors of all clips.
    own = gather_cells(first[:, 0], anchor_index)  # q = G_N(k): [B,N^2,K]
    anchors = gather_rows(own.flatten(0, 1))
    labels = pseudo_labels(second[:, 1:].detach(), own.detach())  # Eq. 2
    rows = own_rows(labels, own.shape[1], row_offset(clips))
    errors = self_training_error(aligned[:, 1:], anchors, rows, config.temperature)
    self_training = errors.mean()  # Eq. 3

    # Cross-view consistency: the same cells of the reference frame in both views.
    r = gather_cells(aligned[:, 0], cross_view_index).flatten(0, 1)  # G_M(T(k))
    r_hat = gather_cells(second[:, 0], cross_view_index).flatten(0, 1)  # G_M(k_hat)
    all_r_hat = gather_rows(r_hat)
    cross_view = cross_view_loss(r, all_r_hat, config.temperature, row_offset(len(r)))  # Eq. 5

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
    """Frames in the memory layout of the encoder's weights (channels last), which is faster."""
    weight = next(encoder.parameters())
    if weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous():
        return frames.contiguous(memory_format=torch.channels_last)
    return frames
