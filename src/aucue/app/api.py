"""The HTTP interface for programs: a photograph as the body of a request -> JSON or a picture."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from aucue.app import views
from aucue.app.service import OFFERED, Service
from aucue.app.uploads import MAX_BYTES, Sent, read_upload, sent_files
from aucue.errors import InputError

AT_ONCE = 2
"""Photographs that are decoded and searched for faces at the same time: bounds the memory."""

WAITING = 64
"""Requests that wait for their turn; more are sent away."""

MOST = 32
"""Photographs in one request."""

BUSY = "Too many people ask at once; try again in a few seconds."

Model = Annotated[str | None, Query(description="Name of a model; default the first.")]
ReadOut = Annotated[str | None, Query(description="Read-out of the class maps; default the model's own.")]
Maps = Annotated[bool, Query(description="Also give the maps, as rows of numbers.")]
IfHidden = Annotated[bool, Query(description="Also measure what decides, by hiding regions.")]
Method = Annotated[str | None, Query(description="Old name of readout.", deprecated=True)]
_PHOTO = {
    "requestBody": {
        "required": True,
        "description": "The photograph: a JPEG, PNG, WebP, ... file, as it is or as the file of a form.",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"photo": {"type": "string", "format": "binary"}}}
            },
        },
    }
}
_PHOTOS = {
    "requestBody": {
        "required": True,
        "description": f"Up to {MOST} photographs, the files of a form.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "photo": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}

T = TypeVar("T")


class Turns:
    """A few requests are answered at a time; the others wait for their turn, unread.

    Args:
        at_once: How many are answered.
        waiting: How many wait; more are sent away.
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._limiter, self._waiting = anyio.CapacityLimiter(at_once), waiting

    @asynccontextmanager
    async def mine(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises:
            HTTPException: Too many wait.
        """
        if self._limiter.statistics().tasks_waiting >= self._waiting:
            raise HTTPException(503, BUSY)
        async with self._limiter:
            yield


def new_application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """An application without pages, whose every refusal is JSON: {"error": "a sentence"}.

    Args:
        lifespan: What runs beside it.
    """
    # FastAPI's own pages of documentation would load scripts from elsewhere.
    application = FastAPI(
        title="aucue",
        summary="Facial expressions, and where on the face they were seen.",
        version=version("aucue"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )

    @application.exception_handler(InputError)
    async def wrong_input(request: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @application.exception_handler(RequestValidationError)
    async def wrong_option(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}."}, 400)

    @application.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    return application


def new_router(service: Service, max_bytes: int = MAX_BYTES) -> APIRouter:
    """The addresses below /api.

    Args:
        service: Who explains.
        max_bytes: Largest photograph.
    """
    router = APIRouter(prefix="/api", tags=["api"])
    turns = Turns()

    async def in_turn(request: Request, answer: Callable[[list[Sent]], T]) -> T:
        """Receive what was sent when its turn has come, not before, and answer."""
        async with turns.mine():
            sent = sent_files(await request.body(), request.headers.get("content-type", ""))
            return await anyio.to_thread.run_sync(answer, sent)

    def only(sent: list[Sent]) -> Sent:
        """The photograph of a request that may have one."""
        if len(sent) > 1:
            raise InputError(
                f"This address takes one photograph, not {len(sent)}; send several to /api/batch."
            )
        return sent[0]

    def explained(
        sent: Sent, model: str | None, readout: str | None, *, maps: bool, if_hidden: bool
    ) -> dict[str, Any]:
        session = service.open(read_upload(sent.data, max_bytes))
        said = service.read(session, model or service.models[0], readout, if_hidden=if_hidden)
        return views.record(said, maps) | {"faces_left_out": session.left_out}

    @router.get("/health")
    def health() -> dict[str, Any]:
        """Whether the server answers, for whoever watches over it: the models are loaded before it does."""
        return {"status": "ok", "aucue": version("aucue"), "models": list(service.models)}

    @router.get("/models")
    def models() -> dict[str, Any]:
        """Models with their expressions and their own read-outs, and all read-outs."""
        described = [
            {
                "name": name,
                "expressions": list(service.model(name).classes),
                "readout": service.model(name).readout,
                "metrics": service.model(name).card.to_dict()["metrics"],
            }
            for name in service.models
        ]
        return {"models": described, "readouts": list(OFFERED)}

    @router.post("/explain", openapi_extra=_PHOTO)
    async def explain(
        request: Request,
        model: Model = None,
        readout: ReadOut = None,
        method: Method = None,
        maps: Maps = False,
        if_hidden: IfHidden = True,
    ) -> dict[str, Any]:
        """What a model says about each face of a photograph, largest face first."""
        return await in_turn(
            request,
            lambda sent: explained(only(sent), model, readout or method, maps=maps, if_hidden=if_hidden),
        )

    @router.post("/batch", openapi_extra=_PHOTOS)
    async def batch(
        request: Request,
        model: Model = None,
        readout: ReadOut = None,
        maps: Maps = False,
        if_hidden: IfHidden = False,
    ) -> dict[str, Any]:
        """What a model says about each of several photographs; one that cannot be used has its own error."""

        def one(sent: Sent) -> dict[str, Any]:
            try:
                return {"name": sent.name, **explained(sent, model, readout, maps=maps, if_hidden=if_hidden)}
            except InputError as wrong:
                return {"name": sent.name, "error": str(wrong)}

        def answer(sent: list[Sent]) -> dict[str, Any]:
            if len(sent) > MOST:
                raise InputError(
                    f"At most {MOST} photographs are taken at once, not {len(sent)}; send fewer."
                )
            service.model(model or service.models[0])  # no model is no fault of a photograph
            return {"photographs": [one(each) for each in sent]}

        return await in_turn(request, answer)

    @router.post("/picture", openapi_extra=_PHOTO, response_class=Response)
    async def picture(
        request: Request,
        model: Model = None,
        readout: ReadOut = None,
        method: Method = None,
        face: Annotated[int, Query(ge=1, description="Which face, the largest is 1.")] = 1,
        expression: Annotated[str | None, Query(description="Whose class map; default the answer's.")] = None,
        opacity: Annotated[float, Query(ge=0, le=1, description="Of the maps over the face.")] = 0.5,
        theme: Literal["light", "dark"] = "light",
    ) -> Response:
        """One face with its maps and probabilities, as a PNG."""

        def answer(sent: list[Sent]) -> bytes:
            session = service.open(read_upload(only(sent).data, max_bytes))
            session.look_at(face=face - 1, expression=expression)
            view = service.view(session, model or service.models[0], readout or method)
            view.explanation.class_map(expression)  # raises where the model has no such class
            buffer = io.BytesIO()
            views.picture([view], opacity, theme).save(buffer, "PNG")
            return buffer.getvalue()

        return Response(await in_turn(request, answer), media_type="image/png")

    return router
