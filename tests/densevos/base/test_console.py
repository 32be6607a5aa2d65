"""What both commands say at their end, and with which status."""

import subprocess
import sys

import pytest

from densevos.base import console

PRINTS = "import sys; from densevos.base import console; sys.exit(console.run(lambda: print('a line\\n' * {lines})))"


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
