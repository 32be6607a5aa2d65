"""BatchNorm's statistics of the frames that are segmented: against numpy, and from the command
line.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.config.image_to_video import NetworkConfig
from densevos.models.segmentation.network import make_network, save_network
from densevos_eval.segmentation import adaptation
from densevos_eval.segmentation.adaptation import (
    FRAMES,
    Glimpse,
    adapt,
    frames_to_see,
    mixed_batches,
    other_input,
    spread,
)
from densevos_eval.segmentation.classifier import Classifier, load_classifier
from densevos_eval.segmentation.options import Pictures, SegmentationInput
from densevos_eval.segmentation.statistics import estimate_statistics
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.segmentation.test_segment import CLASSES, CPU, by_colour, run, write_set

POOLED = "6"  # The layer behind the pooling.


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small_network() -> nn.Sequential:
    """Two layers of BatchNorm on maps and one behind a pooling, with weights and statistics that
    are not neutral.
    """
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3),
        nn.BatchNorm2d(5),
    )
    network = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(5, 2)
    )
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                nn.init.uniform_(values, 0.5, 2)
    return network.eval()


def frames(count: int, *, seed: int = 0) -> Tensor:
    """Dark and bright frames [N,3,9,8]."""
    generator = torch.Generator().manual_seed(seed)
    light = torch.rand(count, 1, 1, 1, generator=generator)
    return torch.rand(count, 3, 9, 8, generator=generator) * light


def inputs_of(network: nn.Sequential, x: Tensor, layer: int) -> np.ndarray:
    """What a layer of the network sees, [N,C,...]."""
    with torch.no_grad():
        return network[:layer](x).numpy()


def adapted(network: nn.Sequential, batches: list[Tensor]) -> nn.Sequential:
    """A copy of the network with the statistics of these batches."""
    values = estimate_statistics(network, network, batches)
    copy = small_network()
    copy.load_state_dict(network.state_dict())
    copy.load_state_dict(
        {name: torch.from_numpy(value) for name, value in values.items()}, strict=False
    )
    return copy


def test_statistics_are_those_of_what_the_adapted_network_sees() -> None:
    x = frames(7)
    network = adapted(small_network(), [x])
    for layer in (1, 4):
        seen = inputs_of(network, x, layer)
        np.testing.assert_allclose(
            network[layer].running_mean, seen.mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(network[layer].running_var, seen.var(axis=(0, 2, 3)), rtol=1e-4)


def test_every_frame_counts_the_same_and_variance_between_batches_counts() -> None:
    x = frames(7)
    network = adapted(small_network(), [x[:4], x[4:6], x[6:]])
    seen = inputs_of(network, x, 1)
    np.testing.assert_allclose(network[1].running_mean, seen.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(network[1].running_var, seen.var(axis=(0, 2, 3)), rtol=1e-5)


def test_nothing_else_changes() -> None:
    network, before = small_network(), small_network().state_dict()
    after = adapted(network, [frames(3)]).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {f"{layer}.running_{kind}" for layer in (1, 4) for kind in ("mean", "var")}
    assert not any(module.training or module._forward_pre_hooks for module in network.modules())


def test_a_layer_behind_a_pooling_keeps_its_statistics_even_of_a_single_frame() -> None:
    values = estimate_statistics(network := small_network(), network, [frames(1)])
    assert not any(name.startswith(POOLED) for name in values)
    assert all(np.isfinite(value).all() for value in values.values())


def test_a_network_that_is_adapted_already_stays_as_it_is() -> None:
    x = frames(6)
    once = adapted(small_network(), [x])
    twice = adapted(once, [x])
    for name, value in once.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], value)
    torch.testing.assert_close(twice(x), once(x))


def test_the_order_of_frames_does_not_matter() -> None:
    x = frames(6)
    first = estimate_statistics(network := small_network(), network, [x[:3], x[3:]])
    other = estimate_statistics(network, network, [x[3:].flip(0), x[[1, 0, 2]]])
    for name, value in first.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6)


def test_chosen_layers_see_the_others_as_they_were_trained() -> None:
    network, x = small_network(), frames(6)
    trained = {name: value.clone() for name, value in network.state_dict().items()}

    # Nothing lies before the first layer, so it gets the same statistics by itself.
    everywhere = estimate_statistics(network, network, [x])
    early = estimate_statistics(network, network, [x], ["1"])
    assert sorted(early) == ["1.running_mean", "1.running_var"]
    for name, values in early.items():
        np.testing.assert_array_equal(values, everywhere[name])

    # The second one sees what the first gives it with the statistics of training.
    late = estimate_statistics(network, network, [x], ["4"])
    assert sorted(late) == ["4.running_mean", "4.running_var"]
    seen = inputs_of(network, x, 4)
    np.testing.assert_allclose(late["4.running_mean"], seen.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(late["4.running_var"], seen.var((0, 2, 3)), rtol=1e-5)
    assert not np.allclose(late["4.running_mean"], everywhere["4.running_mean"], rtol=1e-2)

    for name, value in network.state_dict().items():
        assert torch.equal(value, trained[name])


def test_a_failure_leaves_the_network_as_it_was() -> None:
    network = small_network()
    with pytest.raises(RuntimeError):
        estimate_statistics(network, network, [frames(2), torch.zeros(2, 1, 9, 8)])
    assert all(
        torch.equal(*pair)
        for pair in zip(network.parameters(), small_network().parameters(), strict=True)
    )
    assert torch.equal(network[1].running_mean, small_network()[1].running_mean)


@given(count=st.integers(0, 60), most=st.integers(1, 40))
def test_frames_are_spread_over_everything(count: int, most: int) -> None:
    places = spread(count, most)
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    steps = np.diff([-1, *places, count]) if places else np.ones(1)
    assert steps.max() <= -(-count // len(places or [1])) + 1


@given(
    counts=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 20)), max_size=4),
    size=st.integers(1, 8),
)
def test_batches_are_of_one_shape_and_about_as_large(
    counts: list[tuple[int, int]], size: int
) -> None:
    glimpses = [
        Glimpse(sequence=f"{kind}", indices=(k,), frames=np.empty((clip, kind, 1, 3), np.uint8))
        for kind, (clip, count) in enumerate(counts)
        for k in range(count)
    ]
    batches = mixed_batches(glimpses, size)
    assert sorted(id(one) for batch in batches for one in batch) == sorted(map(id, glimpses))
    for kind, (clip, count) in enumerate(counts):
        sizes = [len(batch) for batch in batches if batch[0].sequence == f"{kind}"]
        assert sum(sizes) == count
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) * clip <= max(size, clip)
    assert all(len({one.frames.shape for one in batch}) == 1 for batch in batches)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", {"": ["a", "b", "c"]})
    return tmp_path / "set"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a CNN of random weights."""
    config = NetworkConfig(architecture="deeplabv3", backbone="resnet18", stride=16)
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_network(
        file, make_network(config, 3), config=config, classes=CLASSES, size=64, training={}
    )
    return file.parent


