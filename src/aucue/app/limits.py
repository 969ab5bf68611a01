"""What every request passes: how much, how often, from where, and what the browser may load."""

import time
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MULTIPART = 64 * 2**10  # a browser's form adds this much at most around one file

# The page may use what comes with it, inline styles and data URIs; anything else the browser itself refuses.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Rate:
    """How often each client may ask: a bucket of tickets per client that refills steadily.

    Args:
        per_minute: Tickets that a client gets in a minute, and the size of its bucket.
        clock: Seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: MutableMapping[str, tuple[float, float]] = {}  # client -> tickets, when

    def wait(self, client: str) -> float:
        """Take a ticket: 0, or the seconds after which there is one again."""
        now, per_second = self._clock(), self.per_minute / 60
        tickets, then = self._buckets.get(client, (float(self.per_minute), now))
        tickets = min(self.per_minute, tickets + (now - then) * per_second)
        if tickets < 1:
            return (1 - tickets) / per_second
        if len(self._buckets) > 1000:  # a bucket that had a minute to refill is as good as none
            self._buckets = {name: each for name, each in self._buckets.items() if now - each[1] < 60}
        self._buckets[client] = tickets - 1, now
        return 0


class Limits:
    """Guards an application: ASGI middleware.

    Requests that send something are limited in size and number, and refused when another site's page makes
    the browser send them. Every answer tells the browser to load nothing from elsewhere.

    Args:
        app: What is guarded.
        max_bytes: Largest file that may be sent.
        per_minute: Sending requests per client and minute.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, per_minute: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.rate = Rate(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence as JSON: {"error": ...}."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope) if scope["method"] == "POST" else None
        if refusal:
            await refusal(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site") == "cross-site":
            return _error(403, "Requests from other sites are refused.")
        if "transfer-encoding" in headers:  # the server holds a body to the length it tells
            return _error(411, "Tell the size of what you send (Content-Length).")
        if int(headers.get("content-length", "0")) > self.max_bytes + _MULTIPART:
            return _error(413, f"This file is too large: at most {self.max_bytes / 2**20:g} MB are taken.")
        client = scope["client"][0] if scope.get("client") else ""
        if seconds := self.rate.wait(client):
            rounded = max(1, round(seconds))
            return _error(
                429,
                f"Too many requests: {self.rate.per_minute} a minute are answered; try again in {rounded} s.",
                {"Retry-After": str(rounded)},
            )
        return None


def _error(status: int, sentence: str, headers: dict[str, Any] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)
