"""Layouts of benchmarks on disk: what is found, and what is named when it is missing."""

import shutil
from pathlib import Path

import pytest

from densevos.base.errors import InputError
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.protocol import Protocol


def names(options: BenchmarkOptions) -> list[str]:
    return [sequence.name for sequence in options.load()]


@pytest.mark.parametrize("dataset", ["davis16", "davis17", "folder"])
def test_sequences_of_the_list(benchmark, dataset) -> None:
    first, second = BenchmarkOptions(dataset=dataset, root=benchmark.root).load()
    assert (first.name, second.name) == ("one", "two")
    assert first.source == benchmark.root / "JPEGImages" / "480p" / "one"
    assert first.frame_names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert first.given == {0: benchmark.annotation("one", 0)}
    assert first.truth[5] == benchmark.annotation("one", 5)
    assert first.merge_objects == (dataset == "davis16")


def test_unsupervised_gives_no_mask(benchmark) -> None:
    options = BenchmarkOptions(
        dataset="davis17-unsupervised", root=benchmark.root, annotations="Annotations"
    )
    assert all(sequence.given == {} for sequence in options.load())


def test_named_sequences_need_no_list(benchmark) -> None:
    shutil.rmtree(benchmark.root / "ImageSets")
    assert names(BenchmarkOptions(dataset="davis17", root=benchmark.root, sequences=("two",))) == [
        "two"
    ]


def test_folder_without_lists_takes_every_sequence(benchmark) -> None:
    shutil.rmtree(benchmark.root / "ImageSets")
    assert names(BenchmarkOptions(dataset="folder", root=benchmark.root)) == ["one", "two"]


@pytest.mark.parametrize("resolution", ["240p", ""])
def test_the_only_resolution_is_found(benchmark, resolution: str) -> None:
    for side in ("JPEGImages", "Annotations"):
        folder = benchmark.root / side
        (folder / "480p").rename(folder / "moved")
        for sequence in ("one", "two"):
            shutil.move(folder / "moved" / sequence, folder / resolution / sequence)
        (folder / "moved").rmdir()
    assert names(BenchmarkOptions(dataset="davis17", root=benchmark.root)) == ["one", "two"]


def test_several_resolutions_need_a_choice(benchmark) -> None:
    for side in ("JPEGImages", "Annotations"):
        (benchmark.root / side / "480p").rename(benchmark.root / side / "240p")
        shutil.copytree(benchmark.root / side / "240p", benchmark.root / side / "720p")
    with pytest.raises(InputError, match="240p, 720p; choose one with --resolution"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root).load()
    (found, _) = BenchmarkOptions(dataset="davis17", root=benchmark.root, resolution="720p").load()
    assert found.source == benchmark.root / "JPEGImages" / "720p" / "one"


def test_other_annotation_folder(benchmark) -> None:
    (benchmark.root / "Annotations").rename(benchmark.root / "Annotations_2017")
    options = BenchmarkOptions(
        dataset="davis17", root=benchmark.root, annotations="Annotations_2017"
    )
    assert (
        options.load()[0].truth[0]
        == benchmark.root / "Annotations_2017" / "480p" / "one" / "00000.png"
    )


@pytest.mark.parametrize(
    "missing",
    [
        ".",
        "JPEGImages",
        "Annotations",
        "Annotations/480p",
        "JPEGImages/480p/two",
        "Annotations/480p/two",
        "ImageSets/2017/val.txt",
    ],
)
def test_first_missing_part_is_named_with_where_to_get_it(benchmark, missing: str) -> None:
    part = benchmark.root / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(InputError) as error:
        BenchmarkOptions(dataset="davis17", root=benchmark.root).load()
    assert str(error.value).startswith(f"{part}: ")
    assert "https://davischallenge.org" in str(error.value)


def test_first_masks_are_enough_for_test_dev(benchmark) -> None:
    lists = benchmark.root / "ImageSets" / "2017"
    (lists / "val.txt").rename(lists / "test-dev.txt")
    for t in range(1, 6):
        benchmark.annotation("one", t).unlink()
    first, _ = BenchmarkOptions(dataset="davis17-testdev", root=benchmark.root).load()
    assert first.given == {0: benchmark.annotation("one", 0)}
    assert first.truth == ()
    benchmark.annotation("two", 0).unlink()
    with pytest.raises(
        InputError, match=r"two/00000\.png: file is missing; davis17-testdev needs .*test-dev\.txt"
    ):
        BenchmarkOptions(dataset="davis17-testdev", root=benchmark.root).load()


