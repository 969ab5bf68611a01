"""Rendered photographs, a detector that knows their faces, two tiny models, and one running server."""

import io
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from aucue.app import Service, Sessions
from aucue.explanation import explanation
from aucue.explanation.film import FilmWriter
from aucue.faces import Detection
from aucue.models import Model

from ..builders import drawn_face, information, untrained

if TYPE_CHECKING:
    import httpx

SIDE = 128  # of a rendered face


class TiledFaces:
    """Finds a face in every square of a photograph that is a row of them; none in one without contrast."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks
        self.calls = 0

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        self.calls += 1
        if image.min() == image.max():
            return []
        starts = range(0, image.shape[1], SIDE)
        return [
            # the first box is the largest, so faces are numbered from the left
            Detection(
                (x + 16, 16, x + 112 - x / SIDE, 112),
                1.5,
                self.landmarks + np.array((x, 0), np.float32),
                "plain",
            )
            for x in starts
        ]


def tiny_model(seed: int, predicts: str) -> Model:
    """An untrained network with a bias towards one expression."""
    return Model(untrained(seed, predicts=predicts, bias=2), information())


@pytest.fixture(scope="module", autouse=True)
def faint_maps_count() -> Iterator[None]:
    """The maps of untrained networks are too faint to be called evidence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explanation, "FAINT", -math.inf)
        yield


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A rendered face (S, S, 3) and its landmarks (68, 2)."""
    return drawn_face(SIDE)


@pytest.fixture
def detector(drawn) -> TiledFaces:
    return TiledFaces(drawn[1])


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    return {"guided": tiny_model(0, "happiness"), "unguided": tiny_model(1, "anger")}


@pytest.fixture
def service(models, detector) -> Service:
    return Service(models, detector)


@pytest.fixture(scope="session")
def photo(drawn) -> Callable[..., Image.Image]:
    """A photograph with that many faces in a row."""

    def make(faces: int = 1) -> Image.Image:
        return Image.fromarray(np.concatenate([drawn[0]] * faces, axis=1))

    return make


@pytest.fixture(scope="session")
def clip(photo, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 1.2 seconds with a face."""
    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with FilmWriter(path, 10) as film:
        for index in range(12):
            film.write(np.asarray(photo()), index / 10)
    return path.read_bytes()


def encoded(picture: Image.Image, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return buffer.getvalue()


@dataclass
class Running:
    """A server with the page."""

    address: str
    service: Service
    folder: Path  # for temporary files
    client: "httpx.Client"
    sessions: Sessions

    def files(self) -> list[Path]:
        """What it has written, beside the lock of its folder."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.fixture(scope="session")
def running(models, drawn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`aucue serve` in a thread, at a free port of this machine."""
    pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")
    import httpx
    import uvicorn

    from aucue.app.server import serve

    folder = tmp_path_factory.mktemp("temporary")
    service = Service(models, TiledFaces(drawn[1]))
    servers, addresses = [], []

    class Stoppable(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn, "Server", Stoppable)
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("GRADIO_TEMP_DIR", "")  # put back to what it was, after `serve` has set it
        thread = threading.Thread(
            target=serve, args=(service,), kwargs={"port": 0, "per_minute": 100_000, "tell": addresses.append}
        )
        thread.start()
        while thread.is_alive() and not (servers and servers[0].started):
            time.sleep(0.05)
        assert thread.is_alive(), "the server has stopped"
        with httpx.Client(base_url=addresses[0], timeout=120) as client:
            yield Running(addresses[0], service, folder, client, servers[0].config.app.state.sessions)
        servers[0].should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()
        # The server's own folder is gone, too; other tests of the process make multiprocessing's and torch's.
        of_others = ("pymp-", "torchinductor_")
        assert not [path for path in folder.iterdir() if not path.name.startswith(of_others)]
