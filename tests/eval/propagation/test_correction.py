"""A mask in the middle, and a corrected frame: what is computed, what is kept, and that nothing
else differs.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.data.sources.video import open_frames
from densevos.data.synthetic.sequences import SyntheticConfig, SyntheticSequence, make_sequence
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.propagation import both_ways
from densevos_eval.propagation.both_ways import Span, frames_of
from densevos_eval.propagation.propagate import Propagation, _spans
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.protocols.folder import FOLDER
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.runs.runner import write_all
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.conftest import Benchmark

FRAMES = 8
CONTEXT = 2


@cache
def scene() -> SyntheticSequence:
    return make_sequence(4, SyntheticConfig(height=32, width=48, frames=FRAMES))


@cache
def writer() -> Propagation:
    torch.set_num_threads(1)
    encoder = load_encoder("random:resnet18", layer="res3", device="cpu")
    config = PropagationConfig(context=CONTEXT, radius=3)
    return Propagation(encoder=encoder, config=config, max_side=48)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    iio.imwrite(path, np.asarray(scene().frames), fps=5, codec="libx264", macro_block_size=2)
    return path


def with_masks(clip: Path, folder: Path, masks: Mapping[int, np.ndarray]) -> VideoSequence:
    """The clip with these given masks."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for frame, mask in masks.items():
        write_mask(folder / f"{frame:05d}.png", mask)
    return own_video(clip, folder)


def files(out: Path) -> dict[str, bytes]:
    """All files of the one sequence."""
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted((out / "clip").rglob("*"))
        if file.is_file()
    }


def truth(frame: int) -> np.ndarray:
    return np.asarray(scene().masks[frame])