def test_of_long_videos_some_frames_are_looked_at() -> None:
    names = tuple(map(str, range(3 * FRAMES)))
    material = SegmentationInput(
        sequences=[
            VideoSequence(name=name, source=Path(name), frame_names=names)
            for name in ("one", "two")
        ],
        open={},
        broken={"none": InputError("no such file")},
    )
    for clip in (1, 4):
        chosen = frames_to_see(by_colour(clip_frames=clip), material)
        assert {name: len(clips) for name, clips in chosen.items()} == dict.fromkeys(
            ("one", "two"), FRAMES // clip // 2
        )
        assert all(len(indices) == clip for clips in chosen.values() for indices in clips)


def test_a_network_without_batchnorm_has_nothing_to_adapt(images: Path) -> None:
    with pytest.raises(InputError, match="--adapt-statistics: this network has no BatchNorm"):
        adapt(by_colour(), Pictures(set=f"folder:{images}").load())


def test_layers_are_chosen_by_what_their_names_begin_with(
    images: Path, model: Path, tmp_path: Path, capsys
) -> None:
    where = ("segment", "--set", f"folder:{images}", "--model", model, "--device", "cpu")
    chosen = ("--adapt-layers", "backbone.bn1", "backbone.layer1")
    out = tmp_path / "out"
    assert run(*where, "--adapt-statistics", *chosen, "--out", out) == 0
    told = json.loads((out / "segment.json").read_text())["statistics"]
    assert told.endswith(") in backbone.bn1, backbone.layer1")

    # Masks of other layers must not be mixed with these.
    assert run(*where, "--adapt-statistics", "--out", out, "--resume") == 2
    assert "statistics" in capsys.readouterr().err

    for wrong, message in (
        (chosen, "--adapt-layers backbone.bn1: chooses among the layers of --adapt-statistics"),
        (
            ("--adapt-statistics", "--adapt-layers", "backbone.layer"),
            "--adapt-layers backbone.layer: no BatchNorm layer's name begins so; there are"
            " backbone.bn1, backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4,"
            " classifier.0, classifier.2\n",
        ),
    ):
        assert run(*where, *wrong, "--out", tmp_path / "wrong") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()


