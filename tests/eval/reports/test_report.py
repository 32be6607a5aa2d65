"""densevos-eval report: the page's numbers, curves and pictures; loaded in a browser where there is
one.
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.masks import read_mask, write_mask
from densevos_eval import cli
from densevos_eval.drawing.movie import panels
from densevos_eval.inputs.sequences import load_sequences
from densevos_eval.metrics.region import region_similarity
from densevos_eval.reports import charts
from densevos_eval.reports.report import mean_curves, worst_frame
from densevos_eval.reports.results import SequenceResult, read_results
from densevos_eval.reports.settings import listed, summary
from densevos_eval.reports.thumbnails import (
    FALSE,
    MISSED,
    SWAPPED,
    close_up,
    data_uri,
    disagreement,
)
from tests.eval.conftest import moving_rectangles, write_frames, write_masks

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEVER_CLOSED = {"meta", "link", "img"}


class Page(HTMLParser):
    """Checks that tags are closed in their order, and collects attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.fixture
def scored(benchmark, monkeypatch, tmp_path):
    """The benchmark with scores of its results, and of other results far beside the truth in a
    folder <i>other.
    """
    other = tmp_path / "<i>other"
    for name, ids in {"one": {1: 8}, "two": {1: 1, 2: 14}}.items():
        write_masks(other / name, moving_rectangles(ids, shift=8))
    for results in (benchmark.results, other):
        fixed = ("--dataset", "davis17", "--root", benchmark.root)
        assert run(monkeypatch, "score", *fixed, "--results", results, "--workers", 1) == 0
    return benchmark, other


def report(monkeypatch: pytest.MonkeyPatch, scored, *more: object) -> int:
    benchmark, other = scored
    fixed = (
        "report",
        benchmark.results,
        "--against",
        other,
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
    )
    return run(monkeypatch, *fixed, *more)


def test_page(scored, monkeypatch, capsys) -> None:
    benchmark, _ = scored
    assert report(monkeypatch, scored) == 0
    html = (benchmark.results / "report.html").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip().endswith("report.html")
    page = Page(html)
    assert page.open == []
    order = re.findall(r"<h3>(.*?)</h3>", html)
    assert order == ["two", "one"]  # worst first
    assert "&lt;i&gt;other" in html
    assert "<i>" not in html
    overall = read_results(benchmark.results).overall["J-Mean"]
    assert f"<b>{100 * overall:.1f}</b>" in html
    assert html.count('class="chart"') == 2
    assert len(page.values("img", "src")) == 2 * 4  # truth, two results, disagreement
    assert '<table class="objects">' in html
    titles = re.findall(r"<title>(frame [^<]*)</title>", html)
    assert len(titles) == 2 * 4  # a title over each scored frame
    assert "frame 00001\nJ &lt;i&gt;other" in titles[0]


def test_page_needs_no_network(scored, monkeypatch) -> None:
    benchmark, _ = scored
    assert report(monkeypatch, scored) == 0
    html = (benchmark.results / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "data", "action", "srcset"):
            assert value.startswith(("#", "data:")), (tag, name, value[:60])
    assert not re.search(
        r"https?:|//\w|@import|url\(|fetch\(|XMLHttp", re.sub(r"base64,[^\"]*", "", html)
    )
    assert len(html) < 120_000


def test_movies_beside_the_page_are_linked(scored, monkeypatch, tmp_path) -> None:
    out = tmp_path / "pages" / "page.html"
    out.parent.mkdir()
    (out.parent / "two.mp4").write_bytes(b"")
    assert report(monkeypatch, scored, "--out", out) == 0
    assert [
        href for href in Page(out.read_text()).values("a", "href") if not href.startswith("#")
    ] == ["two.mp4"]


def test_movies_are_written(scored, monkeypatch, tmp_path) -> None:
    out = tmp_path / "pages" / "page.html"
    assert report(monkeypatch, scored, "--out", out, "--sequences", "one", "two", "--movies") == 0
    links = [href for href in Page(out.read_text()).values("a", "href") if not href.startswith("#")]
    assert links == ["two.mp4", "one.mp4"]
    assert all((out.parent / link).stat().st_size > 500 for link in links)


