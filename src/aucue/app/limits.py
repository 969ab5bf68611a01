"""What every request passes: how much, how often, how slowly, and what the browser may load."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aucue.app.door import error

LOOKS = 20
"""Requests that only look, for each that may send something: a page loads some sixty files."""

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


class Allowed(NamedTuple):
    """What an address takes that differs from the others.

    Attributes:
        max_bytes: Largest file that may be sent.
        rate: How often; None counts it with the others.
    """

    max_bytes: int
    rate: Rate | None = None


class Limits:
    """Guards an application: ASGI middleware.

    Requests are limited in number, what they send in size and time. Every answer tells the browser to load
    nothing from elsewhere, and to keep nothing on its disk but the files of the page.

    Args:
        app: What is guarded.
        max_bytes: Largest file that may be sent.
        per_minute: Sending requests per client and minute; `LOOKS` times as many that only look.
        patience: Seconds that a body may take, and once more for every megabyte.
        others: What single addresses take instead.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        per_minute: int,
        patience: float = 10,
        others: Mapping[str, Allowed] | None = None,
    ) -> None:
        self.app = app
        self._usual, self._others, self.patience = Allowed(max_bytes), others or {}, patience
        self.sends, self.looks = Rate(per_minute), Rate(LOOKS * per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence as JSON: {"error": ...}."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.patience, self._allowed(scope).max_bytes + _MULTIPART)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if "etag" not in headers:  # no file of the page: it may hold a face
                    headers.setdefault("Cache-Control", "no-store")
            elif body.is_awaited and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.run_out()
                message = {"type": "http.response.body"}
            await send(message)

        try:
            await (self._refusal(scope) or self.app)(scope, body, answer)
        except ClientDisconnect:
            if body.refusal and not started:
                await body.refusal(scope, body, answer)

    def _allowed(self, scope: Scope) -> Allowed:
        return self._others.get(scope["path"], self._usual)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        most, own = self._allowed(scope)
        headers, sends = Headers(scope=scope), scope["method"] not in ("GET", "HEAD")
        if sends and "transfer-encoding" in headers:
            return error(411, "Tell the size of what you send (Content-Length).")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most + _MULTIPART:
            return error(413, f"This file is too large: at most {most / 2**20:g} MB are taken.")
        rate = own or (self.sends if sends else self.looks)
        client = scope["client"][0] if scope.get("client") else ""
        if seconds := rate.wait(client):
            rounded = math.ceil(seconds)
            return error(
                429,
                f"Too many requests: {rate.per_minute} a minute are answered; try again in {rounded} s.",
                {"Retry-After": str(rounded)},
            )
        return None


class _Body:
    """Reads what a request sends, within its limits; from the first byte that is asked for the clock runs.

    Attributes:
        refusal: Why reading ended early; the application sees a client that has gone.
    """

    def __init__(self, receive: Receive, patience: float, most: int) -> None:
        self._receive, self._patience, self._most = receive, patience, most
        self._read, self._since, self._whole = 0, 0.0, False
        self.refusal: JSONResponse | None = None

    async def __call__(self) -> Message:
        if self._whole:  # what comes now is that the client has gone, however late
            return await self._receive()
        self._since = self._since or time.monotonic()
        left = self._since + self._patience * (1 + self._read / 2**20) - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0, left))
        except TimeoutError:
            self.refusal = error(408, "The request took too long to arrive; try again.")
            return {"type": "http.disconnect"}
        self._read += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._read > self._most:
            self.refusal = error(413, "The request is larger than it said.")
            return {"type": "http.disconnect"}
        return message

    @property
    def is_awaited(self) -> bool:
        """Whether more may come, which nobody was tired of waiting for."""
        return not self._whole and self.refusal is None

    async def run_out(self) -> None:
        """Read for a while what nobody has asked for: a client that is still sending when its connection ends
        would be told of that, and never see the answer.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while not self._whole:
                    self._whole = not (await self._receive()).get("more_body", False)
