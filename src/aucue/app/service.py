"""The models and what they say about photographs, for many people at once."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from aucue.app.kept import Kept
from aucue.cams import READOUTS
from aucue.errors import InputError
from aucue.explanation import Explainer, Explanation
from aucue.faces import Detection, Face, FaceReader, GivenBoxes, LandmarkDetector, open_detector
from aucue.models import Model
from aucue.models.calibration import Prior

MAX_FACES = 20
"""Faces of a photograph that are explained, the largest first."""

BRUSH = 0.06
"""Radius of the brush that hides, as a share of the crop's side."""

MAX_POINTS = 4000
"""Points that the brush may have covered."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The box that is the whole picture."""

_PREVIEW = 1024  # pixels of the longer side
_DRAWN = ("given box", "full-frame")  # how faces are found that somebody has shown

Form = tuple[int, str]
"""How a model wants its faces: side of the crops, name of the template."""


OFFERED = {name: readout for name, readout in READOUTS.items() if readout.offered}
"""Read-outs that a page offers: those that cannot keep it busy for minutes."""


class NoFaceError(InputError):
    """A photograph shows no face that can be found."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one model says about the faces of a photograph.

    Attributes:
        model: Its name.
        readout: Read-out of the class maps.
        explanations: One per face, largest face first.
    """

    model: str
    readout: str
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, eq=False)
class FaceView:
    """What one model shows of one face, for a class that somebody chose to look at.

    Attributes:
        model: Its name.
        readout: Read-out of the class maps.
        explanation: Of the face, for that class.
        without: Probability per class with what the brush covers hidden; None without a stroke.
    """

    model: str
    readout: str
    explanation: Explanation
    without: Mapping[str, float] | None = None

    @property
    def readout_title(self) -> str:
        """Name of the read-out in print."""
        return READOUTS[self.readout].title


@dataclass(eq=False)
class Session:
    """A photograph while somebody looks at it: small copies and the crops of its faces, not the file.

    Attributes:
        preview: The photograph, shrunk to 1024 pixels at most.
        scale: Preview pixels per pixel of the photograph.
        faces: Aligned faces for each way that the models want them, largest first, one that somebody has
            shown last; there may be none.
        kept: A copy in which faces can be looked for anew; None where nobody will.
        left_out: Number of faces beyond the `MAX_FACES` largest.
        face: Index of the face that is looked at.
        expression: Class whose map is looked at; None is the one that the model predicts.
        brush: Points of the face's crop that were brushed over, x and y in [0, 1].
        answers: What was said already of all faces, by model, read-out, and whether regions were hidden.
        seen: What was said already of one face and class, measured: by model, read-out, face and class.
        name: What files of it are called.
    """

    preview: Image.Image
    scale: float
    faces: Mapping[Form, tuple[Face, ...]]
    kept: Kept | None = None
    left_out: int = 0
    face: int = 0
    expression: str | None = None
    brush: tuple[tuple[float, float], ...] = ()
    answers: dict[tuple[str, str, bool], Answer] = field(default_factory=dict)
    seen: dict[tuple[str, str, int, str], Explanation] = field(default_factory=dict)
    name: str = "aucue"

    @property
    def boxes(self) -> np.ndarray:
        """(n, 4) boxes of the faces in pixels of the preview."""
        faces = next(iter(self.faces.values()))
        return np.array([face.box for face in faces], dtype=float).reshape(-1, 4) * self.scale

    def look_at(self, face: int | None = None, expression: str | None = None) -> None:
        """Choose what to look at; another face begins with the model's own answer.

        Args:
            face: Index of a face; None stays with the one that is looked at.
            expression: A class; None stays with the one that is looked at.

        Raises:
            InputError: There is no such face.
        """
        if face is not None and face != self.face:
            if not 0 <= face < len(self.boxes):
                raise InputError(f"There is no face {face + 1}: the photograph has {len(self.boxes)}.")
            self.face, self.expression, self.brush = face, None, ()
        if expression is not None:
            self.expression = expression

    def paint(self, points: Sequence[tuple[float, float]]) -> None:
        """Brush over more points of the face that is looked at; none at all wipes the brush off.

        Raises:
            InputError: There are too many, or one lies outside the crop.
        """
        if not all(0 <= value <= 1 for point in points for value in point):
            raise InputError("A brush stroke leaves the face; draw it inside.")
        if len(self.brush) + len(points) > MAX_POINTS:
            raise InputError("The brush has covered too much; begin again.")
        self.brush = (*self.brush, *points) if points else ()

    def covered(self, side: int) -> np.ndarray:
        """What the brush covers (side, side) bool."""
        at = (np.arange(side) + 0.5) / side
        covered = np.zeros((side, side), bool)
        for x, y in self.brush:
            covered |= (at[None, :] - x) ** 2 + (at[:, None] - y) ** 2 <= BRUSH**2
        return covered

    def face_at(self, x: float, y: float) -> int | None:
        """Index of the smallest face whose box holds a point of the preview; None where there is none."""
        left, top, right, bottom = self.boxes.T
        inside = np.flatnonzero((left <= x) & (x <= right) & (top <= y) & (y <= bottom))
        areas = ((right - left) * (bottom - top))[inside]
        return int(inside[areas.argmin()]) if len(inside) else None


