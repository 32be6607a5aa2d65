"""Every set for segmentation, on a synthetic copy of its layout: what is opened, and what is
refused and why.
"""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densevos import cli
from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos.data.segmentation import coco_instances, presence
from densevos.data.segmentation.classes import (
    ADE20K,
    CAMVID,
    COCO,
    SHARED,
    VOC,
    YTBB,
    class_values,
    same_classes,
)
from densevos.data.segmentation.labels import class_ids
from densevos.data.segmentation.presence import class_counts
from densevos.data.segmentation.sets.registry import open_set, parse_spec
from tests.densevos.data.segmentation import segmentation_copies as copies
from tests.densevos.data.segmentation.segmentation_copies import (
    COPIES,
    HEIGHT,
    WIDTH,
    WITHOUT_LABELS,
    put_image,
    put_mask,
    put_text,
    stripes,
)

IDS = {name: id for id, name in enumerate(("background", *SHARED))}


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The set that a test is named for, in a folder of its own: `coco:ROOT`."""
    name = request.node.name.split("_")[1]
    COPIES[name](tmp_path / name)
    return f"{name}:{tmp_path / name}"


def root_of(spec: str) -> Path:
    return parse_spec(spec)[1]


@pytest.mark.parametrize("name", COPIES)
def test_every_copy_opens_and_travels_to_other_processes(name: str, tmp_path: Path) -> None:
    COPIES[name](tmp_path)
    opened = pickle.loads(
        pickle.dumps(open_set(f"{name}:{tmp_path}", labels=name not in WITHOUT_LABELS))
    )
    assert opened.name == name
    assert len({shot.name for shot in opened.shots}) == len(opened.shots) > 0
    for shot in opened.shots:
        frames = shot.open()
        assert len(frames) == len(frames.names) > 0
        assert (opened.kind == "images") == (len(frames) == 1 and shot.source.is_file())
        for index in shot.labelled:
            labels = shot.labels(index)
            assert labels.dtype == np.uint8
            assert (
                labels.shape == frames.read([index])[0].shape[:2] == (copies.HEIGHT, copies.WIDTH)
            )
            assert set(np.unique(labels)) <= {*range(len(opened.classes)), VOID}
    with pytest.raises(ValueError, match="frame 999 has no labels"):
        opened.shots[0].labels(999)


@pytest.mark.parametrize("name", COPIES)
def test_without_labels_frames_are_enough(name: str, tmp_path: Path) -> None:
    COPIES[name](tmp_path)
    for folder in (
        "stuffthingmaps",
        "Annotations",
        "SegmentationClass",
        "trainannot",
        "annotations",
        "masks",
    ):
        for found in tmp_path.rglob(folder):
            shutil.rmtree(found)
    opened = open_set(f"{name}:{tmp_path}", labels=False)
    assert all(shot.labelled == () and len(shot.open()) for shot in opened.shots)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("coco", "train2017"),
        ("coco", "stuffthingmaps"),
        ("coco", "stuffthingmaps/train2017/000000000025.png"),
        ("davis", "JPEGImages/480p/ride"),
        ("davis", "ImageSets/2017/train.txt"),
        ("davis", "davis_semantics.json"),
        ("davis", "Annotations"),
        ("davis", "Annotations/480p/ride"),
        ("fbms", "Trainingset"),
        ("fbms", "Trainingset/cats02/GroundTruth"),
        ("fbms", "Trainingset/cats02/GroundTruth/cats02Def.dat"),
        ("fbms", "Trainingset/cats02/GroundTruth/cats02_0002_gt.ppm"),
        ("fbms", "Trainingset/cats02/cats02_0002.jpg"),
        ("fbms", "classes.csv"),
        ("voc", "VOCdevkit/VOC2012/JPEGImages"),
        ("voc", "VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg"),
        ("voc", "VOCdevkit/VOC2012/SegmentationClass"),
        ("voc", "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"),
        ("camvid", "train/0001TP_006690.png"),
        ("camvid", "trainannot/0001TP_006690.png"),
        ("ade20k", "images"),
        ("ade20k", "annotations"),
        ("folder", "images/train"),
        ("folder", "masks/train"),
        ("folder", "classes.txt"),
    ],
)
def test_a_missing_file_is_named_with_the_layout(name: str, lost: str, tmp_path: Path) -> None:
    COPIES[name](tmp_path)
    path = tmp_path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError) as error:
        open_set(f"{name}:{tmp_path}")
    assert re.search(f"{tmp_path}.*(missing|holds|lacks|which is no image)", str(error.value))
    assert re.search("needs|write lines|get (it|the masks)", str(error.value))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("cooc:.", "is no SET:ROOT"),
        ("coco", "is no SET:ROOT"),
        ("coco:", "SET:ROOT"),
        ("coco:none", "no such folder"),
    ],
)
def test_bad_names_of_sets(spec: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_set(spec)


def test_names_of_classes() -> None:
    assert [len(names) for names in (SHARED, COCO, VOC, CAMVID, YTBB, ADE20K)] == [
        10,
        182,
        21,
        11,
        24,
        150,
    ]
    assert all(len(set(names)) == len(names) for names in (SHARED, COCO, VOC, CAMVID, YTBB, ADE20K))
    ids = {
        "person": 1,
        "bicycle": 2,
        "car": 3,
        "motorcycle": 4,
        "bird": 16,
        "dog": 18,
        "horse": 19,
        "backpack": 27,
    }
    for name, id in {**ids, "surfboard": 42, "cell phone": 77, "banner": 92, "wood": 182}.items():
        assert COCO[id - 1] == name
    assert set(SHARED) & set(YTBB) == {
        "person",
        "bird",
        "bicycle",
        "horse",
        "motorcycle",
        "dog",
        "car",
    }


def test_coco_has_91_ids_of_things_of_which_80_are_used_and_91_of_stuff() -> None:
    unused = {
        12: "street sign",
        26: "hat",
        29: "shoe",
        30: "eye glasses",
        45: "plate",
        66: "mirror",
        68: "window",
    }
    unused |= {69: "desk", 71: "door", 83: "blender", 91: "hair brush"}
    assert {id: COCO[id - 1] for id in unused} == unused
    things, stuff = COCO[:91], COCO[91:]
    assert (len(things) - len(unused), len(stuff)) == (80, 91)
    assert (things[89], stuff[0], stuff[-1]) == ("toothbrush", "banner", "wood")
    assert set(SHARED) <= set(things) - set(unused.values())


def test_the_very_same_name_counts_before_that_of_coco() -> None:
    assert same_classes(("sofa", "dog"), ("background", "couch")) == {"sofa": 1}
    assert same_classes(("couch", "dog"), ("background", "sofa")) == {"couch": 1}
    assert same_classes(("sofa", "couch"), ("background", "couch")) == {"couch": 1}
    assert same_classes(("sofa", "couch"), ("sofa", "couch")) == {"sofa": 0, "couch": 1}
    assert same_classes(("sofa",), ("couch", "sofa")) == {"sofa": 1}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([np.uint8, np.int32]), st.integers(0, 2**32 - 1))
def test_mapping_equals_looking_up_each_pixel(kind, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = {
        int(v): int(rng.integers(12))
        for v in rng.choice(256 if kind == np.uint8 else 2**24, 9, replace=False)
    }
    raw = rng.choice(list(values), (5, 7)).astype(kind)
    expected = [[values[int(v)] for v in row] for row in raw]
    np.testing.assert_array_equal(class_ids(raw, values, Path("m.png"), ""), expected)


def test_others_become_background_or_ignored() -> None:
    names = {0: "background", 1: "cellphone", 2: "box", 3: "void"}
    assert class_values(names, ("background", "cell phone"), "background") == {
        0: 0,
        1: 1,
        2: 0,
        3: VOID,
    }
    assert class_values(names, ("background", "cell phone"), "ignore") == {
        0: 0,
        1: 1,
        2: VOID,
        3: VOID,
    }


# COCO


def test_coco_maps_hold_ids_less_one(copy: str) -> None:
    opened = open_set(copy)
    assert opened.classes == ("background", *SHARED)
    assert [shot.name for shot in opened.shots] == [
        "000000000009",
        "000000000025",
    ]  # the third shows no wanted class
    expected = stripes(IDS["person"], IDS["car"], 0, VOID)
    np.testing.assert_array_equal(opened.shots[0].labels(0), expected)
    np.testing.assert_array_equal(opened.shots[1].labels(0), stripes(IDS["cell phone"], 0))
    assert class_counts(opened) == {
        name: int(name in ("person", "car", "cell phone")) for name in SHARED
    }


def test_coco_others_ignored_and_other_classes(copy: str) -> None:
    ignoring = open_set(copy, others="ignore").shots[1]
    np.testing.assert_array_equal(ignoring.labels(0), stripes(IDS["cell phone"], VOID))
    cats = open_set(copy, wanted=("cat",))
    assert [shot.name for shot in cats.shots] == ["000000000025", "000000000030"]
    np.testing.assert_array_equal(cats.shots[0].labels(0), stripes(0, 1))


def test_coco_list_of_images_replaces_reading_all_masks(copy: str, tmp_path: Path) -> None:
    listed = put_text(tmp_path / "list.txt", "000000000030.jpg\n000000000009\n")
    assert [shot.name for shot in open_set(copy, names=listed).shots] == [
        "000000000009",
        "000000000030",
    ]
    with pytest.raises(InputError, match=r"list\.txt: lists nine, which is no image"):
        open_set(copy, names=put_text(listed, "nine\n"))


def test_coco_maps_unpacked_among_the_images(copy: str) -> None:
    """What unpacking stuffthingmaps_trainval2017.zip where the images are leads to."""
    for file in (root_of(copy) / "stuffthingmaps" / "train2017").iterdir():
        file.rename(root_of(copy) / "train2017" / file.name)
    with pytest.raises(
        InputError, match=r"has the name of 000000000009\.jpg.*unpack it in a folder stuffthingmaps"
    ):
        open_set(copy)


def test_coco_stuff_only_maps_are_refused(copy: str) -> None:
    maps = root_of(copy) / "stuffthingmaps"
    put_mask(maps / "train2017" / "000000000025.png", stripes(0, 183))
    with pytest.raises(InputError, match="stuff-only pixel maps"):
        open_set(copy)
    for file in (maps / "train2017").iterdir():
        put_mask(file, stripes(92, 182))
    with pytest.raises(InputError, match="stuff-only pixel maps"):
        open_set(copy)
    maps.rename(root_of(copy) / "kept")
    (root_of(copy) / "annotations" / "stuff_train2017_pixelmaps").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"stuff_train2017_pixelmaps: .*get stuffthingmaps_trainval2017\.zip"
    ):
        open_set(copy)


def test_coco_maps_of_ids_are_told_from_ids_less_one(copy: str) -> None:
    """As the 10k edition of COCO-Stuff has them: 0 is unlabelled, 182 is wood."""
    assert open_set(copy).notes == ()
    maps = root_of(copy) / "stuffthingmaps" / "train2017"
    for stem, ids in {"009": (0, 3, 124), "025": (77, 17, 0), "030": (124, 17, 1)}.items():
        put_mask(maps / f"000000000{stem}.png", stripes(*ids))
    (note,) = open_set(copy).notes
    assert "none of the first 3 maps holds 255 (unlabelled) and 2 hold 0" in note
    assert "subtract 1" in note
    put_mask(maps / "000000000009.png", stripes(0, 182))
    with pytest.raises(InputError, match=r"train2017: maps hold 182.*subtract 1"):
        open_set(copy)


def test_labels_stand_as_their_image_does(tmp_path: Path) -> None:
    """An image that EXIF turns by a quarter: its mask was drawn over the pixels as stored, or as
    shown.
    """
    copies.coco(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    mask = stripes(0, 2, 123, 255)
    for stem, stored in (("000000000009", True), ("000000000025", False)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "train2017" / f"{stem}.jpg", exif=exif)
        shown = mask if stored else np.rot90(mask, -1)
        put_mask(tmp_path / "stuffthingmaps" / "train2017" / f"{stem}.png", shown)

    expected = np.rot90(stripes(IDS["person"], IDS["car"], 0, VOID), -1)
    for shot in open_set(f"coco:{tmp_path}").shots:
        assert shot.open().read([0]).shape == (1, WIDTH, HEIGHT, 3)
        np.testing.assert_array_equal(shot.labels(0), expected)


def test_coco_value_outside_the_class_map(copy: str) -> None:
    put_mask(root_of(copy) / "stuffthingmaps" / "train2017" / "000000000025.png", stripes(0, 190))
    with pytest.raises(
        InputError, match=r"025\.png: value 190 \(384 pixels\) is outside the class map"
    ):
        open_set(copy)


def test_coco_instances_are_drawn_the_smaller_in_front(tmp_path: Path) -> None:
    copies.coco_instances(tmp_path)
    opened = open_set(f"coco:{tmp_path}", "val")
    assert [shot.name for shot in opened.shots] == ["000000000009"]
    expected = np.zeros((copies.HEIGHT, copies.WIDTH), np.uint8)
    expected[:, : copies.WIDTH // 2] = IDS["car"]
    expected[:, :2] = IDS["dog"]
    np.testing.assert_array_equal(opened.shots[0].labels(0), expected)
    assert class_counts(opened)["dog"] == 1
    both = open_set(f"coco:{tmp_path}", "val", wanted=("cat", "person"), others="ignore")
    assert [shot.name for shot in both.shots] == ["000000000025"]


def test_coco_instances_as_packed_run_lengths(tmp_path: Path) -> None:
    from pycocotools import mask

    copies.coco_instances(tmp_path)
    file = tmp_path / "annotations" / "instances_val2017.json"
    plain = open_set(f"coco:{tmp_path}", "val").shots[0].labels(0)
    content = json.loads(file.read_text())
    column = content["annotations"][0]
    packed = mask.frPyObjects(column["segmentation"], copies.HEIGHT, copies.WIDTH)
    column["segmentation"] = {"size": packed["size"], "counts": packed["counts"].decode()}
    put_text(file, json.dumps(content))
    np.testing.assert_array_equal(open_set(f"coco:{tmp_path}", "val").shots[0].labels(0), plain)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.pop("categories"), "is no instances file of COCO"),
        (lambda c: c["images"].pop(0), "lacks image 000000000009.jpg"),
        (lambda c: c["annotations"][0].update(category_id=5), "category 5 of 000000000009.jpg"),
        (lambda c: c["annotations"][0].update(segmentation=7), "cannot be drawn"),
        (lambda c: c["annotations"][0].update(segmentation={"counts": 1.5}), "cannot be drawn"),
        (lambda c: c["images"][0].update(height=99), "mask is 32x99 but 000000000009.jpg is 32x24"),
        (
            lambda c: c["annotations"].clear(),
            "none of 3 labelled images or videos shows a wanted class",
        ),
    ],
)
def test_coco_damaged_instances(change, reason: str, tmp_path: Path) -> None:
    copies.coco_instances(tmp_path)
    file = tmp_path / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    change(content)
    put_text(file, json.dumps(content))
    with pytest.raises(InputError, match=re.escape(reason)):
        open_set(f"coco:{tmp_path}", "val").shots[0].labels(0)


def test_coco_instances_name_the_package_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.coco_instances(tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"pip install 'densevos\[segmentation\]'"):
        open_set(f"coco:{tmp_path}", "val")
    with pytest.raises(InputError, match="needs pycocotools"):
        coco_instances._pycocotools()


# DAVIS


def test_davis_objects_have_classes(copy: str) -> None:
    opened = open_set(copy)
    assert [(shot.name, shot.labelled) for shot in opened.shots] == [
        ("ride", (0, 1, 2)),
        ("call", (0, 1, 2)),
    ]
    ride, call = (shot.labels(1) for shot in opened.shots)
    np.testing.assert_array_equal(ride, stripes(0, IDS["bicycle"], IDS["person"]))
    np.testing.assert_array_equal(call, stripes(0, IDS["cell phone"], 0))
    np.testing.assert_array_equal(
        open_set(copy, others="ignore").shots[1].labels(0), stripes(0, IDS["cell phone"], VOID)
    )
    expected = {name: 3 * (name in ("bicycle", "person", "cell phone")) for name in SHARED}
    assert class_counts(opened) == class_counts(opened, masks=True) == expected
    assert class_counts(open_set(copy, labels=False)) == expected


def test_davis_count_by_masks_differs_where_an_object_leaves(copy: str) -> None:
    put_mask(root_of(copy) / "Annotations" / "480p" / "ride" / "00002.png", stripes(0, 2))
    opened = open_set(copy)
    assert class_counts(opened)["bicycle"] == 3
    assert class_counts(opened, masks=True)["bicycle"] == 2


def test_davis_2017_has_the_papers_number_of_frames(tmp_path: Path, golden: Path) -> None:
    """The real sequences, lengths and classes with empty files: the ten shared classes give 3,401
    and 1,558 frames.
    """
    by_class = {
        "train": {
            "person": 2820,
            "bird": 316,
            "car": 303,
            "surfboard": 205,
            "dog": 194,
            "motorcycle": 178,
        }
        | {"bicycle": 142, "backpack": 132, "cell phone": 91, "horse": 60},
        "val": {
            "person": 1182,
            "bird": 50,
            "car": 217,
            "surfboard": 50,
            "dog": 175,
            "motorcycle": 162,
        }
        | {"bicycle": 149, "backpack": 80, "cell phone": 47, "horse": 50},
    }
    splits = json.loads((golden / "davis2017_classes.json").read_text())
    semantics = {}
    for split, sequences in splits.items():
        put_text(tmp_path / "ImageSets" / "2017" / f"{split}.txt", "\n".join(sequences))
        for name, one in sequences.items():
            semantics[name] = {str(id): found for id, found in enumerate(one["classes"], start=1)}
            # Sequences of one length share their files.
            same = tmp_path / str(one["frames"])
            if not same.exists():
                same.mkdir()
                for t in range(one["frames"]):
                    (same / f"{t:05d}.png").touch()
            for folder in ("JPEGImages", "Annotations"):
                (tmp_path / folder / "480p").mkdir(parents=True, exist_ok=True)
                (tmp_path / folder / "480p" / name).symlink_to(same)
    put_text(tmp_path / "davis_semantics.json", json.dumps(semantics))
    for split, frames in {"train": 3401, "val": 1558}.items():
        opened = open_set(f"davis:{tmp_path}", split)
        assert sum(len(shot.labelled) for shot in opened.shots) == frames
        assert class_counts(opened) == by_class[split]


def test_davis_annotations_of_2019_are_refused_unless_allowed(tmp_path: Path) -> None:
    copies.davis(tmp_path, annotations="Annotations_unsupervised")
    with pytest.raises(
        InputError, match=r"Annotations_unsupervised: .*made anew in 2019 have other object ids"
    ):
        open_set(f"davis:{tmp_path}")
    put_mask(
        tmp_path / "Annotations_unsupervised" / "480p" / "ride" / "00000.png", stripes(0, 1, 2, 255)
    )
    allowed = open_set(f"davis:{tmp_path}", reannotated=True)
    np.testing.assert_array_equal(
        allowed.shots[0].labels(0), stripes(0, IDS["bicycle"], IDS["person"], VOID)
    )


def test_davis_strange_ids_are_refused(copy: str) -> None:
    mask = root_of(copy) / "Annotations" / "480p" / "ride" / "00002.png"
    put_mask(mask, stripes(0, 255))  # as DAVIS-2016 has them
    with pytest.raises(
        InputError, match=r"00002\.png: value 255 \(384 pixels\) .*not of DAVIS-2016 \(255\)"
    ):
        open_set(copy).shots[0].labels(2)
    put_mask(root_of(copy) / "Annotations" / "480p" / "ride" / "00001.png", stripes(0, 1, 2, 3))
    with pytest.raises(
        InputError, match=r"00001\.png: value 3 \(192 pixels\) .*ride has objects 1, 2 in .*2019"
    ):
        open_set(copy).shots[0].labels(1)


def test_davis_masks_with_class_ids(tmp_path: Path) -> None:
    copies.davis_categories(tmp_path)
    opened = open_set(f"davis:{tmp_path}")
    assert [shot.name for shot in opened.shots] == ["ride", "call"]
    np.testing.assert_array_equal(opened.shots[1].labels(0), stripes(0, IDS["cell phone"], 0))
    put_text(tmp_path / "categories.json", "[1, 2]")
    with pytest.raises(InputError, match="is no table of NAME"):
        open_set(f"davis:{tmp_path}")


def test_davis_unlabelled_without_classes_takes_all_sequences(copy: str) -> None:
    (root_of(copy) / "davis_semantics.json").unlink()
    opened = open_set(copy, labels=False)
    assert len(opened.shots) == 3
    assert "all 3 sequences are used" in opened.notes[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "is no table of SEQUENCE"),
        ('{"ride": {"1": "person"}}', "has no sequence call"),
        (
            '{"ride": {}, "call": {}, "rhino": {"1": "rhino"}}',
            "none of 3 labelled images or videos shows a wanted class",
        ),
    ],
)
def test_davis_damaged_semantics(text: str, reason: str, copy: str) -> None:
    put_text(root_of(copy) / "davis_semantics.json", text)
    with pytest.raises(InputError, match=reason):
        open_set(copy)


def test_davis_unknown_wanted_class(copy: str) -> None:
    with pytest.raises(
        InputError, match="kat: davis has no such class; it has bicycle, box, cellphone"
    ):
        open_set(copy, wanted=("kat",))
    with pytest.raises(InputError, match="person: is named twice among the wanted classes"):
        open_set(copy, wanted=("person", "box", "person"))


@pytest.mark.parametrize("name", ["cellphone", "cell phone"])
def test_davis_wanted_by_either_name(name: str, copy: str) -> None:
    opened = open_set(copy, wanted=(name,))
    assert opened.classes == ("background", name)
    assert [shot.name for shot in opened.shots] == ["call"]
    np.testing.assert_array_equal(opened.shots[0].labels(0), stripes(0, 1, 0))
    assert class_counts(opened) == class_counts(opened, masks=True) == {name: 3}


def test_davis_two_names_in_one_table_are_two_classes(copy: str) -> None:
    semantics = {**copies.DAVIS_OBJECTS, "ride": {"1": "cell phone", "2": "person"}}
    put_text(root_of(copy) / "davis_semantics.json", json.dumps(semantics))
    opened = open_set(copy, wanted=("cell phone", "person"))
    assert [shot.name for shot in opened.shots] == ["ride"]
    both = open_set(copy, wanted=("cell phone", "cellphone"))
    np.testing.assert_array_equal(both.shots[0].labels(0), stripes(0, 1, 0))
    np.testing.assert_array_equal(both.shots[1].labels(0), stripes(0, 2, 0))


def test_davis_a_lost_mask_and_a_lost_frame(copy: str) -> None:
    lost = root_of(copy) / "Annotations" / "480p" / "ride" / "00001.png"
    lost.rename(lost.with_name("00009.png"))
    with pytest.raises(InputError, match=r"00001\.png: mask of .*00001\.jpg is missing"):
        open_set(copy)
    put_mask(lost, stripes(0, 1))
    with pytest.raises(InputError, match=r"00009\.png: labels a frame that .*ride lacks"):
        open_set(copy)


# FBMS


def test_fbms_regions_have_the_users_classes(copy: str) -> None:
    opened = open_set(copy)
    assert opened.classes == ("background", "cat", "person")
    assert [(shot.name, shot.labelled) for shot in opened.shots] == [("cats02", (1, 3))]
    assert opened.notes == (
        f"{root_of(copy) / 'classes.csv'}: names no region of farm01; left out",
    )
    np.testing.assert_array_equal(opened.shots[0].labels(3), stripes(0, 1, 2))
    assert class_counts(opened) == {"cat": 2, "person": 2}
    tennis = open_set(copy, "val").shots[0]
    np.testing.assert_array_equal(tennis.labels(0), stripes(0, 2))
    unlabelled = open_set(copy, labels=False)
    assert [(shot.name, len(shot.open())) for shot in unlabelled.shots] == [("cats02", 5)]


def test_fbms_two_names_in_the_table_are_two_classes(copy: str) -> None:
    table = put_text(root_of(copy) / "mine.csv", "cats02,1,motorbike\ncats02,2,motorcycle\n")
    opened = open_set(copy, table=table)
    assert opened.classes == ("background", "motorbike", "motorcycle")
    np.testing.assert_array_equal(opened.shots[0].labels(1), stripes(0, 1, 2))
    one = open_set(copy, table=table, wanted=("motorcycle",))
    np.testing.assert_array_equal(one.shots[0].labels(1), stripes(0, 0, 1))
    put_text(table, "cats02,1,motorbike\n")
    other = open_set(copy, table=table, wanted=("motorcycle",))
    np.testing.assert_array_equal(other.shots[0].labels(1), stripes(0, 1, 0))
    assert class_counts(other) == {"motorcycle": 2}


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
@pytest.mark.parametrize("colon", [":", ""])
@pytest.mark.parametrize("beside", [True, False])
def test_fbms_editions_of_the_definition(ends: str, colon: str, beside: bool, copy: str) -> None:
    file = root_of(copy) / "Trainingset" / "cats02" / "GroundTruth" / "cats02Def.dat"
    colours = (copies.WHITE, copies.TEAL, copies.BLUE)
    text = copies.definition(colours, (2, 4), ends=ends, colon=colon, beside=beside)
    assert (b"\r\n" in put_text(file, text).read_bytes()) == (ends == "\r\n")
    np.testing.assert_array_equal(open_set(copy).shots[0].labels(1), stripes(0, 1, 2))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("regions:\r\n3", "regions:\r\n4", "says 4 regions but defines 3"),
        ("shot:\r\n2", "shot:\r\n3", "says 3 labelled frames but defines 2"),
        ("region 1:\r\n33023", "region 1:\r\nteal", "is no ground truth definition"),
        ("Total number of regions", "Number", "is no ground truth definition"),
        ("Input file name", "Name", "names 2 label images but 0 frames"),
        ("cats02_0002", "cats02_0009", "labels cats02_0009.ppm, which is no image of"),
    ],
)
def test_fbms_damaged_definition(old: str, new: str, reason: str, copy: str) -> None:
    file = root_of(copy) / "Trainingset" / "cats02" / "GroundTruth" / "cats02Def.dat"
    text = file.read_bytes().decode()
    assert old in text
    put_text(file, text.replace(old, new))
    with pytest.raises(InputError, match=f"cats02Def.dat: {reason}"):
        open_set(copy)


def test_fbms_undeclared_colours_warn(copy: str) -> None:
    file = root_of(copy) / "Trainingset" / "cats02" / "GroundTruth" / "cats02_0002_gt.ppm"
    copies.put_colours(file, stripes(copies.WHITE, copies.TEAL, 0x102030))
    with pytest.warns(
        UserWarning, match=r"cats02_0002_gt\.ppm: .* pixels .* does not declare \(#102030\)"
    ):
        labels = open_set(copy).shots[0].labels(1)
    np.testing.assert_array_equal(labels, stripes(0, 1, 0))
    with pytest.warns(UserWarning, match="does not declare"):
        labels = open_set(copy, others="ignore").shots[0].labels(1)
    np.testing.assert_array_equal(labels, stripes(0, 1, VOID))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cats02,cat\n", "line 1: is not `sequence,region,class`"),
        ("cats02,1,cat\ncats02,x,cat\n", "line 2: is not"),
        ("cats02,5,cat\n", "has regions 0 to 2, but the table of classes names 5 of cats02"),
        ("dogs01,1,dog\n", "none of 2 labelled images or videos"),
    ],
)
def test_fbms_bad_table_of_classes(text: str, reason: str, copy: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_set(copy, table=put_text(root_of(copy) / "mine.csv", text))


def test_fbms_unlabelled_without_table_takes_all(copy: str) -> None:
    (root_of(copy) / "classes.csv").unlink()
    opened = open_set(copy, labels=False)
    assert [shot.name for shot in opened.shots] == ["cats02", "farm01"]
    assert "whatever they show" in opened.notes[0]


# YouTube-BoundingBoxes


def test_ytbb_segments_of_local_videos(copy: str) -> None:
    opened = open_set(copy, labels=False)
    assert [shot.name for shot in opened.shots] == ["-a_B-c/motorcycle-1", "-a_B-c/person-0"]
    frames = opened.shots[
        1
    ].open()  # 1.0 to 1.5 s of 30 frames a second; the row at 2.0 s says absent
    assert (frames.names[0], frames.names[-1]) == ("00030", "00045")
    assert abs(int(frames.read([0])[0, 0, 0, 0]) - 120) < 4
    assert opened.notes[0].endswith(
        "1 videos of yt_bb_detection_train.csv.gz are missing and left out"
    )
    assert class_counts(opened)["person"] == 16
    with pytest.raises(InputError, match="has boxes, not masks"):
        open_set(copy)
    bikes = open_set(copy, labels=False, wanted=("motorbike",))
    assert class_counts(bikes) == {"motorbike": 1}


def test_ytbb_columns_are_both_x_before_both_y(copy: str) -> None:
    from densevos.data.segmentation.sets.ytbb import read_boxes

    boxes = list(read_boxes(root_of(copy) / "yt_bb_detection_train.csv.gz"))
    assert (boxes[4].video, boxes[4].category, boxes[4].object) == ("-a_B-c", "motorcycle", 1)
    assert boxes[4].edges == (0.5, 0.9, 0.1, 0.3)  # xmin, xmax, ymin, ymax
    assert boxes[1].edges is None
    table = put_text(
        root_of(copy) / "wrong.csv", "id,0,0,person,0,present,0.5,0.1,0.9,0.3\n"
    )  # xmin, ymin, xmax, ymax
    with pytest.raises(
        InputError,
        match=r"wrong\.csv: line 1: edges 0.5, 0.1, 0.9, 0.3 are not xmin, xmax, ymin, ymax",
    ):
        list(read_boxes(table))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a,b\n", r"line 1: .*a row is youtube_id, timestamp_ms"),
        ("id,0,99,cat,0,present,0.1,0.2,0.3,0.4\n", "line 1: class 99 is none of 0 to 23"),
        ("id,0,-1,cat,0,present,0.1,0.2,0.3,0.4\n", "line 1: class -1 is none"),
        ("gone,0,0,person,0,present,0.1,0.2,0.3,0.4\n", "holds nothing to learn from"),
    ],
)
def test_ytbb_bad_tables(rows: str, reason: str, copy: str) -> None:
    put_text(root_of(copy) / "yt_bb_detection_validation.csv", rows)
    with pytest.raises(InputError, match=reason):
        open_set(copy, "val", labels=False)


def test_ytbb_times_that_no_frame_has(copy: str) -> None:
    rows = "-a_B-c,5000,0,person,0,present,0.1,0.2,0.3,0.4\n"
    put_text(root_of(copy) / "yt_bb_detection_validation.csv", rows)
    with pytest.raises(InputError, match=r"-a_B-c: ends before 5\.0 s"):
        open_set(copy, "val", labels=False).shots[0].open()
    # A single box between two frames, of which the sixteenth is nearer.
    rows = "-a_B-c,510,0,person,0,present,0.1,0.2,0.3,0.4\n"
    put_text(root_of(copy) / "yt_bb_detection_validation.csv", rows)
    assert open_set(copy, "val", labels=False).shots[0].open().names == ["00015"]

    (root_of(copy) / "yt_bb_detection_train.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        open_set(copy, labels=False)


# Pascal VOC, CamVid, ADE20k


def test_voc_labels_and_all_images(copy: str) -> None:
    labelled = open_set(copy)
    assert labelled.classes == VOC
    np.testing.assert_array_equal(labelled.shots[0].labels(0), stripes(0, 14, 20, 255))
    shared = open_set(copy, wanted=("motorcycle", "tv"))  # by the names that COCO has for them
    np.testing.assert_array_equal(shared.shots[0].labels(0), stripes(0, 1, 2, 255))
    assert len(open_set(copy, labels=False).shots) == 3
    base = root_of(copy) / "VOCdevkit" / "VOC2012"
    assert len(open_set(f"voc:{base}", labels=False).shots) == 3


def test_camvid_classes_and_void(copy: str) -> None:
    opened = open_set(copy)
    assert opened.classes == CAMVID
    np.testing.assert_array_equal(opened.shots[0].labels(0), stripes(0, 8, 10, VOID))
    assert class_counts(opened) == {
        name: int(name in ("sky", "car", "bicyclist")) for name in CAMVID
    }
    put_mask(root_of(copy) / "trainannot" / "0001TP_006690.png", stripes(0, 12))
    with pytest.raises(InputError, match=r"006690\.png: value 12 \(384 pixels\)"):
        open_set(copy).shots[0].labels(0)


def test_camvid_for_real(shared: Path) -> None:
    opened = [open_set(f"camvid:{shared / 'data' / 'CamVid'}", split) for split in ("train", "val")]
    assert [len(one.shots) for one in opened] == [367, 101]
    assert class_counts(opened[0])["bicyclist"] == 201


def test_ade20k_zero_is_void(copy: str) -> None:
    opened = open_set(copy)
    np.testing.assert_array_equal(opened.shots[0].labels(0), stripes(VOID, 0, 12, 149))
    assert [opened.classes[id] for id in (0, 12, 149)] == ["wall", "person", "flag"]
    person = open_set(copy, wanted=("person",))
    np.testing.assert_array_equal(person.shots[0].labels(0), stripes(VOID, 0, 1, 0))


# One's own


def test_folder_of_images_and_of_clips(copy: str) -> None:
    images, clips = open_set(copy), open_set(copy, "val")
    assert (images.kind, clips.kind) == ("images", "video")
    assert images.classes == clips.classes == ("floor", "chair", "table")
    np.testing.assert_array_equal(images.shots[0].labels(0), stripes(0, 2, VOID))
    assert [(shot.name, shot.labelled) for shot in clips.shots] == [("one", (0, 1)), ("two", (1,))]
    assert class_counts(clips) == {"floor": 3, "chair": 3, "table": 0}
    chairs = open_set(copy, "val", wanted=("chair",))
    np.testing.assert_array_equal(chairs.shots[0].labels(0), stripes(1, 0))
    with pytest.raises(
        InputError, match="none of 2 labelled images or videos shows a wanted class"
    ):
        open_set(copy, wanted=("chair",))
    with pytest.raises(InputError, match=r"splits there: train, val"):
        open_set(copy, "test")


@pytest.mark.parametrize(
    ("name", "text", "classes"),
    [
        ("c.json", '["floor", "chair", "table"]', ("floor", "chair", "table")),
        ("c.json", '{"2": "table", "0": "floor", "1": "void"}', ("floor", "table")),
        ("c.txt", "\ufefffloor\r\nchair\r\n table\r\n\r\n", ("floor", "chair", "table")),
    ],
)
def test_folder_class_names(name: str, text: str, classes: tuple[str, ...], copy: str) -> None:
    opened = open_set(copy, table=put_text(root_of(copy) / name, text))
    assert opened.classes == classes
    np.testing.assert_array_equal(
        opened.shots[0].labels(0), stripes(0, classes.index("table"), VOID)
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.txt", "", "names classes of values outside 0 to 254, or none"),
        ("c.txt", "a\nb\na\n", r"c\.txt: names a twice; give every class a name of its own"),
        ("c.json", '["a", "a"]', r"c\.json: names a twice"),
        (
            "c.txt",
            "floor\n\nchair\n",
            r"c\.txt: line 2: is empty, and the line of a name is its value",
        ),
        ("c.txt", "\nfloor\nchair\n", r"c\.txt: line 1: is empty"),
        ("c.json", '{"300": "a"}', "outside 0 to 254"),
        ("c.json", '{"x": "a"}', "neither a list of names nor"),
        ("c.json", "7", "neither a list of names nor"),
        ("c.json", "{", "is no JSON"),
    ],
)
def test_folder_bad_class_names(name: str, text: str, reason: str, copy: str) -> None:
    with pytest.raises(InputError, match=reason):
        open_set(copy, table=put_text(root_of(copy) / name, text))


def test_folder_bad_masks(copy: str) -> None:
    mask = root_of(copy) / "masks" / "train" / "a.png"
    shot = open_set(copy).shots[0]
    put_mask(mask, stripes(0, 7))
    with pytest.raises(
        InputError,
        match=r"a\.png: value 7 \(384 pixels\) is outside the class map: 0 floor, 1 chair",
    ):
        shot.labels(0)
    put_mask(mask, stripes(0, 1)[:20])
    with pytest.raises(InputError, match=r"a\.png: mask is 32x20 but a\.jpg is 32x24"):
        shot.labels(0)
    put_image(mask)
    with pytest.raises(InputError, match=r"a\.png: mask is RGB, not indexed"):
        shot.labels(0)
    put_mask(mask, stripes(0, 1))
    image = root_of(copy) / "images" / "train" / "a.jpg"
    put_text(image, "no image")
    with pytest.raises(InputError, match=r"a\.jpg: image cannot be read"):
        shot.labels(0)
    image.unlink()
    with pytest.raises(InputError, match=r"a\.jpg: image is missing, though .*a\.png labels it"):
        shot.labels(0)


def test_folder_class_names_in_another_encoding(copy: str) -> None:
    (root_of(copy) / "classes.txt").write_bytes("café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"classes\.txt: is no text"):
        open_set(copy)


def test_folder_two_names_that_coco_has_one_for(copy: str) -> None:
    put_text(root_of(copy) / "classes.txt", "floor\ncouch\nsofa\n")
    opened = open_set(copy)
    assert opened.classes == ("floor", "couch", "sofa")
    np.testing.assert_array_equal(opened.shots[0].labels(0), stripes(0, 2, VOID))
    np.testing.assert_array_equal(
        open_set(copy, wanted=("sofa",)).shots[0].labels(0), stripes(0, 1, VOID)
    )
    with pytest.raises(
        InputError, match="none of 2 labelled images or videos shows a wanted class"
    ):
        open_set(copy, wanted=("couch",))
    put_text(root_of(copy) / "classes.txt", "floor\nchair\nsofa\n")
    np.testing.assert_array_equal(
        open_set(copy, wanted=("couch",)).shots[0].labels(0), stripes(0, 1, VOID)
    )


def test_folder_of_images_beside_clips(copy: str) -> None:
    put_image(root_of(copy) / "images" / "val" / "cover.jpg")
    for labels in (True, False):
        with pytest.raises(
            InputError,
            match=r"images/val: holds images and clips \(one\); keep each kind in a split",
        ):
            open_set(copy, "val", labels=labels)
    (root_of(copy) / "images" / "train" / "notes").mkdir()
    assert len(open_set(copy).shots) == 2


def test_folder_two_images_of_one_name(copy: str) -> None:
    put_image(root_of(copy) / "images" / "train" / "a.png")
    with pytest.raises(InputError, match=r"a\.png: has the name of a\.jpg"):
        open_set(copy)


def test_folder_empty_of_clips(copy: str) -> None:
    for mask in (root_of(copy) / "masks" / "val").rglob("*.png"):
        mask.unlink()
    with pytest.raises(
        InputError, match="no frame of split val has labels; pass it as --unlabelled"
    ):
        open_set(copy, "val")
    (root_of(copy) / "images" / "none").mkdir()
    with pytest.raises(InputError, match="holds nothing to learn from in split none"):
        open_set(copy, "none", labels=False)


def test_videos_are_never_labelled(copy: str) -> None:
    opened = open_set(copy, labels=False)
    assert [shot.name for shot in opened.shots] == ["one", "two"]
    with pytest.raises(InputError, match="has no labels; pass it as --unlabelled"):
        open_set(copy)
    empty = root_of(copy) / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no frame folders and no video files"):
        open_set(f"videos:{empty}", labels=False)


# All


def test_an_image_is_a_video_of_one_frame(copy_of_camvid: str) -> None:
    frames = open_set(copy_of_camvid).shots[0].open()
    assert (len(frames), frames.names, frames.seconds()) == (1, ["0001TP_006690"], None)
    assert frames.read([0, 0]).shape == (2, copies.HEIGHT, copies.WIDTH, 3)
    for wrong, index in (([0, 1], 1), ([0, -5], -5)):
        with pytest.raises(IndexError, match=f"there is no frame {index}$"):
            frames.read(wrong)


@pytest.fixture
def copy_of_camvid(tmp_path: Path) -> str:
    copies.camvid(tmp_path)
    return f"camvid:{tmp_path}"


def test_several_processes_find_what_one_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.folder(tmp_path)
    one = class_counts(open_set(f"folder:{tmp_path}"), workers=1)
    monkeypatch.setattr(presence, "SERIAL", 0)
    assert class_counts(open_set(f"folder:{tmp_path}"), workers=2) == one


def test_sets_need_no_torch() -> None:
    modules = ", ".join(f"densevos.data.segmentation.sets.{name}" for name in COPIES)
    code = (
        f"import sys, {modules}; sys.exit('torch' in sys.modules or 'pycocotools' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_command_counts_classes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def classes(*arguments: object) -> int:
        return console.run(lambda: cli.dispatch(["data", "classes", *map(str, arguments)]))

    copies.davis(tmp_path / "davis")
    assert classes(f"davis:{tmp_path / 'davis'}", "--wanted", "person", "cell phone") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"davis:{tmp_path / 'davis'}, train: 2 videos, 6 labelled frames",
        "       3  person",
        "       3  cell phone",
    ]
    copies.coco(tmp_path / "coco")
    assert classes(f"coco:{tmp_path / 'coco'}", "--write-names", tmp_path / "names.txt") == 0
    assert (tmp_path / "names.txt").read_text() == "000000000009\n000000000025\n"
    assert len(open_set(f"coco:{tmp_path / 'coco'}", names=tmp_path / "names.txt").shots) == 2
    capsys.readouterr()
    listed = put_text(tmp_path / "one.txt", "000000000025\n")
    assert classes(f"coco:{tmp_path / 'coco'}", "--names", listed) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("train: 1 images, 1 labelled frames")
    copies.davis(tmp_path / "anew", annotations="Annotations_unsupervised")
    assert classes(f"davis:{tmp_path / 'anew'}") == 2
    assert classes(f"davis:{tmp_path / 'anew'}", "--reannotated") == 0
    capsys.readouterr()
    copies.ytbb(tmp_path / "ytbb")
    assert classes(f"ytbb:{tmp_path / 'ytbb'}", "--unlabelled") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == ["      16  person", "       1  motorcycle"]
    assert "1 videos of yt_bb_detection_train.csv.gz are missing" in said.err
    assert classes("davis:none") == 2
    assert capsys.readouterr().err.startswith("error: none: no such folder")
