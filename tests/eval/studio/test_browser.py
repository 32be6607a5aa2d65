"""The studio in a real browser: mark, propagate, correct, export, two tabs, a closed tab, a narrow
window.
"""

from pathlib import Path

import pytest

from densevos.base.masks import read_mask
from densevos_eval.studio import server
from densevos_eval.studio.session import Session
from tests.eval.studio.browser import CHROMIUM, DRIVER, browser
from tests.eval.studio.clips import FRAMES, HEIGHT, WIDTH, disc, propagation, square


def share(x: float, y: float) -> tuple[float, float]:
    return x / WIDTH, y / HEIGHT


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver here")
def test_from_a_click_to_an_export(session: Session, tmp_path: Path) -> None:
    session.ready(propagation())
    given = tmp_path / "work" / "given"
    with server.listening(session) as address, browser(tmp_path / "profile") as page:
        page.resize(1400, 900)
        page.open(address)
        page.wait(lambda: page.text("clip") == "clip")
        assert "click the object" in page.text("hint")

        # A click finds the disc; Enter accepts it.
        page.wait(lambda: page.run("return document.getElementById('stage').width") == WIDTH)
        page.drag("stage", [share(24, 30)])
        page.wait(lambda: page.run("return !document.getElementById('decision').hidden"))
        page.key("\ue007")
        page.wait(lambda: session.state()["given"] == {0: [1]})
        assert ((read_mask(given / "00000.png") == 1) == disc(0)).mean() > 0.98

        # Another object, by a box, with a name.
        page.press("new")
        page.wait(lambda: len(session.state()["objects"]) == 2)
        page.wait(lambda: page.run("return document.querySelectorAll('#objects li').length") == 2)
        page.press("tool-box")
        page.drag("stage", [share(66, 46), share(80, 60), share(90, 70)])
        page.press("accept")
        page.wait(lambda: session.state()["given"] == {0: [1, 2]})
        script = (
            "const n = document.querySelectorAll('#objects input[type=text]')[1]; n.value = "
            "'square'; n.onchange()"
        )
        page.run(script)
        page.wait(lambda: session.state()["objects"][1]["name"] == "square")

        # Propagation; the tab is closed meanwhile, and shows the result when it is opened again.
        page.press("propagate")
        page.wait(lambda: session.worker.job)
        page.open("about:blank")
        page.open(address)
        page.wait(lambda: session.state()["fresh"] == [[0, FRAMES]])
        page.wait(lambda: "up to date" in page.text("todo"))

        # A correction in frame 3 by the brush; what comes before it stays.
        page.key("\ue014")
        for _ in range(2):
            page.key("\ue014")
        page.wait(lambda: "frame 3" in page.text("number"))
        page.press("tool-brush")
        page.drag("stage", [share(50, 10), share(60, 10)])
        page.press("accept")
        page.wait(lambda: session.state()["given"].get(3) == [1])
        page.wait(lambda: page.text("propagate") == "Propagate on")
        page.press("propagate")
        page.wait(lambda: session.state()["fresh"] == [[0, FRAMES]])
        assert (read_mask(session.project.results / "00003.png")[10, 50:60] == 1).all()

        # Another tab changes the project: this one says so at its next change, or shows it by
        # itself.
        session.set_object(session.state()["revision"], 1, "red disc", None)
        page.wait(
            lambda: (
                page.run("return document.querySelector('#objects input[type=text]').value")
                == "red disc"
            )
        )

        page.press("#exports button[data-kind=masks]")
        page.wait(
            lambda: page.run("return !document.querySelector('#exports a[data-kind=masks]').hidden")
        )

        page.resize(390, 800)
        assert page.run("return document.documentElement.scrollWidth") <= 390
        assert not page.complaints()
    assert session.exported("clip-masks.zip").is_file()
    assert ((read_mask(given / "00000.png") == 2) == square(0)).mean() > 0.98
