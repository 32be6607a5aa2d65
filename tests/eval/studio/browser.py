"""A browser without a window, driven by the W3C WebDriver protocol, which takes few lines and no
library.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


class Browser:
    """One window of a browser."""

    def __init__(self, session: str):
        self._session = session

    def open(self, address: str) -> None:
        _ask(f"{self._session}/url", {"url": address})

    def resize(self, width: int, height: int) -> None:
        """Give the page this size, as a narrow screen does; a window would not become narrower than
        500 pixels.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        _ask(f"{self._session}/goog/cdp/execute", command)

    def run(self, script: str, *arguments: object) -> Any:
        """What a function body in JavaScript returns."""
        return _ask(f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, id: str) -> str:
        return str(self.run("return document.getElementById(arguments[0]).textContent", id))

    def press(self, id: str) -> None:
        """Click a button as soon as it is shown and enabled."""
        script = """
            const found = document.getElementById(arguments[0]) ?? document.querySelector(arguments[0]);
            if (found.disabled || !found.checkVisibility()) return false;
            found.click();
            return true;
        """
        self.wait(lambda: self.run(script, id))

    def drag(self, id: str, places: list[tuple[float, float]], button: int = 0) -> None:
        """Move a real pointer over an element, with its button down from the first place to the
        last.

        places: x and y as shares of the element's width and height.
        """
        script = """
            const found = document.getElementById(arguments[0]);
            found.scrollIntoView({block: "nearest"});
            const box = found.getBoundingClientRect();
            return [box.x, box.y, box.width, box.height];
        """
        x, y, width, height = self.run(script, id)
        moves = [
            {
                "type": "pointerMove",
                "duration": 0,
                "x": round(x + u * width),
                "y": round(y + v * height),
            }
            for u, v in places
        ]
        down, up = (
            {"type": "pointerDown", "button": button},
            {"type": "pointerUp", "button": button},
        )
        pointer = {"type": "pointer", "id": "mouse", "actions": [moves[0], down, *moves[1:], up]}
        _ask(f"{self._session}/actions", {"actions": [pointer]})

    def key(self, key: str) -> None:
        pressed = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        _ask(
            f"{self._session}/actions",
            {"actions": [{"type": "key", "id": "keys", "actions": pressed}]},
        )

    def wait(self, condition: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (
                f"waited {seconds} s in vain; notice: {self.text('notice')!r}"
            )
            time.sleep(0.05)

    def picture(self, file: Path | None = None) -> bytes:
        """What the window shows, as PNG."""
        data = base64.b64decode(_ask(f"{self._session}/screenshot"))
        if file:
            file.write_bytes(data)
        return data

    def complaints(self) -> list[str]:
        """Errors that the page has written to the browser's console."""
        entries = _ask(f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def browser(profile: Path, *more: str) -> Iterator[Browser]:
    """A browser with a profile of its own; it is closed at the end."""
    assert CHROMIUM
    assert DRIVER
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = subprocess.Popen([DRIVER, f"--port={port}"], **quiet)  # type: ignore[call-overload]
    try:
        address = f"http://127.0.0.1:{port}/session"
        options = {"binary": CHROMIUM, "args": [*QUIET, f"--user-data-dir={profile}", *more]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _ask(address, {"capabilities": {"alwaysMatch": wanted}}, patience=30)["sessionId"]
        try:
            yield Browser(f"{address}/{session}")
        finally:
            _ask(f"{address}/{session}", method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _ask(
    address: str, value: object = None, *, method: str | None = None, patience: float = 0
) -> Any:
    """The value that the driver answers with; waits for one that has just been started."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(
        address, data, {"Content-Type": "application/json"}, method=method
    )
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()[:500]) from None
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
