"""Who may ask the studio what, and how it answers; without a browser."""

import io
import json
import socket
import urllib.request
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from werkzeug.test import Client, TestResponse

from densevos.base import console
from densevos.base.errors import InputError
from densevos_eval import cli
from densevos_eval.studio import server
from densevos_eval.studio.app import PAGE, App
from densevos_eval.studio.session import Session
from tests.eval.studio.clips import FRAMES, HEIGHT, WIDTH, disc, frame, propagation, write_clip

TOKEN, HOST = "secret", "127.0.0.1:8000"
CLICK = {"frame": 0, "object": 1, "marks": [{"kind": "click", "x": 24, "y": 30}]}


class Asker:
    """A page with the token."""

    def __init__(self, session: Session):
        self.client = Client(App(session, token=TOKEN, port=8000))

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(f"/{TOKEN}/{path}", headers={"Host": HOST, **headers})

    def post(self, action: str, value: object, **headers: str) -> TestResponse:
        return self.client.post(
            f"/{TOKEN}/api/{action}", json=value, headers={"Host": HOST, **headers}
        )

    def change(self, action: str, **value: object) -> Any:
        answer = self.post(action, {"revision": self.get("api/state").json["revision"], **value})
        assert answer.status_code == 200, answer.text
        return answer.json


@pytest.fixture
def asker(session: Session) -> Asker:
    return Asker(session)


def test_who_does_not_know_the_token_or_the_host_learns_nothing(asker: Asker) -> None:
    client = asker.client
    for path in ("/", "/api/state", "/wrong/api/state", "/frame/0.jpg", "/secretly/", "/%73/x"):
        answer = client.get(path, headers={"Host": HOST})
        assert (answer.status_code, "studio has printed" in answer.text) == (403, True), path
    for host in ("evil.example:8000", "127.0.0.1:9999", "127.0.0.1", "[::1]:8000", ""):
        assert client.get(f"/{TOKEN}/api/state", headers={"Host": host}).status_code == 403, host
    assert asker.get("api/state", Origin="http://evil.example").status_code == 403
    assert asker.get("api/state", Origin=f"http://{HOST}").status_code == 200
    assert client.get(f"/{TOKEN}/api/state", headers={"Host": "localhost:8000"}).status_code == 200


def test_the_page_comes_along_and_asks_nobody_else(asker: Asker) -> None:
    assert asker.client.get(f"/{TOKEN}", headers={"Host": HOST}).headers["Location"] == f"/{TOKEN}/"
    for name, kind in PAGE.items():
        answer = asker.get(name)
        assert answer.mimetype == kind
        assert "http:" not in answer.text
        assert "https:" not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"].startswith(
            "default-src 'self'; img-src 'self' blob: data:"
        )
    assert asker.get("").text == asker.get("index.html").text
    for name in ("app.py", "../app.py", "%2e%2e/app.py", "studio.py", "page/studio.js"):
        assert asker.get(name).status_code == 404, name


def test_frames_and_masks_are_pictures(asker: Asker) -> None:
    shown = np.asarray(Image.open(io.BytesIO(asker.get("frame/2.jpg").data)))
    assert np.abs(shown.astype(int) - frame(2)).mean() < 5
    asker.change("object")
    cut = np.asarray(Image.open(io.BytesIO(asker.post("cut", CLICK).data)))
    assert set(np.unique(cut)) == {0, 255}
    state = asker.change("given", **CLICK)
    assert state["given"] == {"0": [1]}
    mask = np.asarray(Image.open(io.BytesIO(asker.get("mask/0.png").data)))
    assert (mask == (cut > 0)).all()
    assert ((mask > 0) == disc(0)).mean() > 0.98


def test_two_tabs(asker: Asker) -> None:
    old = asker.get("api/state").json["revision"]
    assert asker.change("object", name="cat")["object"] == 1
    answer = asker.post("object", {"revision": old, "name": "dog"})
    assert answer.status_code == 409
    assert "Another tab" in answer.json["error"]
    assert [one["name"] for one in asker.get("api/state").json["objects"]] == ["cat"]


