"""Several processes learn what one does, go on as another number of them, and name a rank that is
lost.
"""

import dataclasses
import json
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from densevos.base.errors import InputError, RunError
from densevos.config import OptimiserConfig, TrainConfig
from densevos.data.clips import ClipBatch, ClipSampler
from densevos.engine import distributed
from densevos.engine.batchnorm import synchronised
from densevos.engine.loop import batch_of_one
from densevos.methods.self_training import make_learner
from densevos.training import train
from tests.densevos.conftest import write_frames
from tests.ranks import run_ranks

CPU = torch.device("cpu")


def losses(run: Path, first: int = 1) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["step"] >= first]


def _train(rank: int, config: TrainConfig, out: Path) -> None:
    assert distributed.on_first(lambda: f"decided by {rank}") == "decided by 0"
    with pytest.raises(InputError, match=r"^no such data$"):
        distributed.on_first(_no_such_data)
    assert distributed.totals([1, rank]) == [2, 1]
    assert distributed.gathered(rank) == [0, 1]
    distributed.barrier()
    distributed.barrier()
    train(config, out)


def _no_such_data() -> None:
    raise InputError("no such data")


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_one_goes_on_for_them(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    for k in range(4, 8):
        write_frames(tiny.data / f"video{k}", 9, seed=k)
    loop = dataclasses.replace(
        tiny.loop, epochs=10, global_batch=4, sync_batchnorm=True, checkpoint_every=10, keep_last=9
    )
    config = dataclasses.replace(
        tiny,
        loop=loop,
        clips=dataclasses.replace(tiny.clips, size=64, short_side=(64, 80)),
        objective=dataclasses.replace(tiny.objective, anchor_grid=4, cross_view_grid=4),
        optimiser=OptimiserConfig(name="sgd", lr=1e-2),
    )
    train(config, tmp_path / "one")
    run_ranks(2, _train, tmp_path, config, tmp_path / "two")
    assert len(losses(tmp_path / "one")) == 20
    assert_alike(losses(tmp_path / "two"), losses(tmp_path / "one"))
    checkpoint = tmp_path / "two" / "checkpoints" / "step-00000010.pt"
    train(config, tmp_path / "again", resume=str(checkpoint))
    assert_alike(losses(tmp_path / "again"), losses(tmp_path / "two", 11))


def assert_alike(found: list[float], wanted: list[float]) -> None:
    """From the same weights the first losses are equal; later rounding decides between
    pseudo-labels now and then.
    """
    assert found[0] == pytest.approx(wanted[0], rel=1e-6)
    assert found == pytest.approx(wanted, rel=0.02)


def _gradients(rank: int, config: TrainConfig, frames: torch.Tensor, out: Path) -> None:
    learner = synchronised(make_learner(config), CPU)
    model = DistributedDataParallel(learner)
    own = distributed.own_share(frames)
    model(ClipBatch(own, tuple("ab")), torch.Generator().manual_seed(0))["loss"].backward()
    values = {name: value.grad for name, value in learner.named_parameters()}
    torch.save({**values, **dict(learner.named_buffers())}, out / f"{rank}.pt")


@pytest.mark.slow
def test_three_processes_have_the_gradient_and_statistics_of_one(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    frames = torch.randint(
        0, 255, (6, 2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    run_ranks(3, _gradients, tmp_path, tiny, frames, tmp_path)
    learner = make_learner(tiny)
    learner(ClipBatch(frames, tuple("abcdef")), torch.Generator().manual_seed(0))["loss"].backward()
    whole = {name: value.grad for name, value in learner.named_parameters()} | dict(
        learner.named_buffers()
    )
    for rank in range(3):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == whole.keys()
        for name, value in whole.items():
            assert value is not None
            # The bias before a BatchNorm has no gradient but rounding.
            assert (
                float((found[name] - value).double().norm())
                < 1e-4 * float(value.double().norm()) + 1e-5
            ), name


def _hang(rank: int) -> None:
    if rank == 1:
        time.sleep(8)
        return
    distributed.ROLL_CALL_SECONDS = 1
    with (
        pytest.raises(RunError, match=r"^rank 1 of 2 died or hangs; .*--resume auto$"),
        distributed.lost_ranks_named(),
    ):
        dist.all_reduce(torch.zeros(1))


@pytest.mark.slow
def test_a_rank_that_hangs_is_named(tmp_path: Path) -> None:
    run_ranks(2, _hang, tmp_path, timeout=2)


def test_what_is_drawn_for_the_whole_batch_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(distributed.own_share(torch.arange(12).view(6, 2)))
    assert torch.equal(torch.cat(shares), torch.arange(12).view(6, 2))


def test_the_order_of_videos_does_not_depend_on_who_reads_them() -> None:
    whole = list(ClipSampler(26, 6, 3, seed=1, start=2))
    parts = [list(ClipSampler(26, 2, 3, seed=1, start=2, rank=rank, ranks=3)) for rank in range(3)]
    for step, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert step.keys == [key for share in shares for key in share.keys]
        for share in shares:
            assert {index for _, index in share.keys}.isdisjoint(share.beside)
            assert {index for _, index in step.keys} == {index for _, index in share.keys}.union(
                share.beside
            )


def test_a_global_batch_is_shared_or_refused(tiny: TrainConfig) -> None:
    loop = dataclasses.replace(tiny.loop, global_batch=12)
    assert [batch_of_one(loop, ranks) for ranks in (1, 2, 3)] == [12, 6, 4]
    assert batch_of_one(tiny.loop, 3) == tiny.loop.batch
    with pytest.raises(
        InputError, match=r"--loop\.global-batch 12: is not a multiple of the 5 processes"
    ):
        batch_of_one(loop, 5)