class Service:
    """Explains photographs with one or several models. May be shared by threads: one face batch at a time.

    Args:
        models: Model files, or models, by the name that people choose from.
        detector: Finds faces; default the mesh.
        device: Where the networks run; "auto" takes a CUDA GPU if there is one.
        readout: Read-out to begin with; default each model's own.
        prior: Mix of expressions that answers are given for, see `Model`.

    Raises:
        InputError: No model, or a model, the device, the read-out or the prior cannot be used.
    """

    def __init__(
        self,
        models: Mapping[str, Path | Model],
        detector: LandmarkDetector | None = None,
        device: str = "auto",
        readout: str | None = None,
        *,
        prior: Prior | None = None,
    ) -> None:
        if not models:
            raise InputError("A page needs at least one model file.")
        self._detector = open_detector(detector)
        if readout in READOUTS and readout not in OFFERED:
            raise InputError(
                f"The read-out '{readout}' takes minutes per face, which is too slow for a page; choose "
                "another one, or explain photographs with it by 'aucue explain'."
            )
        self._models = {
            name: Model.load(model, readout, device, prior=prior) for name, model in models.items()
        }
        self._explainers: dict[tuple[str, str], Explainer] = {}
        self._network = threading.Lock()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order given."""
        return tuple(self._models)

    def model(self, name: str) -> Model:
        """The model of that name, read out as where nothing else is asked for.

        Raises:
            InputError: There is none.
        """
        if name not in self._models:
            raise InputError(f"There is no model {name!r} here; choose {' or '.join(self._models)}.")
        return self._models[name]

    def open(self, photo: Image.Image) -> Session:
        """Find the faces of a photograph.

        Args:
            photo: Upright and RGB, as `read_upload` gives it.

        Raises:
            NoFaceError: There is no face.
        """
        session = self._session(photo, self._detector(np.asarray(photo)))
        if not len(session.boxes):
            raise NoFaceError(
                "No face was found in this photograph; choose one that shows a face that is neither in "
                "profile nor too small."
            )
        return session

    def find(self, photo: Image.Image) -> Session:
        """The same for somebody who can show where a face is that was not found: there may be none.

        Args:
            photo: Upright and RGB, as `read_upload` gives it.
        """
        return replace(self._session(photo, self._detector(np.asarray(photo))), kept=Kept.of(photo))

    def turned(self, session: Session, quarters: int) -> Session:
        """Turn a photograph and find its faces anew.

        Args:
            session: The photograph, as `find` gave it.
            quarters: Quarter turns, counter-clockwise.
        """
        assert session.kept is not None
        kept = session.kept.turned(quarters)
        photo = kept.open()
        found = self._session(photo, self._detector(np.asarray(photo)), kept.factor)
        return replace(found, kept=kept, name=session.name)

    def shown(self, session: Session, box: tuple[float, float, float, float]) -> Session:
        """Take what somebody says is a face, beside those that were found; it is looked at next.

        Args:
            session: The photograph, as `find` gave it.
            box: Left, top, right and bottom of the face, as shares of the picture; `WHOLE` takes all of it.

        Raises:
            InputError: No face can be read there.
        """
        assert session.kept is not None
        photo = session.kept.open()
        pixels = tuple(share * side for share, side in zip(box, 2 * photo.size, strict=True))
        (face,) = GivenBoxes([pixels])(np.asarray(photo))
        added = self._faces(photo, [replace(face, how=_DRAWN[box == WHOLE])], session.kept.factor)
        if not all(added.values()):
            raise InputError(
                "No face can be read there; draw a box around one, from the forehead to the chin."
            )
        found = {
            form: tuple(face for face in faces if face.how not in _DRAWN)
            for form, faces in session.faces.items()
        }
        faces = {form: (*found[form], *new) for form, new in added.items()}
        last = len(next(iter(faces.values()))) - 1
        return replace(session, faces=faces, face=last, expression=None, brush=(), answers={}, seen={})

    def _session(self, photo: Image.Image, found: Sequence[Detection], factor: int = 1) -> Session:
        faces = self._faces(photo, found, factor)
        count = len(next(iter(faces.values())))
        preview = photo.copy()
        preview.thumbnail((_PREVIEW, _PREVIEW))
        first = {form: each[:MAX_FACES] for form, each in faces.items()}
        scale = preview.width / photo.width / factor
        return Session(preview, scale, first, left_out=max(0, count - MAX_FACES))

    def _faces(
        self, photo: Image.Image, found: Sequence[Detection], factor: int
    ) -> dict[Form, tuple[Face, ...]]:
        """Detected faces as each model wants them; `factor` says how much larger the photograph itself is."""
        forms, pixels = dict.fromkeys(map(self._form, self.models)), np.asarray(photo)
        read = {form: FaceReader(self._detector, *form).align_all(pixels, found) for form in forms}
        return {form: tuple(face.in_photograph(factor) for face in faces) for form, faces in read.items()}

    def read(
        self, session: Session, model: str, readout: str | None = None, *, if_hidden: bool = False
    ) -> Answer:
        """Explain all faces of a photograph with one model; what was explained before is taken from there.

        Args:
            session: The photograph.
            model: One of `models`.
            readout: Read-out of the class maps; default the model's own.
            if_hidden: Also measure what decides.

        Raises:
            InputError: No such model or read-out.
        """
        explainer = self._explainer(model, readout)
        key = model, explainer.model.readout, if_hidden
        if key not in session.answers:
            with self._network:
                explanations = explainer.faces(session.faces[self._form(model)], if_hidden=if_hidden)
            session.answers[key] = Answer(*key[:2], tuple(explanations))
        return session.answers[key]

    def view(self, session: Session, model: str, readout: str | None = None) -> FaceView:
        """What a model shows of the face and the class that are looked at, with what decides.

        Args:
            session: The photograph.
            model: One of `models`.
            readout: Read-out of the class maps; default the model's own.

        Raises:
            InputError: No such model or read-out.
        """
        answer = self.read(session, model, readout)
        explanation = answer.explanations[session.face]
        chosen = session.expression if session.expression in explanation.probabilities else None
        key = model, answer.readout, session.face, chosen or explanation.expression
        if key not in session.seen:
            explainer = self._explainers[model, answer.readout]
            with self._network:
                (session.seen[key],) = explainer.faces([explanation.face], key[3], if_hidden=True)
        without = None
        if session.brush:
            covered = session.covered(self.model(model).input_size)
            with self._network:
                without = self._explainers[model, answer.readout].without(explanation.face, covered)
        return FaceView(model, answer.readout, session.seen[key], without)

    def reader(self, model: str) -> FaceReader:
        """Finds faces and aligns them as a model wants them.

        Raises:
            InputError: No such model.
        """
        return FaceReader(self._detector, *self._form(model))

    def unmeasured(self, faces: Sequence[Face], model: str, readout: str | None = None) -> list[Explanation]:
        """Explain faces that are kept nowhere, without measuring what decides: those of videos.

        Args:
            faces: As `reader` aligns them.
            model: One of `models`.
            readout: Read-out of the class maps; default the model's own.

        Raises:
            InputError: No such model or read-out.
        """
        explainer = self._explainer(model, readout)
        with self._network:
            return explainer.faces(faces, if_hidden=False)

    def probabilities(self, faces: Sequence[Face], model: str) -> list[dict[str, float]]:
        """How probable each class is for faces that are kept nowhere: those of a camera.

        Args:
            faces: As `reader` aligns them.
            model: One of `models`.

        Raises:
            InputError: No such model.
        """
        explainer = self._explainer(model, None)
        with self._network:
            return explainer.probabilities(faces)

    def _form(self, model: str) -> Form:
        return self.model(model).reading_size, self.model(model).template

    def _explainer(self, model: str, readout: str | None) -> Explainer:
        own = self.model(model)
        readout = readout or own.readout
        if readout not in OFFERED:
            raise InputError(f"There is no read-out {readout!r} here; choose {', '.join(OFFERED)}.")
        with self._network:
            if (model, readout) not in self._explainers:
                self._explainers[model, readout] = Explainer(own, device=own.device, readout=readout)
        return self._explainers[model, readout]


class Sessions:
    """The photographs that people look at now, by the name of their browser's session.

    Held in memory alone; forgotten when the page is closed, after a while without use, or when there are too
    many.

    Args:
        seconds: How long one is kept that nobody touches.
        most: How many are kept.
        clock: Seconds that never go back.
    """

    def __init__(
        self, seconds: float = 900, most: int = 64, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, Session]] = OrderedDict()  # longest untouched first

    def __len__(self) -> int:
        return len(self._held)

    def put(self, name: str, session: Session) -> None:
        """Keep a photograph instead of an earlier one."""
        with self._lock:
            self._held.pop(name, None)
            self._held[name] = self._clock(), session
            self._sweep()

    def get(self, name: str) -> Session | None:
        """The photograph of a session; None if there is none any more."""
        with self._lock:
            self._sweep()
            if name not in self._held:
                return None
            _, session = self._held.pop(name)
            self._held[name] = self._clock(), session
            return session

    def sweep(self) -> None:
        """Forget what nobody has touched for long."""
        with self._lock:
            self._sweep()

    def drop(self, name: str) -> None:
        """Forget the photograph of a session."""
        with self._lock:
            self._held.pop(name, None)

    def _sweep(self) -> None:
        while self._held:
            touched, _ = next(iter(self._held.values()))
            if len(self._held) <= self._most and self._clock() - touched <= self.seconds:
                return
            self._held.popitem(last=False)


def names_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Names to choose models by: the file's own, with its folder where two are called alike.

    `runs/a/model.safetensors` and `runs/b/model.safetensors` become `a/model` and `b/model`.

    Raises:
        InputError: A file is named twice.
    """
    paths = [Path(os.path.abspath(path)) for path in paths]
    if len(set(paths)) < len(paths):
        raise InputError("A model file is named twice; name each once.")
    depth = 1
    while len({_tail(path, depth) for path in paths}) < len(paths):
        depth += 1
    return {_tail(path, depth): path for path in paths}


def _tail(path: Path, depth: int) -> str:
    return "/".join(path.with_suffix("").parts[-depth:])