def test_frames_come_in_the_order_of_a_span(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = open_frames(clip)
    every = reader.read(range(FRAMES))
    for at_once in (1, 3 * every[0].nbytes, 1 << 28):
        monkeypatch.setattr(both_ways, "AT_ONCE", at_once)
        for span in (
            Span(start=5, stop=-1, step=-1),
            Span(start=0, stop=FRAMES, step=1),
            Span(start=5, stop=FRAMES, step=1),
        ):
            np.testing.assert_array_equal(list(frames_of(reader, span)), every[span.frames])


def test_a_mask_in_the_middle_reaches_both_ends(clip: Path, tmp_path: Path) -> None:
    middle = 4
    sequence = with_masks(clip, tmp_path / "given", {middle: truth(middle)})
    write_all([sequence], writer(), tmp_path / "both")
    masks = [read_mask(tmp_path / "both" / "clip" / f"{t:05d}.png") for t in range(FRAMES)]
    assert all(mask.any() for mask in masks)
    np.testing.assert_array_equal(masks[middle], truth(middle))

    write_mask(tmp_path / "middle.png", truth(middle))
    # What leads away from the mask is what a clip is that starts there, in either direction.
    forward = own_video(clip, tmp_path / "middle.png", start=str(middle))
    write_all([forward], writer(), tmp_path / "forward")
    for t in range(middle, FRAMES):
        np.testing.assert_array_equal(
            read_mask(tmp_path / "forward" / "clip" / f"{t:05d}.png"), masks[t]
        )
    turned = tmp_path / "turned"
    turned.mkdir()
    for t, frame in enumerate(open_frames(clip).read(range(middle, -1, -1))):
        iio.imwrite(turned / f"{t:05d}.png", frame)
    backward = own_video(turned, tmp_path / "middle.png")
    write_all([backward], writer(), tmp_path / "backward")
    for t in range(middle + 1):
        np.testing.assert_array_equal(
            read_mask(tmp_path / "backward" / "turned" / f"{middle - t:05d}.png"), masks[t]
        )


CHANGES = {
    "a mask is added": ({0: 0}, {0: 0, 5: 5}, {}),
    "the second of three is taken back": (
        {0: 0, 2: 2, 6: 6},
        {0: 0, 6: 6},
        {"labels": "hard", "reference": "near"},
    ),
    "one is changed after a mask in the middle": ({3: 3, 6: 6}, {3: 3, 6: 5}, {}),
    "one is added within the context of the first": ({0: 0}, {0: 0, 1: 1}, {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_changed_mask_cannot_reach_is_kept_and_the_rest_is_as_in_one_run(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: str
) -> None:
    old_masks, new_masks, options = CHANGES[change]
    before, after = (
        {t: truth(source) for t, source in masks.items()} for masks in (old_masks, new_masks)
    )
    first_change = min(
        t for t in old_masks.keys() | new_masks.keys() if old_masks.get(t) != new_masks.get(t)
    )
    chosen = replace(
        writer(), config=replace(writer().config, **options), probabilities=not options
    )

    write_all([with_masks(clip, tmp_path / "given", before)], chosen, tmp_path / "out")
    old = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "clip").glob("*.png")}
    steps: list[str] = []
    changed = with_masks(clip, tmp_path / "given", after)
    write_all([changed], chosen, tmp_path / "out", resume=True, on_step=steps.append)
    assert f"clip: masks have changed; {first_change} frames are kept" in capsys.readouterr().err
    assert len(steps) == FRAMES

    write_all([changed], chosen, tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    kept = [file for file, time in old.items() if file.stat().st_mtime_ns == time]
    assert sorted(int(file.stem) for file in kept) == list(range(first_change))

    # Now it is complete, and a run that goes on leaves it as it is.
    write_all([changed], chosen, tmp_path / "out", resume=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("why", ["the first mask has changed", "features depend on earlier frames"])
def test_all_frames_are_computed_again_where_nothing_can_be_kept(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture, why: str
) -> None:
    is_first = why == "the first mask has changed"
    chosen = replace(writer(), encoder=replace(writer().encoder, every=1 if is_first else 2))
    write_all([with_masks(clip, tmp_path / "given", {0: truth(0)})], chosen, tmp_path / "out")
    changed = with_masks(clip, tmp_path / "given", {0: truth(1 if is_first else 0), 5: truth(5)})
    write_all([changed], chosen, tmp_path / "out", resume=True)
    assert "all frames are computed again" in capsys.readouterr().err
    write_all([changed], chosen, tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_damaged_result_is_not_corrected(clip: Path, tmp_path: Path) -> None:
    write_all([with_masks(clip, tmp_path / "given", {0: truth(0)})], writer(), tmp_path / "out")
    (tmp_path / "out" / "clip" / ".state" / "00003.npz").unlink()
    changed = with_masks(clip, tmp_path / "given", {0: truth(0), 5: truth(5)})
    with pytest.raises(InputError, match="was made from other frames or given masks"):
        write_all([changed], writer(), tmp_path / "out", resume=True)


def test_a_mask_that_is_stored_in_another_way_changes_nothing(
    clip: Path, tmp_path: Path, capsys
) -> None:
    sequence = with_masks(clip, tmp_path / "given", {0: truth(0)})
    write_all([sequence], writer(), tmp_path / "out")
    expected = files(tmp_path / "out")
    iio.imwrite(tmp_path / "given" / "00000.png", truth(0))  # grey instead of indexed
    write_all([sequence], writer(), tmp_path / "out", resume=True)
    assert f"{FRAMES} frames are kept, 0 are computed again" in capsys.readouterr().err
    assert files(tmp_path / "out") == expected


def test_folders_of_ones_own_go_both_ways_and_benchmarks_forward(benchmark: Benchmark) -> None:
    for sequence in load_sequences(FOLDER, benchmark.root, "val", ("one", "two")):
        assert not sequence.both_ways  # the first frame has a mask
    for frame in (0, 1):
        benchmark.annotation("one", frame).unlink()
    late, _ = load_sequences(FOLDER, benchmark.root, "val", ("one", "two"))
    assert (list(late.given), late.both_ways) == ([2], True)
    assert [list(span.written) for span in _spans(late, late.given)] == [[2, 3, 4, 5], [1, 0]]
    ytvos = replace(late, both_ways=False)
    assert [list(span.written) for span in _spans(ytvos, ytvos.given)] == [[0, 1, 2, 3, 4, 5]]
