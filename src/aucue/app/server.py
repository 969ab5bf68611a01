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
    address: str,
    *,
    names: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
    per_minute: int = 120,
) -> "FastAPI":
    """The application that a server runs: page at /, interface for programs at /api.

    Args:
        service: Who explains.
        address: Where it will be found, such as http://127.0.0.1:7860.
        names: Names that people may ask for it by, beside localhost and the address they connect to.
        max_bytes: Largest photograph.
        per_minute: Requests with something in them (photographs, choices) per client and minute.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    require_gradio()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported, and later again
    import gradio
    from gradio.utils import get_upload_folder

    from aucue.app import api, door, memory, page, page_api
    from aucue.app.limits import Limits
    from aucue.app.live import Live
    from aucue.app.temporary import Allocator

    sessions, uploads = Sessions(), memory.Uploads(get_upload_folder())
    built = page.new_page(service, sessions, uploads, address, max_bytes)
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
        InputError: The port is taken, or the address is none of this machine.
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
        server = new_server(service, address, names=[shown], max_bytes=max_bytes, per_minute=per_minute)
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
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Cannot listen at {host}, port {port} ({said(error)}); choose another --port."
        ) from error
    return listening
