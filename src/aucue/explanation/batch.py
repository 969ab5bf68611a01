"""Many photographs and videos -> one folder: JSON lines, pictures, a table and a page; resumable."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aucue.errors import InputError, OutputExistsError
from aucue.explanation.explainer import BATCH, Explainer
from aucue.explanation.explanation import Explanation
from aucue.explanation.files import THUMBNAILS, output_stem
from aucue.explanation.film import load_av
from aucue.explanation.index import INDEX_FILE, write_index
from aucue.explanation.inputs import find_inputs
from aucue.explanation.log import ExplanationLog, Log, VideoLog
from aucue.explanation.results import to_dataframe
from aucue.explanation.settings import ExplainSettings
from aucue.explanation.table import TABLE_FILE, write_table
from aucue.explanation.video import ExplainedVideo, explain_video
from aucue.faces import (
    DEFAULT_DETECTOR,
    Face,
    FaceReader,
    LandmarkDetector,
    is_table,
    open_detector,
)
from aucue.faces.detectors import told_apart
from aucue.models import model_file
from aucue.work.engines import Engine, open_engine
from aucue.work.files import check_free, claimed, digest_of, sweep
from aucue.work.progress import progress_bar

if TYPE_CHECKING:
    import pandas

# Files that may be named after an input; where there is one of them, its maps and thumbnail are named alike.
_NAMED = re.compile(r"(.*)(?:\.(?:mp4|jsonl|csv)|_poster\.jpg|_face.*\.png)", re.IGNORECASE | re.DOTALL)
_CHUNK = 16
"""Photographs whose faces are searched in one go, and explained together."""


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
    """What became of photographs and videos.

    Attributes:
        faces: Faces of photographs explained now.
        faceless: Photographs without a face.
        earlier: How many photographs and videos an earlier run has explained.
        unread: Why files could not be read, a sentence each.
        videos: Videos explained now.
        cut_short: Videos, explained now or earlier, whose file lacks its end, a sentence each.
        videos_in_all: How many of the videos asked for are explained, now or earlier.
        records: A dict of plain values for each face of the photographs, those explained earlier too, as
            `explanations.jsonl` has them; one for a photograph without a face, with `"faces": 0`.
    """

    faces: int
    faceless: tuple[Path, ...]
    earlier: int
    unread: tuple[str, ...]
    videos: tuple[ExplainedVideo, ...] = ()
    cut_short: tuple[str, ...] = ()
    videos_in_all: int = 0
    records: tuple[Mapping[str, Any], ...] = field(default=(), repr=False, compare=False)

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row per face of the photographs, with the columns of `explanations.csv`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_dataframe(self.records)

    @property
    def ok(self) -> bool:
        """Whether every file could be read, to its end."""
        return not self.unread and not self.cut_short


def explain_files(
    inputs: Iterable[str | Path],
    model: str | Path | None = None,
    out: str | Path = "explanations",
    settings: ExplainSettings | None = None,
    *,
    detector: LandmarkDetector | None = None,
    overwrite: bool = False,
    progress: bool = False,
    tell: Callable[[ExplainedPhoto | ExplainedVideo], object] | None = None,
) -> ExplainReport:
    """Explain every face of many photographs and videos.

    The folder holds a picture per face and `explanations.jsonl`: a line per face, with what
    `Explanation.to_dict` gives, in the order of the photographs; a video with marked faces, JSON lines and a
    table per video; and at the end `explanations.csv` and `index.html`, a page that shows it all. An
    interrupted run is continued by the same call; what is there already is left as it is.

    Args:
        inputs: Photographs, videos, folders with all folders in them, and patterns such as "shots/*.jpg". A
            file that cannot be read is listed and left out, never fatal.
        model: Model file that `aucue train` wrote; by default the one in the box.
        out: Folder; what else lies in it is left alone.
        settings: How; by default `ExplainSettings()`.
        detector: One of your own instead of that of the settings.
        overwrite: Explain anew what is in the folder already.
        progress: Show a progress bar on stderr.
        tell: Called with each photograph that has a face, and each video, when it is explained and written.

    Raises:
        InputError: The model, the detector, the device, the read-out, the engine or a number cannot be used.
        OutputExistsError: `out` is a file, holds explanations of the same files with other settings, or a
            page or table that is none of ours.
        MissingExtraError: The detector is dlib, the engine is Ray or there is a video, and what it needs is
            not installed.
        AucueError: A worker died; the same call continues what is finished.
    """
    found, out = find_inputs(inputs, Path(out)), Path(out)
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; choose a folder for the explanations.")
    settings = settings or ExplainSettings()
    finds = detector or settings.detector or DEFAULT_DETECTOR
    if isinstance(finds, str) and is_table(finds):
        finds = open_detector(finds)
    _check_videos(found.videos, finds)
    running = open_engine(settings.engine, settings.workers)
    explainer = Explainer(
        model,
        device=settings.device,
        readout=settings.readout,
        if_hidden=settings.if_hidden,
        prior=settings.prior,
    )
    own = explainer.model
    depends_on: dict[str, Any] = {
        "model": digest_of(model_file(model))[:16],
        "readout": own.readout,
        "detector": told_apart(finds),
        "maps": settings.maps,
        "prior": own.mix.assumed if own.mix and settings.prior is not None else None,
    }
    photo_depends_on = {**depends_on, "hiding": settings.if_hidden}
    with claimed(out):
        sweep(out / THUMBNAILS)
        log, films = ExplanationLog(out), VideoLog(out)
        if not (log.path.exists() or films.path.exists()):
            check_free(out, (TABLE_FILE, INDEX_FILE), overwrite)
        # Of a killed run: what is not whole is in no page and no table until it is explained anew.
        for each in (log, films):
            each.remove([file for file in each.entries if not each.holds(file)])
        film_depends_on = {**depends_on, "fps": settings.fps, "smooth": settings.smooth}
        photos = _unfinished(found.photos, log, photo_depends_on, overwrite)
        videos = _unfinished(found.videos, films, film_depends_on, overwrite)
        reader = FaceReader(finds, own.reading_size, own.template)
        job = _Job(explainer, reader, _names([*photos, *videos], out), settings, tell)
        with progress_bar(progress) as bar:
            task = bar.add_task("photographs", total=len(found.photos), visible=bool(found.photos))
            bar.update(task, completed=len(found.photos) - len(photos))
            faces, faceless = job.photos(photos, running, log, photo_depends_on, lambda: bar.advance(task))
            for video in videos:
                seconds = bar.add_task(f"{video.name}, seconds", total=None)
                job.video(
                    video,
                    films,
                    film_depends_on,
                    lambda at, task=seconds: bar.update(task, completed=round(at)),
                )
        if log.entries or films.entries:
            write_table(out / TABLE_FILE, log.records(), own.classes)
            write_index(out / INDEX_FILE, log.records, list(films.records()))
    earlier = len(found.photos) - len(photos) + len(found.videos) - len(videos)
    missing = {record["video"]: record.get("missing") for record in films.records()}
    cut_short = tuple(f"{video} {missing[str(video)]}" for video in found.videos if missing.get(str(video)))
    unread = (*found.empty, *job.unread)
    asked = {str(photo) for photo in found.photos}
    records = tuple(record for record in log.records() if record["photo"] in asked)
    return ExplainReport(
        faces,
        tuple(faceless),
        earlier,
        unread,
        tuple(job.explained),
        cut_short,
        sum(films.holds(str(video)) for video in found.videos),
        records,
    )


class _Job:
    """Explains photographs and videos, and remembers which could not be read.

    Args:
        explainer: The model.
        reader: Finds faces.
        names: What the names of a file's outputs begin with.
        settings: Of the run.
        tell: See `explain_files`.
    """

    def __init__(
        self,
        explainer: Explainer,
        reader: FaceReader,
        names: Mapping[Path, str],
        settings: ExplainSettings,
        tell: Callable[[ExplainedPhoto | ExplainedVideo], object] | None,
    ) -> None:
        self.explainer, self.reader, self.names = explainer, reader, names
        self.settings = settings
        self.tell = tell or (lambda done: None)
        self.unread: list[str] = []
        self.explained: list[ExplainedVideo] = []

    def photos(
        self,
        photos: Sequence[Path],
        engine: Engine,
        log: ExplanationLog,
        depends_on: Mapping[str, Any],
        step: Callable[[], object],
    ) -> tuple[int, list[Path]]:
        """Explain photographs; returns how many faces they have, and those that have none."""
        faces, faceless = 0, []
        chunks = [photos[start : start + _CHUNK] for start in range(0, len(photos), _CHUNK)]
        read = engine.run(self.reader.read_all, chunks, most=len(chunks) // 2)
        for chunk, found in zip(chunks, read, strict=True):
            for photo, explanations in zip(chunk, _explain(self.explainer, found), strict=True):
                step()
                if isinstance(explanations, InputError):
                    self.unread.append(str(explanations))
                    continue
                try:
                    pictures = log.add(photo, self.names[photo], explanations, depends_on, self.settings.maps)
                except InputError as error:  # it has changed since its faces were found
                    log.remove([str(photo)])
                    self.unread.append(str(error))
                    continue
                faces += len(explanations)
                if explanations:
                    self.tell(ExplainedPhoto(photo, explanations, tuple(pictures)))
                else:
                    faceless.append(photo)
        return faces, faceless

    def video(
        self, video: Path, films: VideoLog, depends_on: Mapping[str, Any], step: Callable[[float], object]
    ) -> None:
        """Explain a video."""
        name = self.names[video]
        try:
            done = explain_video(video, self.explainer, self.reader, films.folder, name, self.settings, step)
        except InputError as error:
            self.unread.append(str(error))
            return
        films.add(done, depends_on)
        self.explained.append(done)
        self.tell(done)


def _check_videos(videos: Sequence[Path], detector: str | LandmarkDetector) -> None:
    if videos:
        from aucue.faces import PrecomputedDetector  # reads tables with pyarrow, .2 s

        load_av()
        if isinstance(detector, PrecomputedDetector):
            raise InputError(
                f"A table of landmarks knows photographs, not the frames of {videos[0]}; leave --detector "
                "out for videos."
            )


def _unfinished(files: Sequence[Path], log: Log, settings: Mapping[str, Any], overwrite: bool) -> list[Path]:
    """The photographs or videos to explain; the log then says nothing of them."""
    for file in files:
        entry = log.entries.get(str(file))
        if entry and not overwrite:
            _check_same(log.folder, file, entry.settings, settings)
    todo = [file for file in files if overwrite or not log.holds(str(file))]
    log.remove([str(file) for file in todo])
    return todo


def _check_same(folder: Path, file: Path, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differing = [name for name in settings if before[name] != settings[name]]
    if differing:
        raise OutputExistsError(
            f"{folder} holds an explanation of {file} with another {' and '.join(differing)}; "
            "choose another folder, or overwrite it."
        )


def _names(files: Iterable[Path], folder: Path) -> dict[Path, str]:
    """A file name without ending for each file: its own, with a number where that is taken.

    Letters' case and the way of writing accents make no other name: systems differ in what they hold for the
    same.
    """
    there = [_NAMED.fullmatch(path.name) for path in folder.glob("*")]
    taken = {_folded(found[1]) for found in there if found}
    taken |= {"explanations", "videos"}  # of the logs
    used: Counter[str] = Counter()
    names: dict[Path, str] = {}
    for file in files:
        stem = name = output_stem(file)
        while _folded(name) in taken:
            used[_folded(stem)] += 1
            name = f"{stem}_{used[_folded(stem)] + 1}"
        taken.add(_folded(name))
        names[file] = name
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _explain(
    explainer: Explainer, found: Sequence[list[Face] | InputError]
) -> Iterator[tuple[Explanation, ...] | InputError]:
    """The faces of photographs, in batches -> the explanations of each photograph, or why it has none."""
    faces = [face for each in found if not isinstance(each, InputError) for face in each]
    batches = (faces[start : start + BATCH] for start in range(0, len(faces), BATCH))
    explanations = chain.from_iterable(map(explainer.faces, batches))
    for each in found:
        yield each if isinstance(each, InputError) else tuple(islice(explanations, len(each)))
