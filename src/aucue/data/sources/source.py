"""What a data set is before it is prepared: a numbered list of samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from aucue.data.sources.expected import Finding

if TYPE_CHECKING:
    import numpy as np

SplitName = Literal["train", "val", "test"]
SPLITS = get_args(SplitName)


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled photograph.

    Attributes:
        key: Name of the sample, unique in its source; usually the file's path below the images' folder.
        label: One of the source's classes.
        split: "train", "val" or "test".
        image: Path of a file, encoded bytes (JPEG, PNG, ...), or an (H, W, 3) uint8 array.
        landmarks: (68, 2) points in pixels of the image, (0, 0) the centre of the top-left
            pixel; None if unknown.
        person: Who is seen, so that a hold-out can keep persons apart; None if unknown.
        attributes: Whatever else is known of the sample; values JSON can hold.
        box: (left, top, right, bottom) in pixels of the image, where the set says the face is: of several
            faces, the one that overlaps it most counts. None if unknown.
        aligned: The image is an aligned crop already; it is brought to the size of the crops, never turned
            or cut.
        probabilities: (K,) soft label over the source's classes, non-negative, sum 1; `label` is the class of
            the largest. None if there is none; all samples of a source have one, or none has.
        mask: Picture of the image's size whose bright places matter, as an expert painted them, for guidance
            by them (`guidance.cue: mask`); None if there is none.
    """

    key: str
    label: str
    split: str
    image: "Path | bytes | np.ndarray"
    landmarks: "np.ndarray | None" = None
    person: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    box: tuple[float, float, float, float] | None = None
    aligned: bool = False
    probabilities: "np.ndarray | None" = None
    mask: Path | None = None


class Source(Protocol):
    """A data set as it is distributed.

    A source is sent to worker processes, so it must pickle; making a sample must be cheap (a path, not a
    decoded photograph) or lazy (rendered when it is asked for).
    """

    @property
    def name(self) -> str:
        """Short name, kept beside every prepared sample."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label's id is its position here."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the samples come from and every setting they depend on (values JSON can hold).

        Two sources with equal provenance yield equal samples: an interrupted preparation resumes only then.
        The entry "licence", if there is one, is shown with the prepared set.
        """
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What is missing or odd, compared with what the set should hold; empty if nothing is checked."""
        ...

    def __len__(self) -> int:
        """Number of samples over all splits."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample at a position from 0 to len - 1; the same one each time."""
        ...
