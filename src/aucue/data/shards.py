"""One chunk of a preparation: samples -> aligned crops -> one Parquet file."""

import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from aucue.data.crops import FaceCropper
from aucue.data.sources.source import SPLITS, Sample, Source
from aucue.errors import InputError, MissingExtraError
from aucue.faces import Face, LandmarkDetector, Template, read_image, warp
from aucue.work.files import appearing

JPEG_QUALITY = 95
PROBABILITIES = "probabilities"
MASK = "mask"
_PROBLEMS = b"problems"
_SCHEMA = pa.schema(
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
    """A sample that is not as it should be, and whether it is in the set all the same.

    The kind is "missing file", "unreadable", "failed", or one of `crops.NO_FACE`.
    """

    key: str
    split: str
    label: str
    kind: str
    reason: str
    kept: bool


@dataclass(frozen=True)
class Job:
    """What to do with every sample; goes to the worker processes.

    Attributes:
        source: The samples.
        detector: A name in `aucue.faces.DETECTORS`, or a detector; asked only for samples without landmarks
            of their own.
        size: Side of the crops in pixels.
        template: Where the face lies in the crop.
        keep: Whether samples without landmarks stay in the set: as their widened box, or as the centre square
            of their photograph.
    """

    source: Source
    detector: str | LandmarkDetector
    size: int
    template: Template
    keep: bool

    @cached_property
    def _cropper(self) -> FaceCropper:
        return FaceCropper(self.detector, self.size, self.template)

    @cached_property
    def _soft(self) -> bool:
        """Whether the source's labels are probabilities, too."""
        return self.source[0].probabilities is not None

    @property
    def _schema(self) -> pa.Schema:
        """Columns of a shard."""
        schema = _SCHEMA
        if self._soft:
            schema = schema.append(pa.field(PROBABILITIES, pa.list_(pa.float32(), len(self.source.classes))))
        return schema.append(pa.field(MASK, pa.binary()))

    def shard(self, chunk: tuple[int, int]) -> bytes:
        """Prepare the samples from one index up to another: a Parquet file of rows, with their problems."""
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for index in range(*chunk):
            row, problem = self._prepare(self.source[index])
            rows += [row] if row else []
            problems += [problem] if problem else []
        metadata = {_PROBLEMS: json.dumps(problems)}
        table = pa.Table.from_pylist(rows, self._schema).replace_schema_metadata(metadata)
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="none")
        return buffer.getvalue()

    def _prepare(self, sample: Sample) -> tuple[dict[str, Any] | None, Problem | None]:
        self._check(sample)

        def problem(kind: str, reason: object, kept: bool) -> Problem:
            return Problem(sample.key, sample.split, sample.label, kind, str(reason), kept)

        try:
            picture = read_image(sample.image)
            face, trouble = self._cropper(sample, picture)
            mask = None if sample.mask is None else _aligned_mask(sample.mask, picture.size, face)
        except MissingExtraError:
            raise
        except InputError as error:
            missing = isinstance(sample.image, Path) and not sample.image.exists()
            return None, problem("missing file" if missing else "unreadable", error, False)
        except Exception as error:  # a detector or a codec may stumble in any way; one picture is not the set
            return None, problem("failed", f"{type(error).__name__}: {error}", False)
        row = self._row(sample, face, mask) if self.keep or face.has_landmarks else None
        return row, problem(*trouble, row is not None) if trouble else None

    def _check(self, sample: Sample) -> None:
        if sample.label not in self.source.classes or sample.split not in SPLITS:
            raise InputError(
                f"{self.source.name}, '{sample.key}': label '{sample.label}' or split '{sample.split}' is "
                f"not one of {', '.join((*self.source.classes, *SPLITS))}."
            )
        if (sample.probabilities is not None) != self._soft:
            raise InputError(
                f"{self.source.name}, '{sample.key}': all samples have probabilities, or none has them."
            )
        if self._soft and not _distribution(sample.probabilities, len(self.source.classes)):
            raise InputError(
                f"{self.source.name}, '{sample.key}': the probabilities {sample.probabilities} are not "
                f"{len(self.source.classes)} numbers from 0 that sum to 1."
            )

    def _row(self, sample: Sample, face: Face, mask: bytes | None) -> dict[str, Any]:
        buffer = io.BytesIO()
        # Colour at full resolution: at 64 pixels a mouth is a dozen pixels wide.
        Image.fromarray(face.crop).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        attributes = dict(sample.attributes)
        soft = {} if sample.probabilities is None else {PROBABILITIES: sample.probabilities}
        return {
            "image": {"bytes": buffer.getvalue(), "path": None},
            "label": self.source.classes.index(sample.label),
            "landmarks": face.landmarks.tolist(),
            "landmarks_valid": face.has_landmarks,
            "key": storable(sample.key),
            "person": None if sample.person is None else storable(sample.person),
            "how": face.how,
            "score": face.score,
            "box": list(face.box),
            "source": storable(str(attributes.pop("source", None) or self.source.name)),
            "attributes": json.dumps(attributes, default=str),
            "split": sample.split,
            MASK: mask,
            **soft,
        }


