"""The studio's pages over HTTP: addresses, who may ask, and what answers look like. Only WSGI, no
sockets.
"""

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

PAGE = {
    "index.html": "text/html",
    "studio.css": "text/css",
    "studio.js": "text/javascript",
    "stage.js": "text/javascript",
    "timeline.js": "text/javascript",
    "server.js": "text/javascript",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_BODY = 4_000_000
HOSTS = ("127.0.0.1", "localhost")

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
    """A WSGI application. The first part of every address is the token; who does not know it gets a
    403.

    Args:
        session: The project that is open.
        token: A secret, of letters that addresses may hold.
        port: Where the server listens; None: any, for tests of the application alone.
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
        if not self._is_known(request):
            return Response("403: open the address that the studio has printed.\n", status=403)

        _, _, rest = request.path[1:].partition("/")
        if request.path == f"/{self._token}":
            return Response(status=308, headers={"Location": f"/{self._token}/"})

        try:
            addresses = ADDRESSES.bind(
                "studio", path_info=f"/{rest}", default_method=request.method
            )
            endpoint, values = addresses.match()

            return getattr(self, f"_{endpoint}")(request, **values)  # type: ignore[no-any-return]
        except HTTPException as error:
            return _json({"error": f"{error.name}: {error.description}"}, status=error.code or 400)
        except ConflictError as error:
            return _json({"error": str(error)}, status=409)
        except InputError as error:
            return _json({"error": str(error)}, status=400)
        except OSError as error:  # A full disk, say, or a folder that may not be written.
            return _json({"error": f"The studio cannot go on: {error}"}, status=500)

    def _is_known(self, request: Request) -> bool:
        """Whether the request names this server and the token; other web sites know neither."""
        host, _, port = request.environ.get("HTTP_HOST", "").partition(":")
        if host not in HOSTS or (self._port is not None and port != str(self._port)):
            return False

        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.environ['HTTP_HOST']}":
            return False

        token = request.path[1:].partition("/")[0]
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _page(self, request: Request, name: str = "index.html") -> Response:
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
        """Everything that changes something, and the cut."""
        body = _body(request)
        session, revision = self._session, body.get("revision")
        if action == "cut":
            mask = session.cut(self._frame_of(body), _number(body, "object"), body.get("marks"))
            return Response(
                mask_png(mask.astype("uint8") * 255, session.frames.view), mimetype="image/png"
            )

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
        count = len(self._session.frames)
        if not 0 <= frame < count:
            raise NotFound(f"The clip has frames 0 to {count - 1}, not {frame}.")
        return frame


def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Other sites cannot send one without asking first, which nobody
    answers.
    """
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
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name}: must be a whole number, is {value!r:.40}")
    return value


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}: must be a text, is {value!r:.40}")
    return value


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")
