"""One of many photographs: what the page lists of it, and its lines for the files that can be saved."""

import io
from collections.abc import Mapping
from typing import Any

from aucue.app.service import Answer, NoFaceError, Service
from aucue.app.uploads import MAX_BYTES, read_upload
from aucue.explanation.explanation import Explanation, percent
from aucue.explanation.files import thumbnail
from aucue.explanation.results import Explanations
from aucue.explanation.table import write_head, write_rows
from aucue.pictures import to_data_uri


def listed(
    service: Service,
    data: bytes,
    name: str,
    model: str | None = None,
    readout: str | None = None,
    *,
    if_hidden: bool = True,
    max_bytes: int = MAX_BYTES,
) -> dict[str, Any]:
    """What a list of photographs shows of one, and its lines in `explanations.jsonl` and `explanations.csv`.

    Args:
        service: Who explains.
        data: The file.
        name: What it is called.
        model: One of the service's; default the first.
        readout: Read-out of the class maps; default the model's own.
        if_hidden: Also measure what decides.
        max_bytes: Largest file.

    Returns:
        Plain values. Where no face is found, `error` says so, and the one line has no face, as in a log.

    Raises:
        InputError: The file, the model or the read-out cannot be used.
    """
    model = model or service.models[0]
    classes = service.model(model).classes
    try:
        session = service.open(read_upload(data, max_bytes))
    except NoFaceError as error:
        record = {"photo": name, "faces": 0, "number": 0, "picture": None, "model": model}
        return {"error": str(error), "faces": [], "left_out": 0, "records": [record], **_table([], classes)}
    said = service.read(session, model, readout, if_hidden=if_hidden)
    records = _records(said, name)
    return {
        "faces": [_face(explanation) for explanation in said.explanations],
        "left_out": session.left_out,
        "records": records,
        **_table(records, classes),
    }


def bars(probabilities: Mapping[str, float]) -> list[dict[str, Any]]:
    """Probabilities as a page draws them: name, share of the bar, and in words."""
    return [
        {"name": name, "share": round(value, 5), "percent": percent(value)}
        for name, value in probabilities.items()
    ]


def _records(said: Answer, name: str) -> list[dict[str, Any]]:
    settings = {"model": said.model, "readout": said.readout}
    return [settings | record for record in Explanations(said.explanations, name).records()]


def _table(records: list[dict[str, Any]], classes: tuple[str, ...]) -> dict[str, str]:
    """The rows of the table, and the one above them."""
    head, rows = io.StringIO(newline=""), io.StringIO(newline="")
    write_head(head, classes)
    write_rows(rows, records, classes)
    return {"head": head.getvalue(), "rows": rows.getvalue()}


def _face(explanation: Explanation) -> dict[str, Any]:
    return {
        "expression": explanation.expression,
        "percent": percent(explanation.probability),
        "sentence": explanation.finding,
        "doubt": explanation.face.doubt,
        "bars": bars(explanation.probabilities),
        "thumbnail": to_data_uri(thumbnail(explanation), "jpeg"),
    }
