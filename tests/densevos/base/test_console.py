"""What both commands say at their end, and with which status."""

import subprocess
import sys

import pytest
from rich import box
from rich.table import Table
from rich.text import Text

from densevos.base import console
from tests.conftest import ROOT

PRINTS = (
    "import sys; from densevos.base import console; "
    "sys.exit(console.run(lambda: print('a line\\n' * {lines})))"
)


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_stops_is_no_error(lines: int) -> None:
    piped = f'"{sys.executable}" -c "{PRINTS.format(lines=lines)}" | true; exit ${{PIPESTATUS[0]}}'
    finished = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False)
    assert finished.stderr == ""
    assert finished.returncode in {0, 141}  # 0: all was written before the reader was gone
    if lines > 1:
        assert finished.returncode == 141


def test_another_broken_pipe_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise BrokenPipeError(32, "Broken pipe: the encoder of the movie ended")

    assert console.run(fails) == 1
    assert "movie" in capsys.readouterr().err


def wide_table() -> Table:
    table = Table(title="A title", box=box.SIMPLE_HEAD)
    for number in range(20):
        table.add_column(f"column {number}", no_wrap=True)
    table.add_row(*(f"number {number}" for number in range(20)))
    return table


@pytest.mark.parametrize("columns", ["40", "80", "1000"])
def test_a_pipe_gets_the_whole_table(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console.print_table(wide_table())
    lines = capsys.readouterr().out.splitlines()
    for number in range(20):
        assert sum(f"column {number} " in f"{line} " for line in lines) == 1
        assert sum(f"number {number} " in f"{line} " for line in lines) == 1
    assert not any("…" in line for line in lines)


def test_a_terminal_gets_a_table_that_fits(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.print_table(wide_table())
    lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert max(map(len, lines)) <= 60


def test_tables_are_printed_in_one_place() -> None:
    """Another Console on standard output would cut tables in pipes again."""
    users = (*ROOT.glob("densevos/**/*.py"), *ROOT.glob("eval/**/*.py"))
    printing = [path.name for path in users if "Console()" in path.read_text(encoding="utf-8")]
    assert printing == ["console.py"]
