"""Many photographs -> one folder: a JSON line and a picture per face, resumable."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from aucue.classifiers import local_file
from aucue.data.engines import open_engine
from aucue.errors import InputError, OutputExistsError
from aucue.explanation.explainer import Explainer, reading_size
from aucue.explanation.explanation import Explanation
from aucue.explanation.log import ExplanationLog
from aucue.faces import Face, FaceReader, LandmarkDetector

_CHUNK = 16
"""Photographs whose faces are searched in one go, and explained together."""

_BATCH = 32
"""Faces in one pass through the network."""


@dataclass(frozen=True)
class ExplainedPhoto:
    """A photograph with its explanations.

    Attributes:
        photo: The photograph.
        explanations: One per face, largest face first.
        pictures: The file of each, in the same order.
    """

    photo: Path
    explanations: tuple[Explanation, ...]
    pictures: tuple[Path, ...]


@dataclass(frozen=True)
class ExplainReport:
    """What became of photographs.

    Attributes:
        faces: Faces explained now.
        faceless: Photographs without a face.
        earlier: How many photographs an earlier run has explained.
        unread: Why photographs could not be read, a sentence each.
    """

    faces: int
    faceless: tuple[Path, ...]
    earlier: int
    unread: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every photograph could be read."""
        return not self.unread


def explain_files(
    photos: Iterable[str | Path],
    model: str | Path,
    out: str | Path,
    detector: str | LandmarkDetector = "dlib",
    method: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    tell: Callable[[ExplainedPhoto], object] | None = None,
) -> ExplainReport:
    """Explain every face of many photographs.

    The folder holds a picture per face and `explanations.jsonl`: a line per face, with what
    `Explanation.to_dict` gives, in the order of the photographs. An interrupted run is continued by the same
    call; what is there already is left as it is.

    Args:
        photos: Files. One that cannot be read is listed and left out, never fatal.
        model: Model file that `aucue train` wrote.
        out: Folder; what else lies in it is left alone.
        detector: "dlib", or any `LandmarkDetector`.
        method: Read-out of the class maps; by default the model's own.
        device: Where the network runs, in this process.
        overwrite: Explain photographs anew that are in the folder already.
        engine: Where faces are searched: "local" in processes of this machine, "ray" on a Ray cluster. The
            result is the same.
        workers: Processes; by default one per core, fewer for few photographs. A script that uses more than
            one needs the usual `if __name__ == "__main__":`.
        tell: Called with each photograph that has a face, when it is explained and written.

    Raises:
        InputError: The model, the detector, the device, the read-out or the engine cannot be used.
        OutputExistsError: `out` is a file, or holds explanations of the photographs with other settings.
        MissingExtraError: The detector is dlib, or the engine is Ray, and it is not installed.
        AucueError: A worker died; the same call continues what is finished.
    """
    files, out = list(dict.fromkeys(map(Path, photos))), Path(out)
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; choose a folder for the explanations")
    running = open_engine(engine, workers)
    explainer = Explainer(Path(model), device=device, method=method)
    size, template = reading_size(explainer.classifier), explainer.info.template or "aucue"
    reader = FaceReader(detector, size, template)
    settings = {
        "model": _fingerprint(Path(model)),
        "method": explainer.method,
        "detector": detector if isinstance(detector, str) else type(detector).__qualname__,
    }
    log = ExplanationLog(out)
    todo = _unfinished(files, log, settings, overwrite)
    names = _names(todo, out)

    faces, faceless, unread = 0, [], []
    chunks = [todo[start : start + _CHUNK] for start in range(0, len(todo), _CHUNK)]
    for chunk, found in zip(chunks, running.run(reader.read_all, chunks, most=len(chunks) // 2), strict=True):
        for photo, explanations in zip(chunk, _explain(explainer, found), strict=True):
            if isinstance(explanations, InputError):
                unread.append(str(explanations))
                continue
            pictures = log.add(str(photo), names[photo], explanations, settings)
            faces += len(explanations)
            if not explanations:
                faceless.append(photo)
            elif tell:
                tell(ExplainedPhoto(photo, explanations, tuple(pictures)))
    return ExplainReport(faces, tuple(faceless), len(files) - len(todo), tuple(unread))


def _fingerprint(model: Path) -> str:
    with local_file(model).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _unfinished(
    photos: Sequence[Path], log: ExplanationLog, settings: Mapping[str, str], overwrite: bool
) -> list[Path]:
    """The photographs to explain; the log then says nothing of them."""
    for photo in photos:
        entry = log.entries.get(str(photo))
        if entry and entry.settings != settings and not overwrite:
            differing = [name for name in settings if entry.settings[name] != settings[name]]
            raise OutputExistsError(
                f"{log.folder} holds an explanation of {photo} with another {' and '.join(differing)}; "
                "choose another folder, or overwrite it"
            )
    todo = [photo for photo in photos if overwrite or not log.holds(str(photo))]
    log.remove([str(photo) for photo in todo])
    return todo


def _names(photos: Iterable[Path], folder: Path) -> dict[Path, str]:
    """A file name without ending for each photograph: its own, with a number where that is taken."""
    taken = {picture.name.rpartition("_face")[0] for picture in folder.glob("*_face*.png")}
    used: Counter[str] = Counter()
    names: dict[Path, str] = {}
    for photo in photos:
        name = photo.stem
        while name in taken:
            used[photo.stem] += 1
            name = f"{photo.stem}_{used[photo.stem] + 1}"
        taken.add(name)
        names[photo] = name
    return names


def _explain(
    explainer: Explainer, found: Sequence[list[Face] | InputError]
) -> Iterator[tuple[Explanation, ...] | InputError]:
    """The faces of photographs, in batches -> the explanations of each photograph, or why it has none."""
    faces = [face for each in found if not isinstance(each, InputError) for face in each]
    batches = (faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH))
    explanations = chain.from_iterable(map(explainer.faces, batches))
    for each in found:
        yield each if isinstance(each, InputError) else tuple(islice(explanations, len(each)))