def test_masks_of_another_size_are_drawn_at_that_of_their_frames(benchmark, tmp_path) -> None:
    (one, _) = load_sequences("davis17", benchmark.root)
    frame = one.video()[2]
    write_masks(
        tmp_path / "large" / "one", moving_rectangles({1: 8}).repeat(2, axis=1).repeat(3, axis=2)
    )
    drawn = [
        panels(one, {"": folder}, 2, frame, width=400)
        for folder in (benchmark.results, tmp_path / "large")
    ]
    np.testing.assert_array_equal(*drawn)


def test_alone_and_with_one_object(scored, monkeypatch) -> None:
    benchmark, _ = scored
    fixed = ("--dataset", "davis16", "--root", benchmark.root)
    assert (
        run(
            monkeypatch,
            "score",
            *fixed,
            "--results",
            benchmark.results,
            "--workers",
            1,
            "--no-stability",
        )
        == 0
    )
    assert run(monkeypatch, "report", benchmark.results, *fixed) == 0
    html = (benchmark.results / "report.html").read_text()
    assert len(Page(html).values("img", "src")) == 2 * 3
    assert "another object" not in html
    assert "difference" not in html


def test_the_page_says_what_made_the_masks_and_of_how_many_sequences(scored, monkeypatch) -> None:
    benchmark, other = scored
    made = {
        "encoder": "runs/<b>/encoder.safetensors",
        "layer": "res4",
        "stride": 8,
        "propagation": {"context": 20},
    }
    (benchmark.results / "propagation.json").write_text(json.dumps(made))
    fixed = ("--dataset", "davis17", "--root", benchmark.root)
    for results in (benchmark.results, other):
        command = ("score", *fixed, "--results", results, "--sequences", "two", "--workers", 1)
        assert run(monkeypatch, *command, "--annotation-size", "24x40") == 0
    everything = json.loads((benchmark.results / "results.json").read_text())
    assert (everything["made_with"], everything["annotation_size"]) == (made, "24x40")
    assert report(monkeypatch, scored) == 0
    html = (benchmark.results / "report.html").read_text(encoding="utf-8")
    assert "<b>1 of 2 sequences</b>" in html
    assert (
        "results: encoder runs/&lt;b&gt;/encoder.safetensors · layer res4 · context 20 · "
        "annotations scored at 24x40" in html
    )
    assert "&lt;i&gt;other: no record of what made the masks · annotations scored at 24x40" in html
    assert "<td>propagation.context</td><td>20</td>" in html
    assert html.count("<details>") == 1


def test_settings_of_segmentation_by_class_have_no_frame_size() -> None:
    made_with = {"method": "semantic segmentation", "size": 128, "frames": "labelled"}

    assert all("labelled" not in text for text in summary(made_with))
    assert listed(made_with)["frames"] == "labelled"


def test_settings_in_short() -> None:
    made = {
        "method": "zero-shot, object level",
        "precision": "bf16",
        "stride": 4,
        "frames": {"short_side": 480},
        "crf": None,
    }
    assert summary(made) == [
        "zero-shot, object level",
        "stride 4",
        "precision bf16",
        "short side 480",
    ]
    assert listed({"a": None, "b": {"c": [1, 2], "d": {"e": False}}}) == {
        "b.c": "1, 2",
        "b.d.e": "False",
    }
    assert summary({}) == []


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--dataset", "davis16"), "is of davis17, not davis16; pass --dataset davis17"),
        (("--sequences", "one"), "sequence two is not in this split"),
    ],
)
def test_other_benchmarks_are_refused(scored, monkeypatch, capsys, more, complaint) -> None:
    assert report(monkeypatch, scored, *more) == 2
    assert complaint in capsys.readouterr().err
    assert not (scored[0].results / "report.html").exists()


@pytest.mark.parametrize(("worst", "shown"), [(1, ["two"]), (0, [])])
def test_the_table_holds_all_and_only_the_worst_are_shown_in_detail(
    scored, monkeypatch, tmp_path, worst, shown
) -> None:
    out = tmp_path / "pages" / "page.html"
    assert report(monkeypatch, scored, "--worst", worst, "--movies", "--out", out) == 0
    html = out.read_text()
    page = Page(html)
    assert page.open == []
    assert re.findall(r"<h3>(.*?)</h3>", html) == shown
    assert "<td>one</td>" in html  # without a link
    assert page.values("a", "href").count("#s0") == len(shown)
    assert ("In detail: the 1 worst" in html) == bool(shown)
    assert [file.stem for file in out.parent.glob("*.mp4")] == shown