def _aligned_mask(path: Path, size: tuple[int, int], face: Face) -> bytes:
    """What a mask shows in the crop of a face, as PNG in grey; nothing beyond its edge.

    Raises:
        InputError: It cannot be read, or is of another size than its picture.
    """
    mask = read_image(path).convert("L")
    if mask.size != size:
        raise InputError(
            f"{path} has {mask.width} x {mask.height} pixels and its picture {size[0]} x {size[1]}; make the "
            "mask as large as its picture."
        )
    matrix = face.matrix.copy()
    matrix[:, 2] -= matrix[:, :2] @ (1.0, 1.0)  # of the mask within a black frame, whose edge is repeated
    framed = np.pad(np.asarray(mask), 1)
    crop = warp(np.repeat(framed[..., None], 3, axis=2), matrix, face.size)
    buffer = io.BytesIO()
    Image.fromarray(crop[..., 0]).save(buffer, "PNG")
    return buffer.getvalue()


def _distribution(values: np.ndarray | None, classes: int) -> bool:
    """Whether values (K,) are probabilities of so many classes; NaN is none."""
    found = np.asarray(values, dtype=np.float64)
    return found.shape == (classes,) and bool((found >= 0).all() and abs(found.sum() - 1) < 1e-4)


def storable(name: str) -> str:
    r"""A name as Arrow can store it: bytes that are no UTF-8 as `\xff`, every other name as it is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return name


def write_shard(path: Path, content: bytes) -> None:
    """Write a shard whole or not at all."""
    with appearing(path) as unfinished:
        unfinished.write_bytes(content)


def read_rows(path: Path) -> pa.Table:
    """The prepared samples of a shard (the columns of a prepared set, and the split)."""
    return pq.read_table(path, memory_map=False).replace_schema_metadata(None)


def has_masks(path: Path) -> bool:
    """Whether a sample of a shard has a mask."""
    if MASK not in pq.read_schema(path).names:
        return False
    column = pq.read_table(path, columns=[MASK], memory_map=False)[MASK]
    return column.null_count < len(column)


def read_outcome(path: Path) -> tuple[list[tuple[str, str, int]], list[Problem]]:
    """What became of a shard's samples: (split, how, label) of each one in the set, and the problems.

    Raises:
        InputError: The file is damaged.
    """
    try:
        names = ["split", "how", "label"]
        table = pq.read_table(path, columns=names, memory_map=False)
        problems = [Problem(*entry) for entry in json.loads((table.schema.metadata or {})[_PROBLEMS])]
        return list(zip(*(table[name].to_pylist() for name in names), strict=True)), problems
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and prepare the set again.") from error
