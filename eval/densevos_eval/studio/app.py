"""The studio over HTTP: addresses, permissions and answers; WSGI only, without sockets."""

import hmac
import json
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from densevos.base.errors import InputError
from densevos_eval.studio.frames import mask_png
from densevos_eval.studio.session import ConflictError, Session

# Only these files are sent, whatever name a request asks for.
PAGE = {
    "index.html": "text/html",
    "studio.css": "text/css",
    "studio.js": "text/javascript",
    "stage.js": "text/javascript",
    "timeline.js": "text/javascript",
    "server.js": "text/javascript",
}
# Pages may load nothing from other sites, and other sites may not embed them.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_BODY = 4_000_000
"""Most bytes of a request."""

HOSTS = ("127.0.0.1", "localhost")

# The methods of `App` are named like the endpoints, after an underscore.
ADDRESSES = Map(
    [
        Rule("/", endpoint="page", methods=["GET"]),
        Rule("/<name>", endpoint="page", methods=["GET"]),
        Rule("/api/state", endpoint="state", methods=["GET"]),
        Rule("/frame/<int:frame>.jpg", endpoint="frame", methods=["GET"]),
        Rule("/mask/<int:frame>.png", endpoint="mask", methods=["GET"]),
        Rule("/export/<name>", endpoint="download", methods=["GET"]),
        Rule("/api/<action>", endpoint="act", methods=["POST"]),
    ]
)


class App:
    """A WSGI application; every address starts with a secret token, and others are answered 403.

    Args:
        session: The open project.
        token: The secret, of characters that are valid in addresses.
        port: Port of the server; None accepts any, for tests without server.
    """

    def __init__(self, session: Session, *, token: str, port: int | None = None):
        self._session = session
        self._token = token
        self._port = port

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = LONGEST_BODY
        response = self._response(request)
        response.headers.update(HEADERS)

        return response(environ, start_response)

    def _response(self, request: Request) -> Response:
        """The answer to a request, also if something fails."""
        if not self._is_known(request):
            return Response("403: open the address that the studio has printed.\n", status=403)

        _, _, address = request.path[1:].partition("/")
        # Relative addresses in the page need the slash at the end.
        if request.path == f"/{self._token}":
            return Response(status=308, headers={"Location": f"/{self._token}/"})

        try:
            # The map knows addresses without the token, which was checked above.
            addresses = ADDRESSES.bind(
                "studio", path_info=f"/{address}", default_method=request.method
            )
            endpoint, values = addresses.match()

            # Endpoints come from the map alone, so no request can call another method.
            return getattr(self, f"_{endpoint}")(request, **values)  # type: ignore[no-any-return]
        except HTTPException as error:
            return _json({"error": f"{error.name}: {error.description}"}, status=error.code or 400)
        except ConflictError as error:
            return _json({"error": str(error)}, status=409)
        except InputError as error:
            return _json({"error": str(error)}, status=400)
        except OSError as error:
            # A full disk, for example, or a folder without write permission.
            return _json({"error": f"The studio cannot go on: {error}"}, status=500)

    def _is_known(self, request: Request) -> bool:
        """Whether a request names this server and the token, which other web sites do not know."""
        # Another site could point a name of its own to this machine (DNS rebinding).
        host, _, port = request.environ.get("HTTP_HOST", "").partition(":")
        if host not in HOSTS or (self._port is not None and port != str(self._port)):
            return False

        # Browsers name the site whose page sends the request.
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.environ['HTTP_HOST']}":
            return False

        token = request.path[1:].partition("/")[0]
        # Takes the same time for all wrong tokens, so that nobody can guess letter by letter.
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _page(self, request: Request, name: str = "index.html") -> Response:
        """A file of the page."""
        if name not in PAGE:
            raise NotFound

        text = (files("densevos_eval.studio") / "page" / name).read_text(encoding="utf-8")
        return Response(text, mimetype=PAGE[name])

    def _state(self, request: Request) -> Response:
        return _json(self._session.state())

    def _frame(self, request: Request, frame: int) -> Response:
        return Response(self._session.frames.jpeg(self._checked(frame)), mimetype="image/jpeg")

    def _mask(self, request: Request, frame: int) -> Response:
        mask = self._session.mask(self._checked(frame))
        return Response(mask_png(mask, self._session.frames.view), mimetype="image/png")

    def _download(self, request: Request, name: str) -> Response:
        file = self._session.exported(name)
        return send_file(file, request.environ, as_attachment=True)

    def _act(self, request: Request, action: str) -> Response:
        """Everything that changes the project, and the cut."""
        body = _body(request)
        session, revision = self._session, body.get("revision")
        # The cut changes nothing and is answered by a picture, all others by the new state.
        if action == "cut":
            mask = session.cut(self._frame_of(body), _number(body, "object"), body.get("marks"))
            picture = mask_png(mask.astype("uint8") * 255, session.frames.view)
            return Response(picture, mimetype="image/png")

        if action == "given":
            session.accept(
                revision, self._frame_of(body), _number(body, "object"), body.get("marks")
            )
        elif action == "forget":
            session.forget(revision, self._frame_of(body), _number(body, "object"))
        elif action == "object":
            id = _number(body, "object") if "object" in body else None
            id = session.set_object(revision, id, _text(body, "name"), _text(body, "colour"))
            return _json({**session.state(), "object": id})
        elif action == "remove":
            session.remove_object(revision, _number(body, "object"))
        elif action == "propagate":
            session.propagate(revision)
        elif action == "cancel":
            session.cancel()
        elif action == "export":
            session.export(revision, _text(body, "kind") or "")
        else:
            raise NotFound

        return _json(session.state())

    def _frame_of(self, body: dict[str, Any]) -> int:
        return self._checked(_number(body, "frame"))

    def _checked(self, frame: int) -> int:
        """The index of a frame that exists; NotFound for any other."""
        count = len(self._session.frames)
        if not 0 <= frame < count:
            raise NotFound(f"The clip has frames 0 to {count - 1}, not {frame}.")

        return frame


def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    # Before a page of another site may send this type, its browser asks the server for permission,
    # which the studio never gives.
    if request.mimetype != "application/json":
        raise InputError("Send JSON, with the Content-Type application/json.")

    try:
        body = json.loads(request.get_data())
    except ValueError as error:
        raise InputError(f"The request is no JSON: {error}") from error

    if not isinstance(body, dict):
        raise InputError("The request must be a JSON object.")

    return body


def _number(body: dict[str, Any], name: str) -> int:
    """A whole number of a request; InputError for anything else."""
    value = body.get(name)
    # In Python, True is an int.
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name}: must be a whole number, is {value!r:.40}")

    return value


def _text(body: dict[str, Any], name: str) -> str | None:
    """A text of a request, if it has one; InputError for anything else."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}: must be a text, is {value!r:.40}")

    return value


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")