@pytest.mark.parametrize(
    ("action", "value", "status"),
    [
        ("cut", [], 400),
        ("cut", {"frame": 0, "object": 1, "marks": [7]}, 400),
        ("cut", {"frame": FRAMES, "object": 1, "marks": []}, 404),
        ("cut", {"frame": -1, "object": 1, "marks": []}, 404),
        ("cut", {"frame": "0", "object": 1, "marks": []}, 400),
        ("cut", {"frame": True, "object": 1, "marks": []}, 400),
        ("cut", {"frame": 0, "object": 300, "marks": []}, 400),
        ("given", {"frame": 0, "object": 1, "marks": []}, 400),
        ("object", {"revision": 1, "name": 5}, 400),
        ("export", {"revision": 1, "kind": "masks"}, 400),
        ("propagate", {"revision": 1}, 409),
        ("nothing", {}, 404),
    ],
)
def test_bad_requests_get_a_line(asker: Asker, action: str, value: object, status: int) -> None:
    answer = asker.post(action, value)
    assert answer.status_code == status
    assert answer.json["error"]
    assert "\n" not in answer.json["error"]


def test_bodies_that_are_no_json(asker: Asker) -> None:
    address = f"/{TOKEN}/api/cut"
    kinds = [
        ("{", "application/json", 400),
        ("{}", "text/plain", 400),
        ("x" * 5_000_000, "application/json", 413),
    ]
    for body, kind, status in kinds:
        answer = asker.client.post(address, data=body, content_type=kind, headers={"Host": HOST})
        assert answer.status_code == status
    for path in (
        "frame/-1.jpg",
        f"frame/{FRAMES}.jpg",
        "frame/x.jpg",
        "mask/99.png",
        "export/project.json",
        "api/cut",
    ):
        assert asker.get(path).status_code in (400, 404, 405), path


def test_propagation_goes_on_without_a_tab_and_refuses_changes(
    session: Session, asker: Asker, monkeypatch
) -> None:
    session.ready(propagation())
    asker.change("object")
    asker.change("given", **CLICK)
    go_on = Event()
    monkeypatch.setattr("densevos_eval.studio.runner.propagate", lambda *arguments: go_on.wait(30))
    state = asker.change("propagate")
    assert (state["job"]["state"], state["job"]["total"]) == ("running", FRAMES)
    assert (
        "still running"
        in asker.post("given", {**CLICK, "revision": state["revision"]}).json["error"]
    )
    go_on.set()
    session.worker.wait()
    assert asker.get("api/state").json["job"]["state"] == "done"


def test_serving(tmp_path: Path, capsys) -> None:
    """The server is there before the encoder is, and on loopback alone."""
    ended, addresses = Event(), []

    def load() -> Any:
        with urllib.request.urlopen(f"{addresses[0]}api/state", timeout=10) as answer:
            assert not json.load(answer)["encoder"]["ready"]
        assert addresses[0].startswith("http://127.0.0.1:")
        ended.set()
        return propagation()

    options = {"encoder": "x", "browser": False, "ended": ended, "on_address": addresses.append}
    server.serve(write_clip(tmp_path / "clip"), tmp_path / "work", load, **options)
    assert "open it again" in capsys.readouterr().out
    assert (tmp_path / "work" / "project.json").is_file()


def run(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch(["studio", *map(str, arguments)]))


def test_bad_input_is_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_clip(tmp_path / "clip")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = {
            ("nowhere.mp4",): "nowhere.mp4: no such frame folder or video file",
            (
                clip,
                "--port",
                port,
            ): f"--port {port}: cannot be used (Address already in use); name another one",
            (clip, "--port", "99999"): "--port 99999: must be 1 to 65535",
            (clip, "--out", clip): "holds other files",
            (clip, "--encoder", "random:resnet99"): "resnet99",
        }
        for arguments, message in cases.items():
            encoder = () if "--encoder" in arguments else ("--encoder", "random:resnet18")
            assert run(*arguments, *encoder, "--no-browser", "--device", "cpu") == 2, arguments
            lines = capsys.readouterr().err.strip().splitlines()
            assert len(lines) == 1
            assert message in lines[0]


def test_sizes_of_the_clip(asker: Asker) -> None:
    state = asker.get("api/state").json
    assert (state["size"], state["view"], state["frames"]) == (
        [WIDTH, HEIGHT],
        [WIDTH, HEIGHT],
        FRAMES,
    )
    assert "propagate --video" in state["command"]
    assert "--resume" in state["command"]


def test_a_port_is_free_again_after_the_server_has_ended(session: Session) -> None:
    with server.listening(session) as address:
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(InputError, match=f"--port {port}: "), server.listening(session, port):
            pass
    with server.listening(session, port):
        pass
