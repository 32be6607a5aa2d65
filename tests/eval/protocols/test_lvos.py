"""LVOS: objects that come and go, seen and unseen videos."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval.metrics.objects import measure_objects
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.lvos import LVOS1, LVOS2
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.reports.results import lower_is_better
from densevos_eval.runs.fingerprint import input_fingerprint, sequence_facts
from densevos_eval.scoring.results import write_scores
from densevos_eval.scoring.score import score
from densevos_eval.sequences.annotations import IdReader
from densevos_eval.sequences.sequence import read_given
from tests.eval.copies import lvos, put, put_frame, write_text


def test_objects_are_given_where_they_appear_and_leave_after_their_last_frame(
    tmp_path: Path,
) -> None:
    lvos(tmp_path)
    unseen, seen = load_sequences(LVOS2, tmp_path, "val")
    assert (unseen.name, seen.name) == ("R3UJGYwy", "seenseen")
    assert {t: np.unique(mask).tolist() for t, mask in read_given(unseen).items()} == {
        0: [0, 1],
        1: [0, 2],
    }
    assert [[t for t in range(6) if unseen.counts(id, t)] for id in (1, 2)] == [
        [1, 2, 3, 4],
        [2, 3],
    ]
    assert unseen.annotated == (1, 2, 3, 4)
    assert (dict(unseen.groups), dict(seen.groups)) == ({1: "unseen", 2: "unseen"}, {1: "seen"})


def test_what_is_masked_outside_of_its_frames_costs_nothing(tmp_path: Path) -> None:
    lvos(tmp_path)
    (video, _) = load_sequences(LVOS2, tmp_path, "val")
    results = tmp_path / "results"
    shutil.copytree(tmp_path / "valid" / "Annotations", results)
    write_mask(results / "R3UJGYwy" / "00000021.png", np.full((24, 40), 2, np.uint8))
    np.testing.assert_array_equal(
        measure_objects(video, results, LVOS2)["J"], [[1, 1, 1, 0], [np.nan, 1, 1, np.nan]]
    )


@pytest.mark.parametrize(("protocol", "unseen"), [(LVOS1, ["3bvEjhOT"]), (LVOS2, ["UtEnRpiP"])])
def test_versions_differ_in_what_is_unseen(
    protocol, unseen: list[str], tmp_path: Path, golden: Path
) -> None:
    write_golden(tmp_path, golden)
    groups = {video.name: video.groups[1] for video in load_sequences(protocol, tmp_path, "val")}
    seen = {"LVOS1": "3bvEjhOT", "LVOS2": "UtEnRpiP"}[protocol.name.upper()]
    assert groups[seen] == "seen"
    assert groups["R3UJGYwy"] == "unseen"
    assert unseen == [seen]


def test_what_only_scoring_sees_does_not_matter_to_a_run(tmp_path: Path) -> None:
    lvos(tmp_path)
    (video, _) = load_sequences(LVOS2, tmp_path, "val")
    other = replace(video, leaves={}, groups={})
    assert input_fingerprint(other) == input_fingerprint(video)
    assert sequence_facts(other) != sequence_facts(video)
    assert input_fingerprint(replace(video, reader=IdReader(void=False))) != input_fingerprint(
        video
    )
    assert not sequence_facts(other).keys() & {"leaves", "groups", "reader"}


def write_golden(root: Path, golden: Path) -> np.lib.npyio.NpzFile:
    """golden/lvos.npz: random videos, and what the authors' evaluation makes of them, as files."""
    known = np.load(golden / "lvos.npz")
    meta = json.loads(str(known["meta"]))
    for video in meta:
        for t, mask in enumerate(known[f"truth/{video}"]):
            frame = f"{5 * t + 1:08d}"
            put_frame(root / "valid" / "JPEGImages" / video / f"{frame}.jpg", t)
            put(root / "valid" / "Annotations" / video / f"{frame}.png", mask)
            put(root / "results" / video / f"{frame}.png", known[f"predicted/{video}"][t])
    write_text(root / "valid" / "valid_meta.json", json.dumps({"videos": meta}))
    return known


def test_numbers_are_those_of_the_authors_program(tmp_path: Path, golden: Path) -> None:
    known = write_golden(tmp_path, golden)
    sequences = load_sequences(LVOS2, tmp_path, "val")
    scores = score(sequences, tmp_path / "results", benchmark_metric(LVOS2), split="val")

    for group in ("seen", "unseen"):
        found = [scores.overall[f"{letter}-{group}-Mean"] for letter in "JFV"]
        np.testing.assert_allclose(found, known[group], rtol=0, atol=1e-12)
    four = [*known["seen"][:2], *known["unseen"][:2]]
    assert scores.overall["J&F-Mean"] == pytest.approx(np.mean(four), abs=1e-12)
    assert scores.overall["V-Mean"] == pytest.approx(
        (known["seen"][2] + known["unseen"][2]) / 2, abs=1e-12
    )

    details = scores.rows.sequence_details
    rows = {
        f"{name}_{id}": row for name, one in details.items() for id, row in one["objects"].items()
    }
    for letter in "JF":
        found = [rows[name][f"{letter}-Mean"] for name in known["names"].tolist()]
        np.testing.assert_allclose(found, known[letter], rtol=0, atol=1e-12)

    write_scores(scores, tmp_path / "results")
    header = (tmp_path / "results" / "global_results-val.csv").read_text().splitlines()[0]
    assert header.endswith(
        "J-seen-Mean,J-unseen-Mean,F-seen-Mean,F-unseen-Mean,V-seen-Mean,V-unseen-Mean"
    )
    assert lower_is_better("V-Mean")


def test_folder_may_be_called_val_and_test_has_no_annotations(tmp_path: Path) -> None:
    lvos(tmp_path)
    (tmp_path / "valid").rename(tmp_path / "val")
    (tmp_path / "val" / "valid_meta.json").rename(tmp_path / "val" / "val_meta.json")
    (tmp_path / "val" / "Annotations" / "seenseen" / "00000011.png").unlink()
    unseen, seen = load_sequences(LVOS1, tmp_path, "val")
    assert (bool(unseen.truth), seen.truth) == (True, ())


def test_unknown_video_and_broken_meta_are_refused(tmp_path: Path) -> None:
    lvos(tmp_path)
    with pytest.raises(InputError, match="has no video other"):
        load_sequences(LVOS1, tmp_path, "val", ("other",))
    write_text(
        tmp_path / "valid" / "valid_meta.json", '{"videos": {"seenseen": {"objects": {"1": {}}}}}'
    )
    with pytest.raises(InputError, match=r"valid_meta\.json: is no list of videos.*KeyError"):
        load_sequences(LVOS1, tmp_path, "val")
