"""MuG: frame, short-term, long-term and video granularity of the same few frames in one step."""

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
from densevos.models.pretrained import load_trunk
from densevos.objectives.foreground import bootstrapped_target, foreground_loss, on_cells
from densevos.objectives.matching import affinity, cosines, matching_loss
from densevos.objectives.tracking import crop, gaussian_map, track_back, tracking_loss
from densevos.objectives.video import instance_loss

GRANULARITIES = ("frame", "short", "long", "video")


class Mug(CountingModule, Learner[VideoBatch]):
    """Multi-granularity learning (Lu et al., CVPR 2020, Sec. 3).

    Eleven frames a video serve all four: K = 8 of its abstract, of which two are the distant pair,
    one the query and one the instance, and three of a short clip.
    """

    def __init__(
        self, encoder: EncoderConfig, objective: MugObjectiveConfig, weights: str | None = None
    ):
        super().__init__("turn", start=-1)
        self.objective = objective
        self.network = MugNetwork(encoder, objective.readout, objective.aggregate_temperature)
        if weights:
            load_trunk(self.network.encoder.trunk, encoder.architecture, weights)

        self.regressor = GeometricRegressor(objective.match_size)
        # Cosines are far from where a sigmoid is steep: a learned scale and bias move them there.
        self.response_scale = nn.Parameter(torch.tensor(10.0))
        self.response_bias = nn.Parameter(torch.tensor(-5.0))
        self.earlier: list[tuple[Tensor, Tensor]] = []
        self.room = 0

    @property
    def encoder(self) -> DenseEncoder:
        """What is kept of the learner for propagation."""
        return self.network.encoder

    def begin_step(self, batches: int) -> None:
        """Forget the last step's videos and take the next turn; this step has so many batches
        (--loop.accumulate).
        """
        self.earlier, self.room = [], batches - 1
        self.advance()

    def forward(self, batch: VideoBatch, generator: torch.Generator) -> Losses:
        """One step's losses (Eq. 16) with their diagnostics; `generator` draws patches, queries and
        instances.
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
        total = torch.stack(
            [weight * losses[name] for name, weight in weights.items() if name in losses]
        ).sum()

        if (
            self.objective.round_robin
        ):  # every parameter has a gradient in every step, as several processes need it
            total = total + 0 * torch.stack([p.sum() for p in self.parameters()]).sum()

        return {
            "loss": total,
            **losses,
            "maps_dropped": torch.full((), float(batch.dropped), device=device),
        }

    def _chosen(self) -> tuple[str, ...]:
        if not self.objective.round_robin:
            return GRANULARITIES
        return (GRANULARITIES[self.count % len(GRANULARITIES)],)

    def _losses(
        self, frames: Tensor, batch: VideoBatch, chosen: tuple[str, ...], generator: torch.Generator
    ) -> Losses:
        abstract = frames.shape[1] - SHORT
        shown = slice(None)
        if "short" not in chosen or chosen == ("short",):
            shown = slice(abstract, None) if "short" in chosen else slice(0, abstract)

        x, stages = self.network.encode(frames[:, shown].flatten(0, 1))
        features = x.unflatten(0, (len(frames), -1))
        losses: Losses = {}

        if "frame" in chosen:
            logits = self.network.foreground(x)
            losses["frame"] = foreground_loss(
                logits, *self._target(batch, shown, logits.shape[-2:])
            )

        if "frame" in chosen or "video" in chosen:
            r = self._augmented(features[:, :abstract])
        if "frame" in chosen:
            earlier = {
                name: s.unflatten(0, (len(frames), -1))[:, :abstract].flatten(0, 1)
                for name, s in stages.items()
            }
            logits = self.network.nu(r.flatten(0, 1), earlier)
            losses["readout"] = foreground_loss(
                logits, *self._target(batch, slice(abstract), logits.shape[-2:])
            )

        if "video" in chosen:
            losses["video"] = self._video(
                r, batch.videos.to(r.device, non_blocking=True), generator
            )

        if "short" in chosen:
            losses |= self._short(frames[:, abstract:], features[:, -SHORT:], generator)
        if "long" in chosen:
            losses |= self._long(features, batch.pairs)

        return losses

    def _target(self, batch: VideoBatch, shown: slice, size: torch.Size) -> tuple[Tensor, Tensor]:
        """Targets [B*t,H,W] of Eq. 15 for the frames `shown`, and where they are known.

        They have the `size` of the mask that is compared with them, or that of the frames
        (--objective.supervision). In the first round they are Q alone, since P is Q.
        """
        device = next(self.parameters()).device
        maps = (batch.initial, batch.predicted)
        initial, predicted = (
            one.to(device, non_blocking=True)[:, shown].flatten(0, 1) for one in maps
        )
        if self.objective.supervision == "pixels":
            size = initial.shape[-2:]

        cells = (size[0], size[1])
        q, known = on_cells(initial, cells)
        p, sure = on_cells(predicted, cells)

        # Where one of the two maps knows nothing, the other is all there is.
        target = bootstrapped_target(q, p, self.objective.alpha)
        target = torch.where(sure, torch.where(known, target, p), q)

        return target, known | sure

    def _augmented(self, features: Tensor) -> Tensor:
        """r [B,K,256,h,w] of the abstract's x [B,K,C,h,w]: each frame is the query of all the
        others (Eqs. 9-11).
        """
        count = features.shape[:2]
        key, value = self.network.recall(features.flatten(0, 1))
        keys, values = (pooled(one).unflatten(0, count) for one in (key, value))
        each = torch.arange(count[1], device=features.device)
        others = each[:-1] + (each[:-1] >= each[:, None])  # [K,K-1]: all frames but the k-th
        keys, values = (
            keys[:, others].flatten(0, 1),
            values[:, others].flatten(0, 1),
        )  # [B*K,K-1,*,h/2,w/2]

        return self.network.gather(key, value, keys, values).unflatten(0, count)

    def _video(self, r: Tensor, videos: Tensor, generator: torch.Generator) -> Tensor:
        """Eq. 14 between a query and an instance drawn from each abstract's r [B,K,256,h,w] of
        `videos` [B].

        Videos of the step's earlier batches are told apart from these too, by what their instances
        were.
        """
        everywhere = [
            torch.randperm(r.shape[1], generator=generator)[:2]
            for _ in range(len(r) * world_size())
        ]
        drawn = own_share(torch.stack(everywhere)).to(r.device, non_blocking=True)
        queries, instances = (
            r.mean((3, 4)).gather(1, drawn[:, :, None].expand(-1, -1, r.shape[2])).unbind(1)
        )
        instances, videos = gather_rows(instances), gather_rows(videos)
        rows, names = zip((instances, videos), *self.earlier, strict=True)
        if len(self.earlier) < self.room:
            self.earlier.append((instances.detach(), videos))

        own = row_offset(len(queries))
        return instance_loss(
            queries, torch.cat(rows), self.objective.instance_temperature, own, torch.cat(names)
        )

    def _short(self, frames: Tensor, features: Tensor, generator: torch.Generator) -> Losses:
        """Eq. 5 with a random patch of the first of three frames [B,3,3,H,W]; features: their x
        [B,3,C,h,w].
        """
        encoder, stride = self.network.encoder, self.network.encoder.config.stride
        side = self.objective.patch // stride
        maps = encoder.keys(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        height, width = maps.shape[-2:]
        everywhere = (len(frames) * world_size(),)
        rows = torch.randint(side // 2, height - side // 2 + 1, everywhere, generator=generator)
        columns = torch.randint(side // 2, width - side // 2 + 1, everywhere, generator=generator)
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
        with torch.no_grad():  # S = 0 everywhere is nearly free: the height of the peak tells
            height_of_peak = torch.sigmoid(logits).flatten(1).amax(1).mean()
            missed = (places[:, -1] - start).float().norm(dim=1).mean()

        return {"short": loss, "peak": height_of_peak, "missed_by": missed}

    def _embed_patches(self, patches: Tensor) -> Tensor:
        """Patches [N,3,S,S] -> unit embeddings [N,C,s,s]; BatchNorm takes them for parts of frames.

        Statistics of patches would be five times as many as those of frames, and what is judged
        later is frames.
        """
        encoder = self.network.encoder.eval()
        embeddings = encoder(patches)
        encoder.train(self.training)
        return embeddings

    def _long(self, features: Tensor, pairs: Tensor) -> Losses:
        """Eq. 8 for the distant pairs [B,2] among the abstract's x [B,K,C,h,w]."""
        pairs = pairs.to(features.device, non_blocking=True)
        chosen = pairs[:, :, None, None, None].expand(-1, -1, *features.shape[2:])
        x = features.gather(1, chosen)
        size = (self.objective.match_size,) * 2
        e = F.adaptive_avg_pool2d(self.network.encoder.keys(x.flatten(0, 1)), size)
        first, second = F.normalize(e, dim=1).unflatten(0, (len(x), 2)).unbind(1)

        with torch.autocast(features.device.type, enabled=False):
            there = cosines(first, second)
            back = there.transpose(1, 2)
            weights = [affinity(one, self.objective.match_temperature) for one in (there, back)]
            taus = self.regressor(there), self.regressor(back)
            loss = matching_loss(
                weights[0], weights[1], *taus, size, self.objective.match_reduction
            )

        largest = 2 * (there.shape[-1] if self.objective.match_reduction == "sum" else 1)
        return {"long": loss, "inliers": -loss.detach() / largest}
