"""The runner with a kind of segmentation of a few lines: what every kind gets from it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from densevos.base.console import run as ended
from densevos.base.errors import InputError, RunError
from densevos.base.masks import read_mask, write_mask
from densevos_eval.runs.options import RunOptions
from densevos_eval.runs.runner import run, write_all
from densevos_eval.sequences.sequence import VideoSequence
from tests.conftest import ROOT
from tests.eval.conftest import FRAMES, HEIGHT, WIDTH, write_frames


@dataclass(frozen=True, kw_only=True)
class Flood:
    """A MaskWriter that calls everything object `id`, and half of it in a folder `half`."""

    record: str = "flood.json"
    memory_hint: str = "flood less"
    inputs: tuple[Path, ...] = ()
    background: bool = True
    id: int = 1
    refused: str = ""
    trouble: str = ""

    def settings(self) -> dict[str, dict[str, int]]:
        return {"": {"id": self.id}, "half": {"id": self.id, "share": 2}}

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        return (
            InputError(f"{sequence.source}: is refused") if sequence.name == self.refused else None
        )

    def steps(self, sequence: VideoSequence) -> int:
        return len(sequence.frame_names)

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step) -> None:
        for name in sequence.frame_names:
            if sequence.name == self.trouble:
                raise MemoryError
            mask = np.full((HEIGHT, WIDTH), self.id, np.uint8)
            for folder, width in zip(folders, (WIDTH, WIDTH // 2), strict=True):
                write_mask(folder / f"{name}.png", mask[:, :width])
            on_step(sequence.name)

    def summary(self, out: Path) -> list[str]:
        return [f"{out}: flooded"]


def flood(device: str, **options) -> Flood:
    return Flood(**options)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[VideoSequence]:
    monkeypatch.syspath_prepend(str(ROOT))  # processes find this module
    names = tuple(f"{t:05d}" for t in range(FRAMES))
    for name in "abc":
        write_frames(tmp_path / "frames" / name)
    return [
        VideoSequence(name=name, source=tmp_path / "frames" / name, frame_names=names)
        for name in "abc"
    ]


def files(out: Path) -> dict[str, bytes]:
    found = [path for path in out.rglob("*") if path.is_file() and ".propagation" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in found}


@pytest.mark.slow
def test_here_and_in_processes_the_same_files_and_ticks(three, tmp_path: Path) -> None:
    for out, loads in (("here", ()), ("there", [partial(flood, "cpu")] * 2)):
        ticks: list[str] = []
        assert write_all(three, Flood(), tmp_path / out, loads=loads, on_step=ticks.append) == {}
        assert sorted(ticks) == sorted("abc" * FRAMES)
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert json.loads((tmp_path / "here" / "flood.json").read_text()) == {"id": 1}
    assert json.loads((tmp_path / "here" / "half" / "flood.json").read_text()) == {
        "id": 1,
        "share": 2,
    }
    assert read_mask(tmp_path / "here" / "half" / "b" / "00000.png").shape == (HEIGHT, WIDTH // 2)


def test_resume_keeps_what_is_complete_in_all_folders(three, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_all(three, Flood(), out)
    expected, kept = files(out), (out / "a" / "00000.png").stat().st_mtime_ns
    (out / "half" / "b" / "00002.png").unlink()
    ticks: list[str] = []
    assert write_all(three, Flood(), out, resume=True, on_step=ticks.append) == {}
    assert files(out) == expected
    assert (out / "a" / "00000.png").stat().st_mtime_ns == kept
    assert len(ticks) == 3 * FRAMES
    with pytest.raises(InputError, match=r"flood\.json: has id 1, not 2; pass the same"):
        write_all(three, Flood(id=2), out, resume=True)
    assert files(out) == expected


def test_failures_are_the_sequences_alone(three, tmp_path: Path) -> None:
    failed = write_all(three, Flood(refused="a", trouble="b"), tmp_path / "out")
    assert list(failed) == ["a", "b"]
    assert isinstance(failed["b"], RunError)
    assert str(failed["b"]) == f"{three[1].source}: memory is too short; flood less"
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == [
        ".propagation",
        "c",
        "half",
    ]
    with pytest.raises(InputError, match="a: is refused"):
        write_all(three[:1], Flood(refused="a"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_command_lists_failures_and_its_shards_share_a_folder(
    three, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    load = partial(flood, trouble="a")
    for part, expected in (("1/2", 1), ("2/2", 0)):
        options = RunOptions(out=out, shard=part, workers=1)
        assert (
            ended(lambda options=options: run("flood", three, load, options, device="cpu"))
            == expected
        )
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{out}: flooded"] * 2
    assert said.err.splitlines() == [
        f"a: {three[0].source}: memory is too short; flood less",
        "error: 1 of 2 sequences have no result, the others do; fix them and pass --resume",
    ]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [
        ".propagation",
        "b",
        "c",
        "half",
    ]


def test_ones_own_video_gets_a_movie(three, tmp_path: Path, capsys) -> None:
    own = replace(three[0], frame_names=three[0].frame_names[:3])
    run(
        "flood",
        [own],
        flood,
        RunOptions(out=tmp_path / "out", fps=8, workers=1),
        device="cpu",
        movie=True,
    )
    assert (tmp_path / "out" / "a.mp4").stat().st_size > 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{tmp_path / 'out' / 'a'}: 3 masks",
        f"{tmp_path / 'out' / 'a.mp4'}: the movie of them",
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"workers": 0}, "--workers: must be 1 or more"), ({"fps": 0}, "--fps: must be above 0")],
)
def test_options_that_cannot_be(options: dict, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        RunOptions(out=Path("out"), **options)
    with pytest.raises(InputError, match="--fps: is for the movie of a --video"):
        RunOptions(out=Path("out"), fps=8).check_movie(False)
