"""The plan of a matrix: which encoders, benchmarks and presets, read from a TOML file."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from densevos.base.errors import InputError
from densevos.base.text import read_text
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.inputs.footage import Videos
from densevos_eval.matrix.reading import check_keys, options_of, table_of
from densevos_eval.presets.options import PresetName
from densevos_eval.protocols.options import BenchmarkOptions

# Names of encoders and benchmarks are also names of folders.
NAME = re.compile(r"[A-Za-z0-9][\w.+@-]*")

# Keys of the tables -> whether they are required.
PLAN_KEYS = {"presets": True, "encoders": True, "benchmarks": True, "options": False}
RUN_KEYS = {option.name: False for option in fields(EncoderOptions) if option.name != "encoder"}
BENCHMARK_KEYS = {
    option.name: option.name in ("dataset", "root") for option in fields(BenchmarkOptions)
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of an encoder, a benchmark and a preset, by their names in the plan."""

    encoder: str
    benchmark: str
    preset: PresetName

    @property
    def name(self) -> str:
        """ENCODER/BENCHMARK/PRESET, which is also the folder of its masks and scores."""
        return f"{self.encoder}/{self.benchmark}/{self.preset}"


@dataclass(frozen=True, kw_only=True)
class MatrixPlan:
    """What to run: named encoders and benchmarks, and presets, in the order of the file.

    All rows are compared with the one of the first encoder and the first preset.
    """

    file: Path
    encoders: Mapping[str, EncoderOptions]
    benchmarks: Mapping[str, Videos]
    presets: tuple[PresetName, ...]

    def cells(self) -> Iterator[Cell]:
        """All combinations: an encoder's benchmarks together, a benchmark's presets together."""
        for encoder in self.encoders:
            for benchmark in self.benchmarks:
                for preset in self.presets:
                    yield Cell(encoder=encoder, benchmark=benchmark, preset=preset)

    def facts(self) -> dict[str, dict[str, Any]]:
        """The options behind each name of `encoders` and `benchmarks`, as JSON values."""
        encoders = {name: _plain(options) for name, options in self.encoders.items()}
        benchmarks = {name: _plain(options) for name, options in self.benchmarks.items()}
        return {"encoders": encoders, "benchmarks": benchmarks}


def read_plan(file: Path) -> MatrixPlan:
    """Read the plan of a matrix.

    The file has these keys: `presets`, a list of names; `encoders`, a table of NAME = SPEC;
    `benchmarks`, a table of tables with dataset, root and the other options of a benchmark; and
    `options`, a table with layer, scale, precision and device for all encoders. Paths are relative
    to the working directory, as on the command line.

    Args:
        file: A TOML file.

    Raises:
        InputError: The file is missing or no TOML, or a key is missing, unknown or has a wrong
            value. The message is one line that names the file and the key.
    """
    try:
        content = tomllib.loads(read_text(file, "write the plan as TOML"))
    except FileNotFoundError:
        raise InputError(
            f"{file}: file is missing; write a plan with presets, [encoders] and [benchmarks]"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{file}: is no TOML ({error}); strings want quotes, lists brackets"
        ) from error

    check_keys(file, "", content, PLAN_KEYS)
    # These options hold for all encoders; the table may be missing.
    run = table_of(file, "options", content.get("options", {}))
    check_keys(file, "options", run, RUN_KEYS)

    # Order matters: the first encoder is the one that the others are compared with.
    encoders = {}
    for name, spec in _named(file, "encoders", content["encoders"]):
        encoders[name] = _encoder(file, name, spec, run)

    benchmarks = {}
    for name, table in _named(file, "benchmarks", content["benchmarks"]):
        benchmarks[name] = _benchmark(file, name, table)

    presets = _presets(file, content["presets"])
    return MatrixPlan(file=file, encoders=encoders, benchmarks=benchmarks, presets=presets)


def _named(file: Path, where: str, value: object) -> list[tuple[str, Any]]:
    """The entries of a table whose keys are names of folders."""
    table = table_of(file, where, value)
    if not table:
        raise InputError(f"{file}: {where}: is empty; name one or more")

    # The names become folders of the matrix.
    for name in table:
        if not NAME.fullmatch(name):
            raise InputError(
                f"{file}: {where}.{name}: is no name of a folder; use letters, digits and -._"
            )

    return list(table.items())


def _encoder(file: Path, name: str, spec: object, run: Mapping[str, Any]) -> EncoderOptions:
    """The options of one encoder; `run` holds those of all encoders."""
    where = f"encoders.{name}"
    if not isinstance(spec, str):
        raise InputError(
            f"{file}: {where}: {spec!r} is no string;"
            f' write {name} = "ENCODER", as --encoder takes it'
        )

    # A missing file is found now; other kinds of encoders are only checked when they are loaded.
    if ":" not in spec and not Path(spec).exists():
        raise InputError(f"{file}: {where}: {spec}: no such encoder file")

    return options_of(file, "options", EncoderOptions, {"encoder": spec, **run})


def _benchmark(file: Path, name: str, value: object) -> Videos:
    where = f"benchmarks.{name}"
    table = table_of(file, where, value)
    check_keys(file, where, table, {**BENCHMARK_KEYS, "max_side": False})
    return options_of(file, where, Videos, table)


def _presets(file: Path, value: object) -> tuple[PresetName, ...]:
    known = get_args(PresetName)
    if not (isinstance(value, list) and value):
        raise InputError(f"{file}: presets: is no list of names; known are {', '.join(known)}")

    for name in value:
        if name not in known:
            raise InputError(f"{file}: presets: {name!r} is none of {', '.join(known)}")

    # A preset named twice counts once; a dictionary keeps the order.
    return tuple(dict.fromkeys(value))


def _plain(options: Any) -> dict[str, Any]:
    """Options that differ from their defaults, as JSON values."""
    # Defaults are left out, so that a new option does not change older records.
    given = {}
    for option in fields(options):
        value = getattr(options, option.name)
        if value == option.default:
            continue

        # JSON has no paths.
        given[option.name] = str(value) if isinstance(value, Path) else value

    return given
