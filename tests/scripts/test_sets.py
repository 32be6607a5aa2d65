"""The scripts of single sets, on small copies laid out as their authors distribute them."""

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, load_encoder, save_encoder
from tests.densevos.data.catalogue import layout_copies
from tests.eval import copies
from tests.scripts.starting import QUICK, dry, finish, run, start

DISPATCH = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}
SETS = {"kinetics": 3, "oxuva": 2, "ytvos": 2, "trackingnet": 2}
"""Name of a set -> how many videos of its copy are trained on."""


def do(commands: Sequence[str], *options: str) -> None:
    """Run what a script printed, in this process: starting each command would load torch each
    time.
    """
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "python":  # torchrun starts what follows --module
            program, *arguments = arguments[arguments.index("--module") + 1 :]
        assert console.run(partial(DISPATCH[program], [*arguments, *options])) == 0, command


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_a_set_is_prepared_and_trained_on(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / name
    getattr(layout_copies, name)(data)
    do(dry(f"prepare_{name}.sh", "--workers", 1, **{name.upper(): data, "SAMPLE": 2}))
    assert f"{SETS[name]} videos, all of them usable" in capsys.readouterr().out

    out = tmp_path / "run"
    do(
        dry(f"train_{name}.sh", **{name.upper(): data, "OUT": out, "GPUS": 1}),
        *QUICK,
        "--clips.gap",
        "1",
    )
    load_encoder(out / "encoder.safetensors")


@pytest.mark.slow
def test_davis_is_prepared(tmp_path: Path) -> None:
    layout_copies.davis(tmp_path)
    output = run("prepare_davis.sh", "--workers", 1, DAVIS=tmp_path, SAMPLE=1)
    assert f"{tmp_path}/videos.npz: 1 videos, all of them usable" in output
    assert (tmp_path / "videos.npz").exists()


@pytest.mark.parametrize("name", [*SETS, "davis"])
def test_videos_that_are_not_there_are_asked_for(name: str, tmp_path: Path) -> None:
    status, _, errors = finish(start(f"prepare_{name}.sh", **{name.upper(): tmp_path / "nowhere"}))
    assert status == 2
    assert "Download: " in errors
    assert errors.splitlines()[-1].startswith(f"error: {tmp_path}/nowhere: is no folder")


@pytest.mark.parametrize("name", SETS)
def test_training_wants_to_know_where_videos_are(name: str) -> None:
    status, _, errors = finish(start(f"train_{name}.sh", "--dry-run"))
    assert status != 0
    assert f"set {name.upper()} to the folder of the videos" in errors
    (line,) = dry(f"train_{name}.sh", "--loop.seed", 3, DATA="/list.txt", GPUS=1)
    assert f"train dul_{name} --data /list.txt --out " in line
    assert line.endswith(" --resume auto --loop.seed 3")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    file = tmp_path / "encoder.safetensors"
    save_encoder(file, DenseEncoder(EncoderConfig()), {})
    return file


@pytest.mark.slow
def test_davis_is_submitted(tmp_path: Path, encoder: Path) -> None:
    copies.davis(tmp_path / "DAVIS", "ImageSets/2017/test-dev.txt", annotated=range(1))
    where = {"DAVIS": tmp_path / "DAVIS", "ENCODER": encoder, "OUT": tmp_path / "out"}
    do(dry("submit_davis.sh", **where))
    assert (tmp_path / "out" / "davis17-testdev.zip").exists()
    assert sorted(path.name for path in (tmp_path / "out" / "davis17-testdev").iterdir()) == [
        "one",
        "two",
    ]


@pytest.mark.slow
def test_ytvos_is_submitted(tmp_path: Path, encoder: Path) -> None:
    copies.ytvos(tmp_path / "ytvos")
    where = {
        "YTVOS": tmp_path / "ytvos",
        "ENCODER": encoder,
        "OUT": tmp_path / "out",
        "FRAMES": "required",
    }
    do(dry("submit_ytvos.sh", **where))
    assert (tmp_path / "out" / "ytvos18.zip").exists()
    assert len(list((tmp_path / "out" / "ytvos18" / "Annotations").glob("*/*.png"))) == 6


def test_masks_are_made_again_on_request() -> None:
    first, *_ = dry("submit_davis.sh", "--overwrite", DAVIS="/davis", ENCODER="mine", OUT="/out")
    assert first.endswith("--out /out/masks --overwrite")
