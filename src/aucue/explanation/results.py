"""What explaining photographs gives in Python: lists that show themselves in notebooks and become tables."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from aucue.errors import MissingExtraError, printable
from aucue.explanation.explanation import Explanation
from aucue.explanation.table import columns_of, row_of
from aucue.pictures import in_percent

if TYPE_CHECKING:
    import pandas


class Explanations(list[Explanation]):
    """The explanations of one photograph's faces, largest face first.

    Args:
        explanations: One per face.
        photo: Name of the photograph; empty where it has none.

    Attributes:
        photo: Name of the photograph.
    """

    def __init__(self, explanations: Iterable[Explanation] = (), photo: str = "") -> None:
        super().__init__(explanations)
        self.photo = photo

    def __repr__(self) -> str:
        said = ", ".join(f"{each.expression} {in_percent(each.probability)}" for each in self)
        return f"<Explanations of {self.photo or 'a photograph'}: {said or 'no face found'}>"

    def _repr_html_(self) -> str:
        """Pictures and sentences, for notebooks."""
        name = f"<p><b>{escape(printable(self.photo))}</b></p>" if self.photo else ""
        return name + ("".join(each._repr_html_() for each in self) or "<p>No face found.</p>")

    def records(self) -> list[dict[str, Any]]:
        """One dict of plain values per face, as a line of `explanations.jsonl` has them."""
        head = {"photo": self.photo, "faces": len(self), "picture": None}
        return [{**head, "number": number, **each.to_dict()} for number, each in enumerate(self, 1)]

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row per face, with the columns of `explanations.csv`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_dataframe(self.records())


def to_dataframe(
    records: Sequence[Mapping[str, Any]] | Sequence[Explanations],
) -> "pandas.DataFrame":
    """Records of faces as a table with the columns of `explanations.csv`.

    Args:
        records: Of `Explanations.records` or `ExplainReport.records`, or the explanations of photographs
            themselves. Photographs without a face have no row.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("A DataFrame needs pandas; install it with: pip install pandas.") from error
    given = [
        its for each in records for its in (each.records() if isinstance(each, Explanations) else [each])
    ]
    faces = [record for record in given if record["faces"]]
    classes = list(dict.fromkeys(name for record in faces for name in record["probabilities"]))
    return pandas.DataFrame([row_of(record, classes) for record in faces], columns=columns_of(classes))
