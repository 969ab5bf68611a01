"""Connections that do not wait for ever: a client that sends no whole request is let go."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds that the head of a request may take, and that a connection may lie idle after an answer."""


class ImpatientProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with a clock: its own waits for the head of a first request for ever."""

    patience = PATIENCE
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        """Stop the clock where a whole head has come."""
        super().data_received(data)
        if self._is_answering():
            self._stop()

    def on_response_complete(self) -> None:
        """Start the clock again: perhaps there is another request."""
        super().on_response_complete()
        if not self._is_answering():
            self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start(self) -> None:
        self._stop()
        self._clock = self.loop.call_later(self.patience, self._let_go)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _let_go(self) -> None:
        if not self.transport.is_closing() and not self._is_answering():
            self.transport.abort()
