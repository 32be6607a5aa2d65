"""MuG: frame, short-term, long-term and video granularity of the same few frames in one step."""

# Shapes: B videos, K frames of a video's abstract, C channels of the features x, 256 channels of r
# (x joined by what the other frames hold), H x W pixels, h x w cells of the feature map.

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.config import EncoderConfig, MugObjectiveConfig
from densevos.data.video_samples import SHORT, VideoBatch
from densevos.engine.distributed import gather_rows, own_share, row_offset, world_size
from densevos.engine.learner import Learner, Losses
from densevos.learners.counter import CountingModule
from densevos.models.encoder import DenseEncoder, normalise
from densevos.models.geometry import GeometricRegressor
from densevos.models.mug import MugNetwork, pooled
from densevos.models.pretrained import load_backbone
from densevos.objectives.foreground import bootstrapped_target, foreground_loss, on_cells
from densevos.objectives.matching import affinity, cosines, matching_loss
from densevos.objectives.tracking import crop, gaussian_map, track_back, tracking_loss
from densevos.objectives.video import instance_loss

GRANULARITIES = ("frame", "short", "long", "video")


class Mug(CountingModule, Learner[VideoBatch]):
    """Multi-granularity learning (Lu et al., CVPR 2020, Sec. 3).

    Eleven frames per video serve all four granularities. Eight (K) form the video's abstract, and
    three a short clip. The distant pair, the query and the instance are frames of the abstract.
    """

    def __init__(
        self, encoder: EncoderConfig, objective: MugObjectiveConfig, weights: str | None = None
    ):
        """Make the network and the layers that only training needs.

        Args:
            encoder: The encoder's configuration.
            objective: Settings of the losses.
            weights: Initial weights of the backbone, a name or a file; None for random weights.
        """
        super().__init__("turn", start=-1)  # the first step advances it to 0
        self.objective = objective
        self.network = MugNetwork(encoder, objective.readout, objective.aggregate_temperature)
        if weights:
            load_backbone(self.network.encoder.backbone, encoder.architecture, weights)

        self.regressor = GeometricRegressor(objective.match_size)
        # Cosines are far from where a sigmoid is steep: a learned scale and bias move them there.
        self.response_scale = nn.Parameter(torch.tensor(10.0))
        self.response_bias = nn.Parameter(torch.tensor(-5.0))
        # Instances and videos of the step's earlier batches, and how many may still be kept.
        self.earlier: list[tuple[Tensor, Tensor]] = []
        self.room = 0

    @property
    def encoder(self) -> DenseEncoder:
        """The part of the learner that propagation uses."""
        return self.network.encoder

    def begin_step(self, batches: int) -> None:
        """Forget the last step's videos and take the next turn.

        Args:
            batches: Number of batches of this step (--loop.accumulate).
        """
        self.earlier, self.room = [], batches - 1
        self.advance()

    def forward(self, batch: VideoBatch, generator: torch.Generator) -> Losses:
        """The losses of one batch (Eq. 16) with their diagnostics.

        Args:
            batch: Frames of B videos and their foreground maps.
            generator: Draws patches, queries and instances.
        """
        device = next(self.parameters()).device
        frames = normalise(batch.frames.to(device, non_blocking=True).float() / 255)
        losses = self._losses(frames, batch, self._chosen(), generator)
        weights = {
            "frame": self.objective.frame_weight,
            "readout": self.objective.readout_weight,
            "short": self.objective.short_weight,
            "long": self.objective.long_weight,
            "video": self.objective.video_weight,
        }
        computed = [name for name in weights if name in losses]
        total = torch.stack([weights[name] * losses[name] for name in computed]).sum()

        if self.objective.round_robin:
            # Every parameter needs a gradient in every step when there are several processes.
            total = total + 0 * torch.stack([p.sum() for p in self.parameters()]).sum()

        dropped = torch.full((), float(batch.dropped), device=device)
        return {"loss": total, **losses, "maps_dropped": dropped}

    def _chosen(self) -> tuple[str, ...]:
        """The granularities of this step: all, or one after the other."""
        if not self.objective.round_robin:
            return GRANULARITIES
        return (GRANULARITIES[self.count % len(GRANULARITIES)],)

    def _losses(
        self, frames: Tensor, batch: VideoBatch, chosen: tuple[str, ...], generator: torch.Generator
    ) -> Losses:
        """The losses of the chosen granularities, for normalised frames [B,K+3,3,H,W]."""
        count, abstract = len(frames), frames.shape[1] - SHORT
        encoded = _frames_to_encode(chosen, abstract)
        x, stages = self.network.encode(frames[:, encoded].flatten(0, 1))
        features = x.unflatten(0, (count, -1))  # [B,T,C,h,w]
        losses: Losses = {}

        if "frame" in chosen:
            logits = self.network.foreground(x)
            target, known = self._target(batch, encoded, logits.shape[-2:])
            losses["frame"] = foreground_loss(logits, target, known)

        if "frame" in chosen or "video" in chosen:
            r = self._augmented(features[:, :abstract])

        if "frame" in chosen:
            # The readout also sees the backbone's earlier stages, of the abstract's frames.
            of_abstract = {}
            for name, stage in stages.items():
                of_abstract[name] = stage.unflatten(0, (count, -1))[:, :abstract].flatten(0, 1)

            logits = self.network.nu(r.flatten(0, 1), of_abstract)
            target, known = self._target(batch, slice(abstract), logits.shape[-2:])
            losses["readout"] = foreground_loss(logits, target, known)

        if "video" in chosen:
            videos = batch.videos.to(r.device, non_blocking=True)
            losses["video"] = self._video(r, videos, generator)

        if "short" in chosen:
            losses |= self._short(frames[:, abstract:], features[:, -SHORT:], generator)
        if "long" in chosen:
            losses |= self._long(features, batch.pairs)

        return losses

    def _target(self, batch: VideoBatch, chosen: slice, size: torch.Size) -> tuple[Tensor, Tensor]:
        """Targets [B*t,H,W] of Eq. 15 for `chosen` frames of each video, and where they are known.

        They have the `size` of the mask that is compared with them, or that of the frames
        (--objective.supervision). In the first round P is Q, so the targets are Q.
        """
        device = next(self.parameters()).device
        initial = batch.initial.to(device, non_blocking=True)[:, chosen].flatten(0, 1)
        predicted = batch.predicted.to(device, non_blocking=True)[:, chosen].flatten(0, 1)
        if self.objective.supervision == "pixels":
            size = initial.shape[-2:]

        cells = (size[0], size[1])
        q, q_known = on_cells(initial, cells)
        p, p_known = on_cells(predicted, cells)

        # Where only one of the two maps is known, it is the target.
        target = bootstrapped_target(q, p, self.objective.alpha)
        target = torch.where(p_known, torch.where(q_known, target, p), q)

        return target, q_known | p_known

    def _augmented(self, features: Tensor) -> Tensor:
        """r [B,K,256,h,w] of x [B,K,C,h,w]: each frame is the query of all others (Eqs. 9-11)."""
        count = features.shape[:2]
        key, value = self.network.recall(features.flatten(0, 1))
        keys, values = pooled(key).unflatten(0, count), pooled(value).unflatten(0, count)

        # Row k holds all frames but the k-th: numbers from k on move up by one. [K,K-1]
        frame = torch.arange(count[1], device=features.device)
        others = frame[:-1] + (frame[:-1] >= frame[:, None])
        keys = keys[:, others].flatten(0, 1)  # [B*K,K-1,*,h/2,w/2]
        values = values[:, others].flatten(0, 1)

        augmented: Tensor = self.network.gather(key, value, keys, values).unflatten(0, count)
        return augmented

    def _video(self, r: Tensor, videos: Tensor, generator: torch.Generator) -> Tensor:
        """Eq. 14 between a query and an instance drawn from each abstract's r [B,K,256,h,w].

        Instances of the step's earlier batches are further negatives. `videos` [B] are the numbers
        of the videos.
        """
        # All processes draw for the whole batch, so that draws do not depend on their number.
        draws = []
        for _ in range(len(r) * world_size()):
            draws.append(torch.randperm(r.shape[1], generator=generator)[:2])

        drawn = own_share(torch.stack(draws)).to(r.device, non_blocking=True)  # [B,2]
        averages = r.mean((3, 4))  # [B,K,256]
        chosen = averages.gather(1, drawn[:, :, None].expand(-1, -1, r.shape[2]))
        queries, instances = chosen.unbind(1)

        # This batch's rows come first, so that `row_offset` is right for the queries.
        instances, videos = gather_rows(instances), gather_rows(videos)
        rows, row_videos = zip((instances, videos), *self.earlier, strict=True)
        if len(self.earlier) < self.room:
            self.earlier.append((instances.detach(), videos))

        return instance_loss(
            queries,
            torch.cat(rows),
            self.objective.instance_temperature,
            row_offset(len(queries)),
            torch.cat(row_videos),
        )

    def _short(self, frames: Tensor, features: Tensor, generator: torch.Generator) -> Losses:
        """Eq. 5 with a random patch of the first of three frames [B,3,3,H,W] with x [B,3,C,h,w]."""
        encoder, stride = self.network.encoder, self.network.encoder.config.stride
        side = self.objective.patch // stride  # of a patch, in cells
        maps = encoder.keys(features.flatten(0, 1)).unflatten(0, features.shape[:2])

        # Patches lie within the frame. All processes draw for the whole batch.
        height, width = maps.shape[-2:]
        low, end_row, end_column = side // 2, height - side // 2 + 1, width - side // 2 + 1
        count = (len(frames) * world_size(),)
        rows = torch.randint(low, end_row, count, generator=generator)
        columns = torch.randint(low, end_column, count, generator=generator)
        start = own_share(torch.stack([rows, columns], dim=1)).to(frames.device, non_blocking=True)

        def from_image(at: int, centres: Tensor) -> Tensor:
            return self._embed_patches(crop(frames[:, at], centres, side, stride))

        def from_features(at: int, centres: Tensor) -> Tensor:
            return crop(maps[:, at], centres, side)

        cut = from_image if self.objective.crop == "image" else from_features
        responses, places = track_back(maps, start, side, cut)
        logits = self.response_scale * responses + self.response_bias
        target = gaussian_map(start, (height, width), 0.1 * side)
        loss = tracking_loss(
            logits, target, drop_worst=self.objective.drop_worst, balance=self.objective.balance
        )
        with torch.no_grad():
            # S = 0 everywhere has a low loss too; only the height of the peak shows the difference.
            height_of_peak = torch.sigmoid(logits).flatten(1).amax(1).mean()
            missed = (places[:, -1] - start).float().norm(dim=1).mean()  # cells

        return {"short": loss, "peak": height_of_peak, "missed_by": missed}

    def _embed_patches(self, patches: Tensor) -> Tensor:
        """Patches [N,3,S,S] -> unit embeddings [N,C,s,s], with BatchNorm in eval mode."""
        # There are five times as many patches as frames. Their statistics would outweigh those of
        # frames, which are what the encoder is used for later.
        encoder = self.network.encoder.eval()
        embeddings: Tensor = encoder(patches)
        encoder.train(self.training)
        return embeddings

    def _long(self, features: Tensor, pairs: Tensor) -> Losses:
        """Eq. 8 for the distant pairs [B,2] among the abstract's x [B,K,C,h,w]."""
        pairs = pairs.to(features.device, non_blocking=True)
        chosen = pairs[:, :, None, None, None].expand(-1, -1, *features.shape[2:])
        x = features.gather(1, chosen)  # [B,2,C,h,w]

        # Affinities grow with the fourth power of the side, so embeddings are reduced first.
        size = (self.objective.match_size, self.objective.match_size)
        e = F.adaptive_avg_pool2d(self.network.encoder.keys(x.flatten(0, 1)), size)
        first, second = F.normalize(e, dim=1).unflatten(0, (len(x), 2)).unbind(1)

        with torch.autocast(features.device.type, enabled=False):
            similarity = cosines(first, second)
            similarity_back = similarity.transpose(1, 2)
            temperature = self.objective.match_temperature
            a, a_back = affinity(similarity, temperature), affinity(similarity_back, temperature)
            tau, tau_back = self.regressor(similarity), self.regressor(similarity_back)
            loss = matching_loss(a, a_back, tau, tau_back, size, self.objective.match_reduction)

        # Each direction gives at most 1, or one per cell if Eq. 8 is summed.
        largest = 2 if self.objective.match_reduction == "mean" else 2 * similarity.shape[-1]
        return {"long": loss, "inliers": -loss.detach() / largest}


def _frames_to_encode(chosen: tuple[str, ...], abstract: int) -> slice:
    """Frames of each video that the chosen granularities need: abstract, short clip or both."""
    if "short" not in chosen:
        return slice(0, abstract)
    if chosen == ("short",):
        return slice(abstract, None)

    return slice(None)
