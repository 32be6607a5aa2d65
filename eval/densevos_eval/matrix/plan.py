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

NAME = re.compile(r"[A-Za-z0-9][\w.+@-]*")  # Of encoders and benchmarks, which are folders.

RUN_KEYS = {option.name: False for option in fields(EncoderOptions) if option.name != "encoder"}
BENCHMARK_KEYS = {
    option.name: option.name in ("dataset", "root") for option in fields(BenchmarkOptions)
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination: which encoder on which benchmark with which preset."""

    encoder: str
    benchmark: str
    preset: PresetName

    @property
    def name(self) -> str:
        """ENCODER/BENCHMARK/PRESET, which is the folder of its masks and scores too."""
        return f"{self.encoder}/{self.benchmark}/{self.preset}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run. Names are those of the plan, in its order; the first encoder and preset are
    compared with.
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
        """What names stand for, as JSON takes it: `encoders` and `benchmarks`."""
        return {
            "encoders": {name: _plain(one) for name, one in self.encoders.items()},
            "benchmarks": {name: _plain(one) for name, one in self.benchmarks.items()},
        }


def read_plan(file: Path) -> Plan:
    """Read a plan.

    Its keys are `presets`, a list of names; `encoders`, a table of NAME = SPEC; `benchmarks`, a
    table of tables with dataset, root and the other options of a benchmark; and `options`, with
    layer, scale, precision and device for all encoders. Paths are relative to the working
    directory, as on the command line.

    Raises:
        InputError: In one line that names the file and the key: what is missing, unknown or wrong.
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

    check_keys(
        file, "", content, {"presets": True, "encoders": True, "benchmarks": True, "options": False}
    )
    run = table_of(file, "options", content.get("options", {}))
    check_keys(file, "options", run, RUN_KEYS)

    return Plan(
        file=file,
        encoders={
            name: _encoder(file, name, spec, run)
            for name, spec in _named(file, "encoders", content["encoders"])
        },
        benchmarks={
            name: _benchmark(file, name, table)
            for name, table in _named(file, "benchmarks", content["benchmarks"])
        },
        presets=_presets(file, content["presets"]),
    )


def _named(file: Path, where: str, value: object) -> list[tuple[str, Any]]:
    """The entries of a table whose keys are names of folders."""
    table = table_of(file, where, value)
    if not table:
        raise InputError(f"{file}: {where}: is empty; name one or more")

    for name in table:
        if not NAME.fullmatch(name):
            raise InputError(
                f"{file}: {where}.{name}: is no name of a folder; use letters, digits and -._"
            )

    return list(table.items())


def _encoder(file: Path, name: str, spec: object, run: Mapping[str, Any]) -> EncoderOptions:
    where = f"encoders.{name}"
    if not isinstance(spec, str):
        raise InputError(
            f'{file}: {where}: {spec!r} is no string; write {name} = "ENCODER", as --encoder takes it'
        )

    # Only files can be looked for before the encoder is loaded.
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

    return tuple(dict.fromkeys(value))


def _plain(options: Any) -> dict[str, Any]:
    """Options that were given, as JSON takes them."""
    given = {}
    for option in fields(options):
        value = getattr(options, option.name)
        if value != option.default:
            given[option.name] = str(value) if isinstance(value, Path) else value

    return given
