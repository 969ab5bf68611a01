"""Everything behind one address of this machine: the page, the interface for programs, the limits."""

import asyncio
import contextlib
import importlib.util
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast

from aucue.app.service import Service, Sessions
from aucue.app.uploads import MAX_BYTES
from aucue.errors import InputError, MissingExtraError, said

if TYPE_CHECKING:
    from fastapi import FastAPI

LOCAL = "127.0.0.1"
_SWEEP = 15  # seconds
_CONNECTIONS = 512  # at once; an open page holds one or two


def require_gradio() -> None:
    """Raise where the extra of the page is not installed.

    Raises:
        MissingExtraError: Gradio is missing.
    """
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("The web page needs Gradio; install it with: pip install 'aucue[app]'.")


def new_server(
    service: Service,
    *,
    names: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
    per_minute: int = 120,
) -> "FastAPI":
    """The application that a server runs: page at /, interface for programs at /api.

    Args:
        service: Who explains.
        names: Names that people may ask for it by, beside localhost and the address they connect to.
        max_bytes: Largest photograph.
        per_minute: Requests with something in them (photographs, choices) per client and minute.

    Raises:
        MissingExtraError: Gradio is not installed.
        InputError: No photograph is small enough, or nobody would be answered.
    """
    require_gradio()
    if max_bytes < 1:
        raise InputError(f"The largest photograph must have at least 1 byte, got {max_bytes}.")
    if per_minute < 1:
        raise InputError(f"The rate must be at least 1 request per minute, got {per_minute}.")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported, and later again
    import gradio
    from gradio.utils import get_upload_folder

    from aucue.app import api, door, memory, page, page_api
    from aucue.app.limits import Limits
    from aucue.app.live import Live
    from aucue.app.temporary import Allocator

    sessions, uploads = Sessions(), memory.Uploads(get_upload_folder())
    built = page.new_page(service, sessions, uploads, max_bytes)
    inputs = {number: len(event.inputs) for number, event in built.fns.items()}

    def check(body: bytes, host: str) -> bytes:
        return door.check_event(body, host, inputs, uploads.holds)

    live = Live(service)
    application = api.new_application(_sweeping(sessions, uploads, live, Allocator()))
    application.state.sessions = sessions
    application.include_router(api.new_router(service, max_bytes))
    application.include_router(page_api.new_router(service, live, get_upload_folder(), max_bytes))
    application.include_router(memory.new_router(uploads, max_bytes))  # before Gradio's own
    application.add_middleware(door.Door, names=names, check=check)
    others = page_api.allowed(max_bytes, per_minute)
    application.add_middleware(  # around the door
        Limits, max_bytes=max_bytes, per_minute=per_minute, others=others
    )
    return gradio.mount_gradio_app(
        application,
        built,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=max_bytes,
        theme=page.theme(),
        head=page.head(),
    )


def serve(
    service: Service,
    host: str = LOCAL,
    port: int = 7860,
    *,
    max_bytes: int = MAX_BYTES,
    per_minute: int = 120,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the page until interrupted.

    Args:
        service: Who explains.
        host: Address or name to listen at; the default is reached from this machine alone. The page answers
            under this name, under localhost, and under the address that somebody connects to, no other.
        port: Port; 0 takes a free one.
        max_bytes: Largest photograph.
        per_minute: Requests per client and minute.
        tell: Called with the page's address when it can be opened.

    Raises:
        MissingExtraError: Gradio is not installed.
        InputError: The port is taken or none, the address is none of this machine, or a limit is less than 1.
    """
    require_gradio()
    import uvicorn
    from starlette.routing import Mount

    from aucue.app.connections import ImpatientProtocol
    from aucue.app.temporary import own_folder

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Let go of open pages first: each holds a connection that only Gradio can end."""
            for route in server.routes:
                if isinstance(route, Mount):
                    cast(Any, route.app).stop_event.set()
            await super().shutdown(sockets)

    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}"
    with listening, own_folder() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # what Gradio may write goes with the server
        server = new_server(service, names=[shown], max_bytes=max_bytes, per_minute=per_minute)
        tell(address)
        config = uvicorn.Config(
            server,
            http=ImpatientProtocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client that names itself would have as many rates as names
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        Server(config).run(sockets=[listening])


class _Forgetful(Protocol):
    def sweep(self) -> None: ...


def _sweeping(*stores: _Forgetful) -> "Callable[[FastAPI], AbstractAsyncContextManager[None]]":
    """While the server runs, let what is kept in memory expire even if nobody asks for anything."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            for store in stores:
                store.sweep()

    @contextlib.asynccontextmanager
    async def lifespan(application: "FastAPI") -> AsyncIterator[None]:
        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    return lifespan


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:  # some systems would take the remainder
        raise InputError(f"There is no port {port}; choose one up to 65535, or 0 for any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except (OSError, UnicodeError) as error:  # the latter: no name of the net is so long
        raise InputError(
            f"Cannot listen at {host}, port {port} ({said(error)}); choose another --port."
        ) from error
    return listening
