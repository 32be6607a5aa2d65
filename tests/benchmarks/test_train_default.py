"""The encoder that comes with the package: which photographs, which commands, and the facts on its
card.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from experiments.train_default import about, run, stills
from tests.benchmarks.folders import Pretended, gathered

ALLOWED = {"CC0-1.0", "CC-BY-2.0", "CC-BY-4.0", "public domain"}


def photograph(name: str, content: bytes, source: str = "skimage") -> dict[str, str]:
    """A line of the list."""
    digest = hashlib.sha256(content).hexdigest()
    return {
        "file": f"{source}-{name}",
        "path": name,
        "licence": "CC0-1.0",
        "credit": "nobody",
        "sha256": digest,
    }


def test_every_photograph_has_a_licence_that_allows_it_and_an_author() -> None:
    listed = stills.rows()
    assert len({row["file"] for row in listed}) == len(listed) == 39
    assert {row["licence"] for row in listed} <= ALLOWED
    assert all(row["credit"] and len(row["sha256"]) == 64 for row in listed)
    assert sum(int(line.split()[0]) for line in about.photographs()) == len(listed)


def test_photographs_of_the_wheels_are_those_that_are_listed() -> None:
    for row in stills.rows():
        if row["file"].startswith(("skimage", "sklearn")):
            assert hashlib.sha256(stills.of_wheel(row["path"])).hexdigest() == row["sha256"]


def test_a_photograph_that_is_missing_or_changed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stills, "rows", lambda: [photograph("a.png", b"pixels")])
    assert stills.copy_stills(tmp_path, {"skimage": lambda path: b"pixels"}) == 1
    assert (tmp_path / "skimage-a.png").read_bytes() == b"pixels"
    with pytest.raises(InputError, match=r"^skimage-a.png: skimage has another photograph now"):
        stills.copy_stills(tmp_path, {"skimage": lambda path: b"others"})
    with pytest.raises(InputError, match=r"^skimage-a.png: skimage does not have a.png"):
        stills.copy_stills(tmp_path, {"skimage": stills.of_wheel})


def test_files_of_a_debian_package_are_read(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        member = tarfile.TarInfo("./usr/a.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    package = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n\n"), ("data.tar.xz", packed.getvalue())):
        header = f"{name:16}{0:<12}{0:<6}{0:<6}{'100644':8}{len(content):<10}`\n".encode()
        package += header + content + b"\n" * (len(content) % 2)
    (tmp_path / "a.deb").write_bytes(package)
    assert stills.of_debian_package(tmp_path / "a.deb")("usr/a.jpg") == b"abc"


def test_steps_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(command: tuple[str, ...]) -> None:
        if command[1] == "data":
            (tmp_path / "clips").mkdir()
            (tmp_path / "clips/train_videos.txt").touch()

    pretended = Pretended(leave)
    monkeypatch.setattr(run, "run_jobs", pretended)
    run.run({"OUT": str(tmp_path)}, ())
    model = f"{tmp_path}/run/encoder.safetensors"
    assert pretended.called == [
        f"python {run.HERE}/stills.py {tmp_path}/stills",
        f"densevos data synth --photographs {tmp_path}/stills {' '.join(run.CLIPS)} --out "
        f"{tmp_path}/clips --overwrite",
        f"densevos train dul_default --data {tmp_path}/clips/train_videos.txt --out {tmp_path}/run "
        f"--resume auto",
        f"python {run.HERE}/about.py {tmp_path} {tmp_path}/about.json",
        f"densevos export {model} --half --about {tmp_path}/about.json --out "
        f"{tmp_path}/default.safetensors",
    ]
    pretended.called.clear()
    run.run(
        {"OUT": str(tmp_path), "DAVIS": "/d", "OBJECTS": "/o", "OTHERS": "mine=my.safetensors"}, ()
    )
    assert pretended.called[0].startswith("densevos train")  # the clips are kept
    assert [command.split()[3] for command in pretended.starting("densevos-eval propagate")] == [
        *[f"{tmp_path}/measured.safetensors"] * 2,
        *["my.safetensors"] * 2,
    ]


def test_dry_run_prints_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(run, "run_jobs", None)
    run.run({"OUT": str(tmp_path / "none")}, ("--dry-run", "--loop.epochs", "1"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[2].endswith("--resume auto --loop.epochs 1")
    assert not (tmp_path / "none").exists()


def test_tables_and_card_have_every_encoder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, j in (("other", 0.25), ("default", 0.5), ("random", 0.125)):
        (tmp_path / "davis" / name).mkdir(parents=True)
        means = {"J-Mean": j, "F-Mean": 0.5, "J&F-Mean": (j + 0.5) / 2}
        results = {"overall": means, "sequences": {"bear": means}}
        (tmp_path / "davis" / name / "results.json").write_text(json.dumps(results))
    (tmp_path / "run").mkdir()
    card = {"steps": 4, "seconds": 90, "videos": 1, "config": {"data": str(tmp_path / "clips")}}
    (tmp_path / "run" / "encoder.json").write_text(json.dumps({"training": card}))
    record = {"machine": {}, "versions": {}, "git_commit": "c"}
    (tmp_path / "run" / "provenance.json").write_text(json.dumps(record))

    assert "scores" not in about.about(tmp_path)
    said, result = gathered(capsys, "train_default", str(tmp_path))
    assert (
        "| sequence | J random | J default | J other | F random | F default | F other |"
        in said.splitlines()
    )
    assert "| bear | 12.5 | 50.0 | 25.0 | 50.0 | 50.0 | 50.0 |" in said.splitlines()
    assert (result["steps"], result["config"]) == (4, {"data": "OUT/clips"})
    assert (
        about.about(tmp_path)["scores"][1]
        == "DAVIS-2016 sequences (1), this encoder: J 50.0, F 50.0"
    )
