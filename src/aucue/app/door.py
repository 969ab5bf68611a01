"""Who may come in: requests to a name of this server, from its own page, for the few addresses it needs."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aucue.errors import InputError

_EVENT = "/gradio_api/queue/join"
_MOST_OF_EVENT = 64 * 2**10
"""Bytes of an event: choices and the name of an upload."""

# What the page asks for, and the interface for programs. Gradio has some sixty other addresses: files,
# proxies, recordings, other people's sessions.
_ROUTES = tuple(
    (methods, re.compile(pattern))
    for methods, pattern in (
        (("GET", "HEAD"), r"/"),
        (("GET",), r"/favicon\.ico"),
        (("GET",), r"/theme\.css"),
        (("GET",), r"/(assets|static)/(?!.*\.\.)[\w@./-]+"),
        (("POST",), re.escape(_EVENT)),
        (("GET",), r"/gradio_api/queue/data"),
        (("GET",), r"/gradio_api/heartbeat/[a-z0-9]{1,40}"),
        (("POST",), r"/gradio_api/upload"),
        (("GET",), r"/gradio_api/upload_progress"),
        (("GET",), r"/gradio_api/file=.+/[0-9a-f]{32}/photograph"),  # from memory, see `memory.py`
        (("GET",), r"/api/(health|models|openapi\.json)"),
        (("POST",), r"/api/(explain|batch|picture)"),
        (("GET",), r"/scripts/[a-z]+\.js"),
        (("POST",), r"/page/(photograph|video|frame)"),
    )
)

Check = Callable[[bytes, str], bytes]
"""An event (its body, the Host it came to) -> the same as JSON that has been understood.

It raises an InputError for an event that the page never sends, `Forbidden` for one that names a file.
"""


class Forbidden(InputError):
    """Something that nobody may ask for."""


class Door:
    """Lets in what the page and programs of this machine ask for: ASGI middleware.

    A page of another site can make a browser send requests here, and by a name that it lets point here (DNS
    rebinding) it could even read the answers. So the name asked for has to be one of this server's, and a
    request that a browser says comes from another origin is refused.

    Args:
        app: What is guarded.
        names: Names of this server beside localhost and the address that was connected to.
        check: Looks at events.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], check: Check) -> None:
        self.app, self.check = app, check
        self.names = {name.lower() for name in names} | {"localhost", "127.0.0.1", "[::1]"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence as JSON: {"error": ...}."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and scope["path"] == _EVENT:
            receive, refusal = await self._event(scope, receive)
        await (self.app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0], scope):
            return error(403, "This server is asked for by another name; open the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{hosts[0]}":
            return error(403, "Requests from other sites are refused.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_a_visit(headers):
            return error(403, "Requests from other sites are refused.")
        method, path = scope["method"], scope["path"]
        taken = [each for methods, pattern in _ROUTES if pattern.fullmatch(path) for each in methods]
        if not taken:
            return error(404, "There is nothing at this address.")
        if method not in taken:
            return error(405, f"This address takes {taken[0]}, not {method}.", {"Allow": ", ".join(taken)})
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        name = re.sub(r":\d{1,5}$", "", host).lower()
        address = (scope.get("server") or ("", None))[0]
        return name in self.names or name == (f"[{address}]" if ":" in address else address)

    async def _event(self, scope: Scope, receive: Receive) -> tuple[Receive, JSONResponse | None]:
        """Read an event and look at it; how to read it again, and why it is refused."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return _replayed(message), None
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > _MOST_OF_EVENT:
                return receive, error(413, "This event is too large.")
        try:
            body = self.check(body, Headers(scope=scope)["host"])
        except InputError as wrong:
            return receive, error(403 if isinstance(wrong, Forbidden) else 400, str(wrong))
        _set_length(scope, len(body))
        return _replayed({"type": "http.request", "body": body, "more_body": False}, receive), None


def error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal; the connection ends, since what was sent is not looked at."""
    return JSONResponse({"error": sentence}, status, {"Connection": "close", **(headers or {})})


def check_event(
    body: bytes, host: str, inputs: Mapping[int, int], uploaded: Callable[[str, str], bool]
) -> bytes:
    """Refuse an event that the page never sends, before Gradio sees it.

    Gradio reads the file or fetches the address that a dictionary with `path` or `url` names.

    Args:
        body: JSON of the event.
        host: The Host header it came with.
        inputs: Number of arguments of each event.
        uploaded: Whether a path is that of an upload of a session (path, session).

    Returns:
        The event as JSON, written anew: whoever reads it next cannot understand it in another way.

    Raises:
        Forbidden: It names a file or an address other than an upload of its session.
        InputError: It is none of the page's events.
    """
    try:
        event = json.loads(body)
        session = event["session_hash"]
        known = len(event["data"]) == inputs[event["fn_index"]]
        known = known and re.fullmatch("[a-z0-9]{1,40}", session) is not None
        files = list(_files([event["data"], event.get("event_data")]))
    except (ValueError, TypeError, KeyError, RecursionError):
        known, files, event, session = False, [], {}, ""
    for file in files:
        path, url = file.get("path"), file.get("url")
        if not isinstance(path, str) or not uploaded(path, session):
            raise Forbidden("This photograph did not arrive, or is no longer kept; choose it again.")
        if url is not None and url != f"http://{host}/gradio_api/file={path}":
            raise Forbidden("Photographs are uploaded; addresses are not read.")
    if not known:
        raise InputError("This is no event of the page; reload it.")
    return json.dumps(event).encode()


def _files(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in plain values that Gradio would take for a file."""
    if isinstance(value, dict):
        if value.get("path") is not None or value.get("url") is not None or "meta" in value:
            yield value
        for each in value.values():
            yield from _files(each)
    elif isinstance(value, list):
        for each in value:
            yield from _files(each)


def _is_a_visit(headers: Headers) -> bool:
    """Whether somebody followed a link to the page: reads nothing for the site that had the link."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _set_length(scope: Scope, length: int) -> None:
    others = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    scope["headers"] = [*others, (b"content-length", str(length).encode())]


def _replayed(message: Message, then: Receive | None = None) -> Receive:
    waiting = [message]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        return await then() if then else {"type": "http.disconnect"}

    return receive