def test_fewer_than_no_sequences_are_refused(scored, monkeypatch, capsys) -> None:
    assert report(monkeypatch, scored, "--worst", -1) == 2
    assert "--worst: must be 0 or more" in capsys.readouterr().err


def test_masks_may_lie_elsewhere_and_move_with_the_scores(
    scored, monkeypatch, capsys, tmp_path
) -> None:
    benchmark, other = scored
    fixed = ("--dataset", "davis17", "--root", benchmark.root)
    benchmark.results.rename(tmp_path / "masks")
    for file in (tmp_path / "masks").glob("*.*"):
        file.unlink()
    scores = tmp_path / "scores"
    assert (
        run(
            monkeypatch,
            "score",
            *fixed,
            "--results",
            tmp_path / "masks",
            "--out",
            scores,
            "--workers",
            1,
        )
        == 0
    )
    (tmp_path / "moved").mkdir()
    for name in ("masks", "scores"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert (
        run(monkeypatch, "report", tmp_path / "moved" / "scores", "--against", other, *fixed) == 0
    )
    assert (
        len(Page((tmp_path / "moved" / "scores" / "report.html").read_text()).values("img", "src"))
        == 2 * 4
    )
    mask = tmp_path / "moved" / "masks" / "one" / "00002.png"
    shutil.copy(mask.with_name("00001.png"), mask)
    capsys.readouterr()
    assert run(monkeypatch, "report", tmp_path / "moved" / "scores", *fixed) == 2
    assert "other masks of one" in capsys.readouterr().err


def test_benchmarks_without_objects_get_numbers_alone(monkeypatch, tmp_path) -> None:
    root, results = tmp_path / "VIP_Fine", tmp_path / "results"
    for name, shift in {"videos1": 1, "videos2": 3}.items():
        write_frames(root / "Images" / name)
        write_masks(root / "Annotations" / "Category_ids" / name, moving_rectangles({1: 1, 13: 14}))
        write_masks(results / name, moving_rectangles({1: 1, 13: 14}, shift=shift))
    (root / "lists").mkdir()
    (root / "lists" / "val_videos.txt").write_text("videos1\nvideos2\n")
    fixed = ("--dataset", "vip", "--root", root)
    assert run(monkeypatch, "score", *fixed, "--results", results, "--workers", 1) == 0
    assert run(monkeypatch, "report", results, *fixed) == 0
    html = (results / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert html.index("<td>videos2</td>") < html.index("<td>videos1</td>")
    assert f"<b>{100 * read_results(results).overall['mIoU']:.1f}</b>" in html
    assert "In detail" not in html
    assert "object" not in re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.S)


def test_objects_that_appear_later_have_curves_that_begin_later(
    ytvos, monkeypatch, tmp_path
) -> None:
    """YouTube-VOS: annotations of some frames only, and an object from the second of these on."""
    (ytvos / "valid").rename(ytvos / "train")
    (ytvos / "valid_all_frames").rename(ytvos / "train_all_frames")
    results = tmp_path / "results"
    for name in ("early", "late"):
        masks = moving_rectangles({1: 1} if name == "early" else {1: 1, 2: 14})
        for t in (0, 5, 10):
            ids = np.where((masks[t // 5] == 2) & (t == 0), 0, masks[t // 5])
            write_mask(ytvos / "train" / "Annotations" / name / f"{t:05d}.png", ids)
        write_masks(results / name, np.repeat(masks[:3], 5, axis=0)[:11])
    fixed = ("--dataset", "ytvos18", "--root", ytvos, "--split", "train")
    assert run(monkeypatch, "score", *fixed, "--results", results, "--workers", 1) == 0
    assert run(monkeypatch, "report", results, *fixed) == 0
    html = (results / "report.html").read_text()
    assert len(Page(html).values("img", "src")) == 2 * 3
    assert "frame 00010" in html


def test_curves_are_means_over_the_objects(scored) -> None:
    benchmark, _ = scored
    result = read_results(benchmark.results).sequences["two"]
    curves = mean_curves(result)
    pairs = [
        (read_mask(benchmark.annotation("two", t)), read_mask(benchmark.result("two", t)))
        for t in (1, 2, 3, 4)
    ]
    expected = [np.diag(region_similarity(*pair, 2, 2)).mean() for pair in pairs]
    np.testing.assert_allclose(curves["J"], expected)


def test_worst_frame_passes_over_frames_without_objects() -> None:
    nan = np.nan
    late = {"J": np.array([nan, nan, 0.5, 0.2]), "F": np.array([nan, nan, 0.1, 0.2])}
    early = {"J": np.array([nan, 0.4, 0.9, 0.8]), "F": np.array([nan, 0.4, 0.9, 0.8])}
    curves = mean_curves(
        SequenceResult(row={}, frames=("0", "1", "2", "3"), objects={"1": early, "2": late})
    )
    np.testing.assert_allclose(curves["J"], [nan, 0.4, 0.7, 0.5])
    assert worst_frame(curves) == 1
    assert worst_frame({}) == 0


def test_curves_are_broken_where_there_is_no_number() -> None:
    values = np.array([0.0, 1.0, np.nan, 0.5])
    svg = charts.curves(("a<b", "1", "2", "3"), {"J": values}, {"J": "j"}, worst=0)
    lines = re.findall(r'points="([^"]*)"', svg)
    assert len(lines) == 2
    bottom, top = (float(point.split(",")[1]) for point in lines[0].split())
    assert (bottom, top) == (charts.HEIGHT - charts.BOTTOM, charts.TOP)
    assert len(lines[1].split()) == 2  # a dot
    assert "frame a&lt;b\nJ 0.0" in svg
    assert "J –" in svg


@pytest.mark.parametrize("count", [1, 8, 9, 1800])
def test_axis_has_few_names(count: int) -> None:
    frames = [f"{t:05d}" for t in range(count)]
    svg = charts.curves(frames, {"J": np.zeros(count)}, {"J": "j"}, worst=count - 1)
    assert 1 <= svg.count('class="x"') <= 8


def test_disagreement_tells_the_kinds_apart() -> None:
    frame = np.full((1, 5, 3), 200, np.uint8)
    truth, prediction = np.array([[0, 1, 0, 1, 1]], np.uint8), np.array([[0, 1, 2, 0, 2]], np.uint8)
    picture = disagreement(frame, truth, prediction)[0]
    assert [tuple(pixel) for pixel in picture[2:]] == [FALSE, MISSED, SWAPPED]
    assert picture[0].tolist() == picture[1].tolist() == [176, 176, 176]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((slice(0, 60), slice(0, 90)), (slice(0, 60), slice(0, 90))),
        ((slice(29, 31), slice(44, 46)), (slice(20, 40), slice(30, 60))),
        ((slice(0, 2), slice(88, 90)), (slice(0, 20), slice(60, 90))),
        ((slice(10, 40), slice(30, 33)), (slice(4, 46), slice(0, 63))),
    ],
)
def test_close_up_keeps_objects_and_shape(box, expected) -> None:
    objects = np.zeros((60, 90), bool)
    objects[box] = True
    assert close_up(objects) == expected
    assert close_up(np.zeros((60, 90), bool)) == (slice(None), slice(None))


def test_pictures_are_small_jpegs() -> None:
    header, data = data_uri(np.zeros((480, 854, 3), np.uint8)).split(",")
    assert header == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (320, 180)


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome installed"
)
def test_browser_shows_the_page(scored, monkeypatch, tmp_path) -> None:
    benchmark, _ = scored
    assert report(monkeypatch, scored) == 0
    address = (benchmark.results / "report.html").as_uri()
    picture = tmp_path / "page.png"
    for number, wanted in enumerate(("--dump-dom", f"--screenshot={picture}")):
        profile = f"--user-data-dir={tmp_path / f'profile{number}'}"
        size = ("--window-size=500,900", "--window-size=1000,1400")[number]
        command = [str(CHROMIUM), *QUIET, profile, size, wanted, address]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert finished.returncode == 0, finished.stderr
        if number == 0:
            assert "<button>J&amp;F</button>" in finished.stdout  # the script has run
            assert 'class="scroll wide cut"' in finished.stdout  # a curve that is cut says so
            assert "Uncaught" not in finished.stderr
    pixels = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 100


def test_assets_belong_to_the_package() -> None:
    folder = Path(cli.__file__).parent / "reports" / "assets"
    assert {file.name for file in folder.iterdir()} == {"report.css", "report.js"}
