"""The command `studio`: a server on this machine, a browser, and an encoder.

The server listens on loopback only. The encoder is loaded while the page is already open.
"""

import secrets
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from densevos.base.errors import InputError
from densevos.base.parallel import stopped_by_sigterm
from densevos_eval.studio.app import App
from densevos_eval.studio.project import open_project
from densevos_eval.studio.session import Session

if TYPE_CHECKING:
    from densevos_eval.propagation.propagate import Propagation

HOST = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    """Writes no log: every request contains the secret token."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Write nothing."""


def serve(
    video: Path,
    out: Path,
    load: "Callable[[], Propagation]",
    *,
    encoder: str,
    port: int | None = None,
    browser: bool = True,
    ended: Event | None = None,
    on_address: Callable[[str], None] = lambda address: print(address, flush=True),
) -> None:
    """Show the studio until Ctrl-C.

    Args:
        video: A video file or a folder of frames.
        out: The folder of the project.
        load: Loads the encoder; called when the page can already be opened.
        encoder: Name of the encoder, as on the command line.
        port: Port to listen on; None for any free one.
        browser: Whether to open the page in the user's browser.
        ended: Ends the server when it is set, as Ctrl-C does.
        on_address: Called with the address, which contains the token.

    Raises:
        InputError: Clip, folder, port or encoder cannot be used.
    """
    session = Session(open_project(out, video), encoder=encoder)
    with stopped_by_sigterm("open the studio again to go on"), listening(session, port) as address:
        on_address(address)
        if browser:
            webbrowser.open(address)

        try:
            # Loaded after the page has opened, since it takes seconds.
            session.ready(load())
            (ended or Event()).wait()
        except KeyboardInterrupt:
            print()  # The terminal shows ^C in this line.
        finally:
            session.close()

    print(f"The project is in {out}; open it again with the same command.")


@contextmanager
def listening(session: Session, port: int | None = None) -> Iterator[str]:
    """A context with a running server in threads of this process, on loopback only.

    Args:
        session: The project to show.
        port: Port to listen on; None for any free one.

    Yields:
        The address of the page.

    Raises:
        InputError: The port cannot be used.
    """
    # A new secret for each run, too long to be guessed.
    token = secrets.token_urlsafe(16)
    server = _bound(port)
    # The application checks the port of requests, which is known only now.
    server.app = App(session, token=token, port=server.port)
    thread = Thread(target=server.serve_forever, daemon=True, name="studio")
    thread.start()

    try:
        yield f"http://{HOST}:{server.port}/{token}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bound(port: int | None) -> BaseWSGIServer:
    """A server that listens on a port; its application is set later."""
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"--port {port}: must be 1 to 65535")

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # The port of a server that has just ended can be used at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        # Bound here, since werkzeug prints messages of its own and exits if a port is in use.
        listener.bind((HOST, port or 0))
        listener.listen()
        number = listener.getsockname()[1]
        return make_server(
            HOST, number, _nothing, threaded=True, request_handler=_Quiet, fd=listener.fileno()
        )
    except OSError as error:
        hint = "name another one, or none for any that is free"
        raise InputError(f"--port {port}: cannot be used ({error.strerror}); {hint}") from error
    finally:
        listener.close()  # The server has a copy of the socket.


def _nothing(environ: object, start_response: object) -> list[bytes]:
    """An application that answers nothing; the real one needs the port of the server."""
    return []
