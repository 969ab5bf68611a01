"""Uploads from the page, kept in memory: Gradio's own would write them to disk."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import anyio
from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

READ_AT_ONCE = 4
"""Uploads that are received at the same time."""

_NAME = "photograph"


class Uploads:
    """Files that were sent and not yet looked at, by a path that exists nowhere.

    Args:
        folder: The folder that Gradio takes uploads to lie in.
        seconds: How long one is kept.
        most: Bytes that are kept together; the oldest give way.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        folder: str,
        seconds: float = 60,
        most: int = 256 * 2**20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # oldest first
        self._owners: dict[str, str] = {}  # path -> session

    def __len__(self) -> int:
        self.sweep()
        return len(self._held)

    def put(self, data: bytes) -> str:
        """Keep a file for a while; returns its path."""
        path = f"{self._folder}/{secrets.token_hex(16)}/{_NAME}"
        with self._lock:
            self._held[path] = self._clock(), data
        self.sweep()
        return path

    def get(self, path: str) -> bytes | None:
        """The file of that path; None where it is gone."""
        self.sweep()
        return self._held.get(path, (0, None))[1]

    def holds(self, path: str, session: str) -> bool:
        """Whether a path is that of an upload that is still kept, of a session: the first that uses it."""
        if self.get(path) is None:
            return False
        with self._lock:
            return self._owners.setdefault(path, session) == session

    def sweep(self) -> None:
        """Forget what is old, and the oldest of too much."""
        with self._lock:
            total = sum(len(data) for _, data in self._held.values())
            while self._held:
                since, data = next(iter(self._held.values()))
                if self._clock() - since <= self._seconds and total <= self._most:
                    return
                path, _ = self._held.popitem(last=False)
                self._owners.pop(path, None)
                total -= len(data)


def new_router(uploads: Uploads, max_bytes: int) -> APIRouter:
    """Gradio's addresses for uploads, answered from memory; to be put before Gradio's own.

    Args:
        uploads: Where the files are kept.
        max_bytes: Largest file.
    """
    router = APIRouter(prefix="/gradio_api", include_in_schema=False)

    reading = anyio.CapacityLimiter(READ_AT_ONCE)

    @router.post("/upload")
    async def upload(request: Request) -> list[str]:
        async with reading:  # until then nothing of it is in memory
            return await receive(request)

    async def receive(request: Request) -> list[str]:
        parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=1)
        parser.spool_max_size = 2 * max_bytes  # beyond it a file would go to disk
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError) as error:
            raise HTTPException(400, "The upload is no form with one file.") from error
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
        data = [await file.read(max_bytes + 1) for file in files]
        await form.close()
        if any(len(each) > max_bytes for each in data):
            raise HTTPException(413, f"This file is too large: at most {max_bytes / 2**20:g} MB are taken.")
        return [uploads.put(each) for each in data]

    @router.get("/upload_progress")
    def upload_progress() -> Response:
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    @router.get("/file={path:path}")
    async def file(path: str) -> Response:
        data = uploads.get(path)
        if data is None:
            raise HTTPException(404, "There is no such file.")
        # as a picture and nothing else: what a person sent never runs in the page
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "sandbox"}
        return Response(data, media_type="image/*", headers=headers)

    return router
