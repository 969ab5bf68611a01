"""Prepared sets: opened, described, and read sample by sample."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import datasets
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional

from aucue.data.description import REMEDY, describe, require_split
from aucue.data.shards import MASK
from aucue.data.transforms import FaceTransform, Transform, keypoints
from aucue.errors import InputError
from aucue.faces import NUM_LANDMARKS, open_picture
from aucue.work.files import inside, read_json


class FaceSample(TypedDict):
    """What a `FaceDataset` yields.

    image: (3, S, S) uint8. landmarks: (68, 2) float32 in pixels of the image, NaN if unknown.
    landmarks_valid: whether they are known. label: class id. index: position in the data set.
    stored: (68, 2) float32, the landmarks before any transform, as shares of the stored crop's sides.
    probabilities: (K,) float32 over the classes, only in sets that hold them.
    hidden: (1, S, S) bool, what the transform hid, only if that was asked for.
    mask: (1, C, C) float32 in [0, 1], what matters in the stored crop, before any transform, only in sets
        that hold masks; 0 everywhere where a face has none.
    """

    image: Tensor
    landmarks: Tensor
    stored: Tensor
    landmarks_valid: bool
    label: int
    index: int
    probabilities: NotRequired[Tensor]
    hidden: NotRequired[Tensor]
    mask: NotRequired[Tensor]


class PreparedSet:
    """A folder that `prepare` has written.

    Attributes:
        path: The folder.
        description: Content of its `aucue.json`.
    """

    def __init__(self, path: Path, description: Mapping[str, Any]) -> None:
        self.path = path
        self.description = description

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.description["name"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their ids."""
        return tuple(self.description["classes"])

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that hold samples."""
        return tuple(self.description["samples"])

    @property
    def template(self) -> str | None:
        """Name of the template the faces are aligned to; None if the set came aligned."""
        return self.description["template"]

    @property
    def size(self) -> int:
        """Side of the stored crops in pixels."""
        return self.description["size"]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the samples come from, how they were prepared, under which licence, and what was found."""
        names = ("name", "licence", "notes", "samples", "found", "problems", "findings", "settings", "aucue")
        return {name: self.description[name] for name in names if name in self.description}

    def dataset(
        self, split: str, transform: Transform | None = None, seed: int = 0, hidden: bool = False
    ) -> "FaceDataset":
        """The samples of one split.

        Args:
            split: "train", "val" or "test".
            transform: Changes image and landmarks; none gives the stored crops.
            seed: Of the transform's randomness.
            hidden: Whether samples say what a `FaceTransform` hid.

        Raises:
            InputError: No such split, or its files are damaged.
        """
        require_split(self.path, self.description, split)
        columns = Columns(self.path / split)
        self._check(columns, split)
        return FaceDataset(columns, transform, seed, hidden=hidden)

    def _check(self, columns: "Columns", split: str) -> None:
        """Raise if the description and a stored split contradict each other."""
        classes, samples = len(self.classes), self.description["samples"][split]
        if len(columns) != samples:
            trouble = f"{len(columns)} samples instead of {samples}"
        elif len(columns) and not 0 <= columns.labels.min() <= columns.labels.max() < classes:
            trouble = f"a label is none of the {classes} classes"
        elif columns.probabilities is not None and columns.probabilities.shape[1] != classes:
            trouble = f"probabilities of {columns.probabilities.shape[1]} instead of {classes} classes"
        else:
            return
        raise InputError(f"{columns.path}: the stored split is damaged ({trouble}); {REMEDY}.")


def open_prepared(path: str | os.PathLike[str]) -> PreparedSet:
    """Open a prepared set.

    Args:
        path: Folder that `aucue prepare` has written.

    Raises:
        InputError: There is none, it is unfinished, or another version of aucue wrote it.
    """
    return PreparedSet(Path(path), describe(Path(path)))


