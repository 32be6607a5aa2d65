"""docs/cluster.md: its commands run as they stand, on small data of the same layout."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("submitit")

from tests import pages
from tests.conftest import ROOT
from tests.densevos.data.catalogue import layout_copies
from tests.eval import copies
from tests.scripts.starting import QUICK, environment

PAGE = pages.page("cluster.md")


def do(command: str) -> None:
    """Run a line of the page. A script's commands are printed with --dry-run and then run here,
    made quick.
    """
    variables, words = [], shlex.split(command)
    while "=" in words[0]:
        variables.append(words.pop(0).split("=", 1))
    if words[0] != "bash":
        return pages.call(command)
    done = subprocess.run(
        ["bash", str(ROOT / words[1]), *words[2:], "--dry-run"],
        env=environment(**dict(variables)),
        capture_output=True,
        text=True,
        check=True,
    )
    if "--dry-run" in words:
        assert done.stdout.count("\n") == 1
        return None
    for line in done.stdout.splitlines():
        program, *arguments = shlex.split(line)
        if "--module" in arguments:
            program, *arguments = [
                *arguments[arguments.index("--module") + 1 :],
                *QUICK,
                "--clips.gap",
                "1",
            ]
        pages.call(shlex.join([Path(program).name, *arguments]))
    return None


@pytest.mark.slow
def test_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    layout_copies.ytvos(tmp_path / "ytvos")
    copies.davis(tmp_path / "DAVIS", "ImageSets/2017/val.txt", names={"one": copies.MASKS["one"]})
    copies.davis(tmp_path / "DAVIS-test-dev", "ImageSets/2017/test-dev.txt", annotated=range(1))
    monkeypatch.chdir(tmp_path)
    ran = pages.commands(PAGE)
    for command in ran:
        do(command)
    assert len(ran) == 10
    assert (tmp_path / "runs" / "ytvos" / "encoders" / "best.safetensors").exists()
    assert (tmp_path / "runs" / "submit" / "davis17-testdev.zip").exists()


def test_commands_for_a_cluster_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    for name in ("sbatch", "srun", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\necho Submitted batch job 77\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    slurm, *launched = pages.commands(PAGE, "sh")  # These need a cluster.
    assert slurm.endswith("scripts/slurm.sh")
    for command in launched:
        pages.call(command)
    said = capsys.readouterr().out
    assert said.count("job 77_") == 16
    assert said.count("job 77: densevos train dul_ytvos") == 1


def test_the_page_names_every_script_that_it_is_about() -> None:
    for script in (ROOT / "scripts").glob("*.sh"):
        is_long = script.name.startswith(("prepare_", "train", "submit_", "slurm"))
        if (
            is_long and script.name != "train_default.sh"
        ):  # That one takes a quarter of an hour on one machine.
            assert f"scripts/{script.name}" in PAGE
