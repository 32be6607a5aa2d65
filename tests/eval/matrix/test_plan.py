"""Plans: what they say, and the one line for everything that is wrong in them."""

from dataclasses import fields
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.matrix.plan import read_plan
from densevos_eval.presets.registry import PRESETS
from densevos_eval.protocols.options import BenchmarkOptions

PLAN = """
presets = ["dul", "crw", "dul"]

[encoders]
random = "random:resnet18"
other = "random:resnet18:1"

[benchmarks.davis]
dataset = "davis17"
root = "DAVIS"
sequences = ["one"]

[benchmarks.tube]
dataset = "ytvos18"
root = "YT"
frames = "required"
max_side = 320

[options]
scale = 1
precision = "bf16"
"""

OPTIONS = ", ".join(option.name for option in fields(EncoderOptions) if option.name != "encoder")


def written(folder: Path, text: str = PLAN) -> Path:
    file = folder / "plan.toml"
    file.write_text(text)
    return file


def test_everything_of_a_plan_reaches_the_options(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert plan.presets == ("dul", "crw")
    assert list(plan.encoders) == ["random", "other"]
    other = plan.encoders["other"]
    assert (other.encoder, other.scale, other.precision) == ("random:resnet18:1", 1.0, "bf16")
    davis, tube = plan.benchmarks.values()
    assert (davis.dataset, davis.root, davis.sequences, davis.max_side) == (
        "davis17",
        Path("DAVIS"),
        ("one",),
        None,
    )
    assert (tube.frames, tube.max_side, tube.split) == ("required", 320, "val")
    names = [cell.name for cell in plan.cells()]
    assert names[:3] == ["random/davis/dul", "random/davis/crw", "random/tube/dul"]
    assert len(names) == len(set(names)) == 8
    assert plan.facts()["benchmarks"]["davis"] == {
        "dataset": "davis17",
        "root": "DAVIS",
        "sequences": ("one",),
    }


def test_every_preset_and_every_option_of_a_benchmark_may_be_named(tmp_path: Path) -> None:
    names = ", ".join(f'"{name}"' for name in PRESETS)
    assert read_plan(
        written(tmp_path, PLAN.replace('"dul", "crw", "dul"', names))
    ).presets == tuple(PRESETS)
    known = ", ".join(option.name for option in fields(BenchmarkOptions))
    with pytest.raises(
        InputError,
        match=rf"benchmarks\.davis\.speed: is no known key; known are {known}, max_side$",
    ):
        read_plan(written(tmp_path, PLAN.replace("sequences =", "speed =")))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('presets = ["dul", "crw", "dul"]', "", "presets: is missing"),
        (
            "[options]",
            "[option]",
            "option: is no known key; known are presets, encoders, benchmarks, options",
        ),
        ("scale = 1", "size = 1", f"options.size: is no known key; known are {OPTIONS}"),
        ("scale = 1", 'scale = "half"', "options.scale: 'half' is not a number"),
        ("scale = 1", "scale = true", "options.scale: True is not a number"),
        ("scale = 1", "scale = 0", "options: --scale: must be"),
        ('"bf16"', '"fp8"', "options.precision: 'fp8' is not one of fp32, tf32, bf16"),
        (
            '["dul", "crw", "dul"]',
            '["dul", "mine"]',
            f"presets: 'mine' is none of {', '.join(PRESETS)}",
        ),
        (
            '["dul", "crw", "dul"]',
            '"dul"',
            f"presets: is no list of names; known are {', '.join(PRESETS)}",
        ),
        ('["dul", "crw", "dul"]', "[]", "presets: is no list of names"),
        (
            'random = "random:resnet18"',
            "random = 18",
            'encoders.random: 18 is no string; write random = "ENCODER"',
        ),
        (
            'other = "random:resnet18:1"',
            'other = "runs/gone"',
            "encoders.other: runs/gone: no such encoder file",
        ),
        (
            'other = "random:resnet18:1"',
            '"a/b" = "random:resnet18"',
            "encoders.a/b: is no name of a folder",
        ),
        ('root = "DAVIS"', "", "benchmarks.davis.root: is missing"),
        ('root = "DAVIS"', "root = 3", "benchmarks.davis.root: 3 is not a path"),
        ('["one"]', '"one"', "benchmarks.davis.sequences: 'one' is not a list, each a string"),
        (
            '"davis17"',
            '"davis18"',
            "benchmarks.davis: --dataset davis18: is no known benchmark; choose one of",
        ),
        (
            '"ytvos18"',
            '"davis17"',
            "benchmarks.tube: --frames required: is for vost, ytvos18, ytvos19, not for davis17",
        ),
        (
            "max_side = 320",
            "max_side = 0",
            "benchmarks.tube: --max-side: must be 1 or more pixels, is 0",
        ),
        ("[benchmarks.tube]", "[benchmarks.tube.x]", "benchmarks.tube.x: is no known key"),
        ("scale = 1", "scale = ", "is no TOML ("),
    ],
)
def test_what_is_wrong_is_one_line_with_plan_and_key(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    assert old in PLAN
    file = written(tmp_path, PLAN.replace(old, new))
    with pytest.raises(InputError) as error:
        read_plan(file)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{file}: {told}")


@pytest.mark.parametrize("part", ["encoders", "benchmarks"])
def test_a_table_is_needed(part: str, tmp_path: Path) -> None:
    tables = {
        "encoders": '[encoders]\na = "random:resnet18"\n',
        "benchmarks": '[benchmarks.b]\ndataset = "vip"\nroot = "."\n',
    }
    for value, told in (("3", "is no table of KEY = VALUE"), ("{}", "is empty; name one or more")):
        others = "".join(text for name, text in tables.items() if name != part)
        file = written(tmp_path, f'presets = ["dul"]\n{part} = {value}\n{others}')
        with pytest.raises(InputError, match=f"plan.toml: {part}: {told}"):
            read_plan(file)


def test_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"gone\.toml: file is missing; write a plan with presets, \[encoders\]"
    ):
        read_plan(tmp_path / "gone.toml")
