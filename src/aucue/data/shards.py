"""One chunk of a preparation: samples -> aligned crops -> one Parquet file, written whole or not at all."""

import io
import json
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from aucue.data.source import SPLITS, Sample, Source
from aucue.errors import InputError, MissingExtraError
from aucue.faces import (
    NUM_LANDMARKS,
    Detection,
    DlibDetector,
    Face,
    FaceReader,
    LandmarkDetector,
    Template,
    check_landmarks,
    read_image,
)

JPEG_QUALITY = 95
_PROBLEMS = b"problems"

SCHEMA = pa.schema(
    {
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "label": pa.int64(),
        "landmarks": pa.list_(pa.list_(pa.float32())),
        "landmarks_valid": pa.bool_(),
        "key": pa.string(),
        "person": pa.string(),
        "how": pa.string(),
        "score": pa.float32(),
        "box": pa.list_(pa.float32()),
        "source": pa.string(),
        "attributes": pa.string(),
        "split": pa.string(),
    }
)


class Problem(NamedTuple):
    """A sample that is not as it should be, and whether it is in the set all the same."""

    key: str
    split: str
    label: str
    kind: Literal["missing file", "unreadable", "no face", "bad landmarks", "failed"]
    reason: str
    kept: bool


@dataclass(frozen=True)
class Job:
    """What to do with every sample; goes to the worker processes.

    Attributes:
        source: The samples.
        detector: "dlib", "dlib-full-frame", or a detector object; asked only for samples without landmarks of
            their own.
        size: Side of the crops in pixels.
        template: Where the face lies in the crop.
        keep: Whether samples without landmarks stay in the set, as the centre square of their photograph.
    """

    source: Source
    detector: str | LandmarkDetector
    size: int
    template: Template
    keep: bool

    @cached_property
    def _reader(self) -> FaceReader:
        # Made when it is first needed: a source with landmarks of its own does not need dlib installed.
        full_frame = self.detector == "dlib-full-frame"
        detector = DlibDetector(full_frame=True) if full_frame else self.detector
        return FaceReader(detector, self.size, self.template)

    @cached_property
    def _aligner(self) -> FaceReader:
        return FaceReader(no_detector, self.size, self.template)

    def write_shard(self, start: int, stop: int, path: Path) -> None:
        """Prepare the samples from `start` up to `stop` and write them, with their problems, to a file."""
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for index in range(start, stop):
            row, problem = self._prepare(self.source[index])
            rows += [row] if row else []
            problems += [problem] if problem else []
        metadata = {_PROBLEMS: json.dumps(problems)}
        table = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata(metadata)
        unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
        pq.write_table(table, unfinished, compression="none")
        os.replace(unfinished, path)

    def _prepare(self, sample: Sample) -> tuple[dict[str, Any] | None, Problem | None]:
        self._check(sample)

        def problem(kind: Any, reason: object, kept: bool) -> Problem:
            return Problem(sample.key, sample.split, sample.label, kind, str(reason), kept)

        try:
            face, trouble = self._face(sample, read_image(sample.image))
        except MissingExtraError:
            raise
        except InputError as error:
            missing = isinstance(sample.image, Path) and not sample.image.exists()
            return None, problem("missing file" if missing else "unreadable", error, False)
        except Exception as error:  # a detector or a codec may stumble in any way; one picture is not the set
            return None, problem("failed", f"{type(error).__name__}: {error}", False)
        row = self._row(sample, face) if self.keep or trouble is None else None
        return row, problem(*trouble, row is not None) if trouble else None

    def _check(self, sample: Sample) -> None:
        if sample.label not in self.source.classes or sample.split not in SPLITS:
            raise InputError(
                f'{self.source.name}, "{sample.key}": label "{sample.label}" or split "{sample.split}" is '
                f"not one of {', '.join((*self.source.classes, *SPLITS))}"
            )

    def _face(self, sample: Sample, picture: Image.Image) -> tuple[Face, tuple[str, str] | None]:
        """The largest face; without one, the centre square of the picture, and what is amiss."""
        image = np.asarray(picture)
        if sample.landmarks is None:
            faces = self._reader(picture, key=sample.key)
            return (faces[0], None) if faces else (self._square(picture), ("no face", "no face found"))
        try:
            return self._aligned(image, sample.landmarks), None
        except InputError as error:
            return self._square(picture), ("bad landmarks", str(error))

    def _aligned(self, image: np.ndarray, landmarks: np.ndarray) -> Face:
        points = check_landmarks(landmarks, "landmarks")
        height, width = image.shape[:2]
        inside = ((points >= -0.5) & (points <= (width - 0.5, height - 0.5))).all(axis=1)
        if inside.sum() < NUM_LANDMARKS / 2:
            raise InputError(
                f"{NUM_LANDMARKS - inside.sum()} of {NUM_LANDMARKS} landmarks lie outside the picture "
                f"({width} x {height})"
            )
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        box = (left, top, right, bottom)
        return self._aligner.align(image, Detection(box, float("nan"), points, "precomputed"))

    def _square(self, picture: Image.Image) -> Face:
        """The centre square of a picture, as a face whose landmarks are not known."""
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
        crop = square.resize((self.size, self.size), Image.Resampling.BICUBIC)
        scale = self.size / side
        matrix = np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]])
        landmarks = np.full((NUM_LANDMARKS, 2), np.nan, np.float32)
        return Face(
            np.asarray(crop), landmarks, (left, top, left + side, top + side), float("nan"), "none", matrix
        )

    def _row(self, sample: Sample, face: Face) -> dict[str, Any]:
        buffer = io.BytesIO()
        # Colour at full resolution: at 64 pixels a mouth is a dozen pixels wide.
        Image.fromarray(face.crop).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        attributes = dict(sample.attributes)
        return {
            "image": {"bytes": buffer.getvalue(), "path": None},
            "label": self.source.classes.index(sample.label),
            "landmarks": face.landmarks.tolist(),
            "landmarks_valid": face.has_landmarks,
            "key": sample.key,
            "person": sample.person,
            "how": face.how,
            "score": face.score,
            "box": list(face.box),
            "source": str(attributes.pop("source", None) or self.source.name),
            "attributes": json.dumps(attributes, default=str),
            "split": sample.split,
        }


class Worker:
    """What a worker process does; it gets the job once, not the source with every chunk."""

    job: Job

    @classmethod
    def start(cls, job: Job) -> None:
        """Remember the job."""
        logging.getLogger("aucue.faces").setLevel(
            logging.ERROR
        )  # what it would warn of is listed as a problem
        cls.job = job

    @classmethod
    def work(cls, start: int, stop: int, path: Path) -> None:
        """Write one shard."""
        cls.job.write_shard(start, stop, path)


def no_detector(image: np.ndarray, key: str | None = None) -> list[Detection]:
    """A landmark detector that finds nothing."""
    return []


def read_rows(path: Path) -> pa.Table:
    """The prepared samples of a shard (columns of `SCHEMA`)."""
    return pq.read_table(path, memory_map=False).replace_schema_metadata(None)


def read_outcome(path: Path) -> tuple[list[tuple[str, str]], list[Problem]]:
    """What became of a shard's samples: (split, how) of each one in the set, and the problems."""
    table = pq.read_table(path, columns=["split", "how"])
    problems = [Problem(*entry) for entry in json.loads((table.schema.metadata or {})[_PROBLEMS])]
    return list(zip(table["split"].to_pylist(), table["how"].to_pylist(), strict=True)), problems
