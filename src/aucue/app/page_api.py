"""What the page's own scripts ask for: one of many photographs, a video, a picture of the camera."""

import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aucue.app import clips, live
from aucue.app.api import Turns
from aucue.app.gallery import listed
from aucue.app.limits import Allowed, Rate
from aucue.app.live import Live
from aucue.app.service import Service
from aucue.app.uploads import MAX_BYTES, read_upload
from aucue.errors import AucueError
from aucue.pages import CURVES_SCRIPT

FRAMES = 15
"""Pictures of a camera for each request that may send something: they are small, and come one by one."""

_SCRIPTS = [*Path(__file__).with_name("scripts").glob("*.js"), CURVES_SCRIPT]

Name = Annotated[str, Query(max_length=500)]
Choice = Annotated[str | None, Query()]


def allowed(max_bytes: int, per_minute: int) -> dict[str, Allowed]:
    """What these addresses take, where it differs from the others.

    Args:
        max_bytes: Largest photograph.
        per_minute: Requests per client and minute.
    """
    return {
        "/page/video": Allowed(max(max_bytes, clips.MAX_BYTES)),
        "/page/frame": Allowed(live.MAX_BYTES, Rate(FRAMES * per_minute)),
    }


def new_router(service: Service, cameras: Live, folder: str, max_bytes: int = MAX_BYTES) -> APIRouter:
    """The addresses below /page, and the scripts.

    Args:
        service: Who explains.
        cameras: Who follows the faces in front of cameras.
        folder: Where videos lie while they are looked at, without a name.
        max_bytes: Largest photograph.
    """
    router = APIRouter(include_in_schema=False)
    photographs, videos, frames = Turns(), Turns(at_once=1), Turns()
    scripts = {path.name: path.read_text(encoding="utf-8") for path in _SCRIPTS}

    @router.get("/scripts/{name}")
    def script(name: str) -> Response:
        if name not in scripts:
            raise HTTPException(404, "There is nothing at this address.")
        return Response(scripts[name], media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @router.post("/page/photograph")
    async def photograph(
        request: Request, name: Name, model: Choice = None, readout: Choice = None, if_hidden: bool = True
    ) -> dict[str, Any]:
        async with photographs.mine():
            data = await request.body()
            return await anyio.to_thread.run_sync(
                lambda: listed(service, data, name, model, readout, if_hidden=if_hidden, max_bytes=max_bytes)
            )

    @router.post("/page/frame")
    async def frame(
        request: Request, camera: Annotated[str, Query(pattern="^[0-9a-f]{32}$")], model: Choice = None
    ) -> dict[str, Any]:
        async with frames.mine():
            data = await request.body()
            began = time.perf_counter()

            def look() -> list[dict[str, Any]]:
                return cameras.look(camera, read_upload(data, live.MAX_BYTES, live.MAX_PIXELS), model)

            faces = await anyio.to_thread.run_sync(look)
            return {"faces": faces, "milliseconds": round(1000 * (time.perf_counter() - began), 1)}

    @router.post("/page/video")
    async def video(request: Request, model: Choice = None, readout: Choice = None) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(videos.mine())
            file = stack.enter_context(_nameless(folder))
            await _receive(request, file)
            events = clips.told(service, file, model, readout)
            stack.callback(events.close)
            return _Held(stack.pop_all(), _lines(events))
        raise AssertionError  # for type checkers: the stack swallows nothing

    return router


class _Held(StreamingResponse):
    """Lines of JSON; what they need is let go when they have been sent, or nobody waits for them any more."""

    def __init__(self, held: AsyncExitStack, lines: AsyncIterator[str]) -> None:
        super().__init__(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def _receive(request: Request, file: IO[bytes]) -> None:
    async for part in request.stream():
        await anyio.to_thread.run_sync(file.write, part)
    file.seek(0)


async def _lines(events: Iterator[dict[str, Any]]) -> AsyncIterator[str]:
    """Events as lines, each when it comes; what goes wrong is the last."""
    try:
        while (event := await anyio.to_thread.run_sync(next, events, None)) is not None:
            yield json.dumps(event, allow_nan=False) + "\n"
    except AucueError as error:
        yield json.dumps({"error": str(error)}) + "\n"


def _nameless(folder: str) -> IO[bytes]:
    """A file without a name: it is gone when it is closed or the process ends, however that happens."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