class Columns:
    """The columns of one stored split.

    Images stay in the memory-mapped file until they are asked for; the other columns of a sample (half a
    kilobyte each) are held in memory. Pickles as the path, so that loader processes map the file themselves.

    Args:
        path: Folder of the split.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._read(path)
        except InputError:
            raise
        except Exception as error:  # the readers of damaged files stumble with nearly any exception
            raise InputError(f"{path}: the stored split cannot be read ({error}); {REMEDY}.") from error

    def _read(self, path: Path) -> None:
        state = path / "state.json"
        for file in read_json(state, REMEDY)["_data_files"]:
            inside(path, file["filename"], str(state))
        read_json(path / "dataset_info.json", REMEDY)
        self._table: Any = datasets.load_from_disk(str(path)).with_format("arrow").data
        self._table.validate(full=True)  # damaged offsets would be read beyond the end of the file
        columns = [self._table[name] for name in ("label", "landmarks_valid", "landmarks", "image")]
        if any(column.null_count for column in columns):
            raise ValueError("a value is missing")
        self.labels: np.ndarray = self._table["label"].to_numpy()
        self.landmarks_valid: np.ndarray = self._table["landmarks_valid"].to_numpy()
        if (self.labels.dtype, self.landmarks_valid.dtype) != (np.int64, np.bool_):
            raise ValueError("a column has another type")
        # Past the extension type: its own conversion to NumPy takes minutes for a large set.
        points = [chunk.storage.flatten().flatten().to_numpy() for chunk in self._table["landmarks"].chunks]
        self.landmarks: np.ndarray = np.concatenate(points).reshape(len(self.labels), NUM_LANDMARKS, 2)
        self.probabilities: np.ndarray | None = None
        if "probabilities" in self._table.column_names:
            values = [chunk.flatten().to_numpy() for chunk in self._table["probabilities"].chunks]
            self.probabilities = np.concatenate(values).reshape(len(self.labels), -1)
        self.masks: Any = self._table[MASK] if MASK in self._table.column_names else None
        self._images = [chunk.field("bytes") for chunk in self._table["image"].chunks]
        self._starts = np.cumsum([0, *map(len, self._images)])

    def __reduce__(self) -> tuple[type["Columns"], tuple[Path]]:
        return Columns, (self.path,)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, name: str) -> list[Any]:
        known = [column for column in self._table.column_names if column not in ("image", MASK)]
        if name not in known:
            raise InputError(f"{self.path}: no column '{name}'; it has {', '.join(known)}.")
        return self._table[name].to_pylist()

    def image(self, row: int) -> Image.Image:
        """Decode the crop of one row.

        Raises:
            InputError: It is damaged.
        """
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        content = self._images[chunk][row - int(self._starts[chunk])].as_buffer()
        return self._decoded(content, row, "crop")

    def mask(self, row: int, size: tuple[int, int]) -> Image.Image:
        """Decode the mask of one row, in grey; black where it has none.

        Args:
            row: Which one.
            size: Width and height of its crop.

        Raises:
            InputError: It is damaged.
        """
        content = self.masks[row].as_py()
        if content is None:
            return Image.new("L", size)
        mask = self._decoded(content, row, "mask")
        if (mask.mode, mask.size) != ("L", size):
            raise InputError(f"{self.path}, row {row}: the mask is none of its crop; {REMEDY}.")
        return mask

    def _decoded(self, content: Any, row: int, what: str) -> Image.Image:
        try:
            picture = open_picture(io.BytesIO(content))
            picture.load()
        except Exception as error:  # decoders stumble with nearly any exception
            raise InputError(f"{self.path}, row {row}: the {what} is damaged ({error}); {REMEDY}.") from error
        return picture


class FaceDataset(Dataset[FaceSample]):
    """One split of a prepared set, or some rows of it.

    What a random transform does to a sample depends on the seed, the epoch and the sample alone: not on the
    number of loader processes, nor on the order, and torch's own random state stays as it was.

    Args:
        columns: The stored split.
        transform: Changes image and landmarks, with torch's random numbers; none gives the stored crops.
        seed: Of the transform's randomness, not negative.
        rows: Rows of the split, in the order of this data set; all by default.
        hidden: Whether samples say what a `FaceTransform` hid.
        probabilities: Soft labels (N, K) of these rows; None takes those that the set holds, if any.
    """

    def __init__(
        self,
        columns: Columns,
        transform: Transform | None = None,
        seed: int = 0,
        rows: np.ndarray | None = None,
        hidden: bool = False,
        probabilities: np.ndarray | None = None,
    ) -> None:
        self._columns = columns
        self.transform = transform
        self.seed = seed
        self.hidden = hidden
        self._rows = np.arange(len(columns)) if rows is None else rows
        self._given = probabilities
        # Shared memory: loader processes that live through all epochs hold a copy of this object.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def labels(self) -> np.ndarray:
        """Class ids (N,), without decoding an image."""
        return self._columns.labels[self._rows]

    @property
    def probabilities(self) -> np.ndarray | None:
        """Soft labels (N, K) float32; None in a set that holds none."""
        if self._given is not None:
            return self._given
        stored = self._columns.probabilities
        return None if stored is None else stored[self._rows]

    @property
    def has_masks(self) -> bool:
        """Whether the set holds masks of what matters in its faces."""
        return self._columns.masks is not None

    @property
    def landmarks(self) -> np.ndarray:
        """Landmarks (N, 68, 2) float32 of the stored crops, NaN where unknown."""
        return self._columns.landmarks[self._rows]

    @property
    def landmarks_valid(self) -> np.ndarray:
        """Which samples' landmarks are known (N,)."""
        return self._columns.landmarks_valid[self._rows]

    @property
    def epoch(self) -> int:
        """The epoch that random transforms are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw random transforms anew; reaches running loader processes."""
        self._epoch.fill_(epoch)

    def column(self, name: str) -> list[Any]:
        """Values of a stored column, such as "key", "person", "how", "source" or "attributes" (JSON).

        Raises:
            InputError: No such column.
        """
        values = self._columns[name]
        return [values[row] for row in self._rows]

    def subset(self, rows: Sequence[int] | np.ndarray) -> "FaceDataset":
        """Some samples, by their positions in this data set; each keeps the randomness it has here."""
        chosen = np.asarray(rows, dtype=np.int64)
        given = None if self._given is None else self._given[chosen]
        return self._changed_in(rows=self._rows[chosen], probabilities=given)

    def with_transform(self, transform: Transform | None) -> "FaceDataset":
        """The same samples, changed otherwise; None gives the stored crops."""
        return self._changed_in(transform=transform)

    def with_probabilities(self, probabilities: np.ndarray) -> "FaceDataset":
        """The same samples with other soft labels (N, K); their labels stay.

        Raises:
            ValueError: There are not N of them.
        """
        if len(probabilities) != len(self):
            raise ValueError(f"{len(probabilities)} soft labels for {len(self)} samples.")
        return self._changed_in(probabilities=probabilities.astype(np.float32))

    def _changed_in(self, **changes: Any) -> "FaceDataset":
        kept = {
            "transform": self.transform,
            "seed": self.seed,
            "rows": self._rows,
            "hidden": self.hidden,
            "probabilities": self._given,
        }
        return FaceDataset(self._columns, **{**kept, **changes})

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> FaceSample:
        index = range(len(self))[index]  # negative indices, and an IndexError beyond the end
        row = int(self._rows[index])
        picture = self._columns.image(row)
        image, landmarks, stored, hidden = self._changed(row, picture)
        sample: FaceSample = {
            "image": image.as_subclass(Tensor),
            "landmarks": landmarks.as_subclass(Tensor),
            "stored": stored,
            "landmarks_valid": bool(self._columns.landmarks_valid[row]),
            "label": int(self._columns.labels[row]),
            "index": index,
        }
        if self._given is not None:
            sample["probabilities"] = torch.tensor(self._given[index])
        elif self._columns.probabilities is not None:
            sample["probabilities"] = torch.tensor(self._columns.probabilities[row])
        if hidden is not None:
            sample["hidden"] = hidden
        if self._columns.masks is not None:
            mask = self._columns.mask(row, picture.size)
            sample["mask"] = functional.pil_to_tensor(mask).float() / 255
        return sample

    def _changed(self, row: int, picture: Image.Image) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        landmarks = torch.tensor(self._columns.landmarks[row])
        stored = (landmarks + 0.5) / torch.tensor([picture.width, picture.height])
        if self.transform is None:
            return functional.pil_to_tensor(picture), landmarks, stored, None
        points = keypoints(landmarks, (picture.height, picture.width))
        with _random_state(self.seed, self.epoch, row):
            if self.hidden and isinstance(self.transform, FaceTransform):
                image, landmarks, hidden = self.transform.with_hidden(picture, points)
                return image, landmarks, stored, hidden
            return *self.transform(picture, points), stored, None


@contextmanager
def _random_state(*entropy: int) -> Iterator[None]:
    """Torch's random numbers on the CPU from a seed of several numbers; as before afterwards."""
    before = torch.get_rng_state()
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    torch.default_generator.manual_seed(int(seed))  # torch.manual_seed would seed the GPUs too
    try:
        yield
    finally:
        torch.set_rng_state(before)