def test_frame_missing_from_test_dev_is_noticed_by_its_number(benchmark) -> None:
    lists = benchmark.root / "ImageSets" / "2017"
    (lists / "val.txt").rename(lists / "test-dev.txt")
    for t in range(1, 6):
        benchmark.annotation("two", t).unlink()
    (benchmark.root / "JPEGImages" / "480p" / "two" / "00003.jpg").unlink()
    with pytest.raises(
        InputError, match=r"two/00003\.jpg: frame is missing.*https://davischallenge"
    ):
        BenchmarkOptions(dataset="davis17-testdev", root=benchmark.root).load()


def test_own_folder_may_have_few_annotations(benchmark) -> None:
    for t in range(1, 6):
        benchmark.annotation("two", t).unlink()
    assert names(BenchmarkOptions(dataset="folder", root=benchmark.root)) == ["one", "two"]
    with pytest.raises(InputError, match=r"two/00001\.png: file is missing"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root).load()


def test_unknown_split_names_those_there(benchmark) -> None:
    with pytest.raises(InputError, match=r"test\.txt: list of sequences is missing \(there: val\)"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root, split="test").load()


def test_list_of_nothing_is_refused(benchmark) -> None:
    (benchmark.root / "ImageSets" / "2017" / "val.txt").write_text("\n\n")
    with pytest.raises(InputError, match="list is empty"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root).load()


def test_sequence_without_frames_is_refused(benchmark) -> None:
    for file in (benchmark.root / "JPEGImages" / "480p" / "two").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="two: folder holds no images"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root).load()


def test_folder_without_sequences_is_refused(tmp_path: Path) -> None:
    for side in ("JPEGImages", "Annotations"):
        (tmp_path / side).mkdir()
    with pytest.raises(InputError, match="holds no sequences"):
        BenchmarkOptions(dataset="folder", root=tmp_path).load()


def test_options_leave_the_protocol_as_it_was() -> None:
    options = BenchmarkOptions(dataset="davis16", root=Path(), annotations="Mine", resolution="")
    protocol: Protocol = options.protocol()
    assert (protocol.annotations, protocol.resolution) == ("Mine", "")
    assert BenchmarkOptions(dataset="davis16", root=Path()).protocol().annotations == "Annotations"


@pytest.mark.parametrize(
    ("dataset", "options", "complaint"),
    [
        (
            "davis17",
            {"frames": "required"},
            "--frames required: is for vost, ytvos18, ytvos19, not for davis17",
        ),
        (
            "jhmdb",
            {"frames": "required"},
            "--frames required: is for vost, ytvos18, ytvos19, not for jhmdb",
        ),
        ("ytvos18", {"resolution": "480p"}, "--resolution 480p: ytvos18 has a single one"),
        ("ytobjects", {"resolution": ""}, "--resolution : ytobjects has a single one"),
        ("jhmdb", {"resolution": "480p"}, "--resolution 480p: jhmdb has a single one"),
        ("ytobjects", {"split": "train"}, "--split train: ytobjects has no splits"),
    ],
)
def test_options_that_would_do_nothing_are_refused(dataset, options, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        BenchmarkOptions(dataset=dataset, root=Path(), **options)


def test_a_sequence_named_twice_counts_once(benchmark) -> None:
    named = ("two", "one", "two", "./one", "two/")
    assert names(BenchmarkOptions(dataset="davis17", root=benchmark.root, sequences=named)) == [
        "two",
        "one",
    ]


@pytest.mark.parametrize("outside", ["..", "../480p/one", "."])
def test_names_never_lead_out_of_the_benchmark(benchmark, outside: str) -> None:
    for folder in ("JPEGImages/480p/one", "Annotations/480p/one"):
        for file in (benchmark.root / folder).iterdir():
            for above in (
                file.parents[1],
                file.parents[2],
            ):  # so that all that propagation reads is there
                shutil.copy(file, above)
    options = BenchmarkOptions(dataset="davis17", root=benchmark.root, sequences=(outside,))
    with pytest.raises(InputError, match="outside of the benchmark's folders"):
        options.load()
    absolute = str(benchmark.root / "Annotations" / "480p" / "one")
    with pytest.raises(InputError, match="outside of the benchmark's folders"):
        BenchmarkOptions(dataset="davis17", root=benchmark.root, sequences=(absolute,)).load()


def test_real_multi_object_sets(shared: Path) -> None:
    data = shared / "data"
    (dogs,) = BenchmarkOptions(
        dataset="davis17", root=data / "multi-object", sequences=("dogs-jump",)
    ).load()
    (bmx,) = BenchmarkOptions(
        dataset="davis17",
        root=data / "DAVIS",
        annotations="Annotations_2017",
        sequences=("bmx-trees",),
    ).load()
    assert len(dogs.frame_names) == 66
    assert all(file.is_file() for file in (*dogs.truth, *bmx.truth))