def test_statistics_of_other_frames(
    images: Path, model: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("segment", "--set", f"folder:{images}", "--model", model, "--device", "cpu")
    other = tmp_path / "other"
    write_set(other, {"": ["d", "e"]})
    (other / "images" / "val").rename(other / "images" / "train")
    (other / "images" / "train" / "f.png").write_bytes(b"no image")

    out = tmp_path / "out"
    adapted = ("--adapt-statistics", "--adapt-from", f"folder:{other}")
    assert run(*where, *adapted, "--out", out) == 0
    told = json.loads((out / "segment.json").read_text())["statistics"]
    assert told.startswith("of 2 other frames (")
    assert "note: --adapt-from: left out: " in (notes := capsys.readouterr().err)
    assert "f.png" in notes

    # They are the ones that these frames get when they are segmented themselves.
    classifier = load_classifier(model / "model.safetensors", CPU)
    own = adapt(classifier, Pictures(set=f"folder:{other}", split="train", frames="all").load())
    assert told == f"of 2 other frames ({own.sha256[:12]})"
    values = {name: torch.from_numpy(value) for name, value in own.values.items()}
    classifier.network.load_state_dict(values, strict=False)
    reader = Pictures(set=f"folder:{images}").load().open["a"]()
    [(_, classes)] = classifier(reader, [0])
    np.testing.assert_array_equal(read_mask(out / "a" / "a.png"), classes)

    # Masks with statistics of the frames themselves must not be mixed with these.
    assert run(*where, "--adapt-statistics", "--out", out, "--resume") == 2
    assert "has statistics of 2 other frames" in capsys.readouterr().err

    # The same frames may have moved; frames of the same names with other pixels are others.
    assert json.loads((out / "segment.json").read_text())["statistics_from"] == f"folder:{other}"
    moved = other.rename(tmp_path / "moved")
    adapted = ("--adapt-statistics", "--adapt-from", f"folder:{moved}")
    assert run(*where, *adapted, "--out", out, "--resume") == 0
    Image.new("RGB", (90, 60)).save(moved / "images" / "train" / "d.png")
    assert run(*where, *adapted, "--out", out, "--resume") == 2
    assert "has statistics of 2 other frames" in capsys.readouterr().err


def test_of_a_large_set_only_what_is_looked_at_is_opened(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images / "images" / "val").rename(images / "images" / "train")
    for most, clip, opened in ((1, 1, ["b"]), (2, 1, ["a", "c"]), (8, 4, ["a", "c"])):
        monkeypatch.setattr(adaptation, "FRAMES", most)
        material = other_input(f"folder:{images}", out=tmp_path / "out", clip_frames=clip)
        assert [sequence.name for sequence in material.sequences] == opened


def test_labels_are_not_deleted(images: Path, model: Path, capsys) -> None:
    labels = images / "masks" / "val"
    before = sorted(path.name for path in labels.iterdir())
    where = ("segment", "--set", f"folder:{images}", "--model", model, "--device", "cpu")
    assert run(*where, "--out", labels, "--overwrite") == 2
    assert f"would delete a part of {images}, which is read" in capsys.readouterr().err
    assert sorted(path.name for path in labels.iterdir()) == before

    # Nor are those of a set that only the statistics are taken from.
    adapted = ("segment", "--video", images / "images" / "val", *where[3:])
    (images / "images" / "train").mkdir()
    shutil.copy(images / "images" / "val" / "a.png", images / "images" / "train")
    other = ("--adapt-statistics", "--adapt-from", f"folder:{images}")
    assert run(*adapted, *other, "--out", labels, "--overwrite") == 2
    assert f"would delete a part of {images}, which is read" in capsys.readouterr().err
    assert sorted(path.name for path in labels.iterdir()) == before

    # A run in the folder of the set is not a part of it.
    for _ in range(2):
        assert run(*where, "--out", images / "out", "--overwrite") == 0


def test_frames_are_neither_deleted_nor_joined_by_masks(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"one": ["00000", "00001"]})
    videos, train = (tmp_path / "set" / "images" / split for split in ("val", "train"))
    shutil.copytree(videos, train)
    (tmp_path / "list.txt").write_text(f"{videos / 'one'}\n")
    for spec, out, message in (
        (f"videos:{videos}", videos / "one", "one lies in the output folder"),
        (f"videos:{videos}", tmp_path / "set", "one lies in the output folder"),
        (f"videos:{tmp_path / 'list.txt'}", tmp_path / "set", "one lies in the output folder"),
        (f"videos:{videos}", videos / "out", "would be read as its frames the next time"),
        (f"folder:{tmp_path / 'set'}", train / "out", "would be read as its frames the next time"),
    ):
        with pytest.raises(InputError, match=f"--adapt-from {spec}: .*{message}"):
            other_input(spec, out=out)

    assert other_input(f"videos:{videos}", out=tmp_path / "out").sequences
    assert other_input(f"videos:{tmp_path / 'list.txt'}", out=videos / "out").sequences
    assert other_input(f"folder:{tmp_path / 'set'}", out=tmp_path / "set" / "out").sequences


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--adapt-from", "videos:x"), "--adapt-from videos:x: chooses the frames of"),
        (("--adapt-statistics", "--adapt-from", "x"), "--adapt-from x: is no SET:ROOT, where"),
        (("--adapt-statistics", "--adapt-from", "videos:nowhere"), "--adapt-from nowhere: no such"),
        (
            ("--adapt-statistics", "--adapt-from", "videos:{images}/broken"),
            "--adapt-from videos:{images}/broken: no frame can be read: ",
        ),
        (
            ("--adapt-statistics", "--adapt-layers", "x", "--adapt-from", "videos:nowhere"),
            "--adapt-layers x: no BatchNorm layer's name begins so",
        ),
        (
            ("--adapt-statistics", "--shard", "5/4", "--adapt-from", "videos:nowhere"),
            "--shard",
        ),
    ],
)
def test_other_frames_that_are_not_there(
    images: Path, model: Path, tmp_path: Path, capsys, wrong: tuple[str, ...], message: str
) -> None:
    where = ("segment", "--set", f"folder:{images}", "--model", model, "--device", "cpu")
    (images / "broken" / "clip").mkdir(parents=True)
    for name in ("00000.png", "00001.png"):
        (images / "broken" / "clip" / name).write_bytes(b"no image")

    options = [one.format(images=images) for one in wrong]
    assert run(*where, *options, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith(f"error: {message.format(images=images)}")
    assert not (tmp_path / "out").exists()


def test_of_clips_the_decoder_alone_is_adapted(tmp_path: Path) -> None:
    write_set(tmp_path / "set", {"one": [f"{t:05d}" for t in range(5)], "still": ["00000"]})
    sizes = {"embed_dim": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "hidden": 8}
    network = make_network(NetworkConfig(architecture="video_swin", clip_frames=2, **sizes), 3)
    classifier = Classifier(network, CLASSES, 64, CPU)
    steps: list[str] = []
    found = adapt(classifier, Pictures(set=f"folder:{tmp_path / 'set'}").load(), steps.append)
    assert found.values
    assert all(name.startswith("decode_head.") for name in found.values)
    assert sorted(steps) == [*["one"] * 6, "still"]  # Three clips of two frames tile five frames.
    assert found.frames == len(steps)


def test_shards_and_resumed_runs_use_the_same_statistics(
    images: Path, model: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("segment", "--set", f"folder:{images}", "--model", model, "--device", "cpu")
    out, parts = tmp_path / "out", tmp_path / "parts"
    assert run(*where, "--adapt-statistics", "--out", out) == 0
    for shard in ("1/2", "2/2"):
        assert run(*where, "--adapt-statistics", "--out", parts, "--shard", shard) == 0

    told = json.loads((out / "segment.json").read_text())
    assert told["statistics"].startswith("of 3 frames (")
    assert told == json.loads((parts / "segment.json").read_text())
    for name in "abc":
        np.testing.assert_array_equal(
            *(read_mask(each / name / f"{name}.png") for each in (out, parts))
        )

    assert run(*where, "--out", out, "--resume") == 2
    assert "has statistics of 3 frames" in capsys.readouterr().err
    monkeypatch.setattr(adaptation, "adapt", None)  # Nothing is estimated for a run that cannot be.
    assert run(*where, "--adapt-statistics", "--out", out) == 2
    assert "out: holds a run; pass --resume" in capsys.readouterr().err
    assert run(*where, "--out", tmp_path / "plain") == 0
    pairs = [
        [read_mask(each / name / f"{name}.png") for each in (out, tmp_path / "plain")]
        for name in "abc"
    ]
    assert not all(np.array_equal(*pair) for pair in pairs)


def test_what_cannot_be_read_is_left_out_and_listed(
    images: Path, model: Path, tmp_path: Path, capsys
) -> None:
    where = (
        "segment",
        "--set",
        f"folder:{images}",
        "--model",
        model,
        "--device",
        "cpu",
        "--adapt-statistics",
    )
    (images / "images" / "val" / "b.png").write_bytes(b"no image")
    assert run(*where, "--out", tmp_path / "out") == 1
    assert json.loads((tmp_path / "out" / "segment.json").read_text())["statistics"].startswith(
        "of 2 frames"
    )
    assert "error: 1 of 3 sequences have no result" in capsys.readouterr().err

    for name in "ac":
        (images / "images" / "val" / f"{name}.png").write_bytes(b"no image")
    assert run(*where, "--out", tmp_path / "none") == 2
    assert "image cannot be read" in capsys.readouterr().err


def test_the_adapted_classifier_is_another(images: Path, model: Path) -> None:
    """The pooled branch of the decoder keeps its statistics, all other layers get new ones."""
    classifier = load_classifier(model / "model.safetensors", CPU)
    values = adapt(classifier, Pictures(set=f"folder:{images}").load()).values
    every = {
        name
        for name in classifier.network.state_dict()
        if name.endswith(("running_mean", "running_var"))
    }
    assert {name.rpartition(".")[0] for name in every - values.keys()} == {"classifier.0.convs.4.2"}
