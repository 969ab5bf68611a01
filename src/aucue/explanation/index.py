"""The page that shows a folder of explanations: every face with its class map, to be filtered and sorted."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aucue.explanation.curves import curves_of
from aucue.explanation.explanation import CAVEAT
from aucue.pages import PLOT, environment
from aucue.work.files import appearing, printable

INDEX_FILE = "index.html"


def write_index(
    path: Path, records: Callable[[], Iterable[Mapping[str, Any]]], videos: Sequence[Mapping[str, Any]]
) -> None:
    """Write the page anew. It names the files beside it by relative links, and nothing else.

    Args:
        path: The HTML file.
        records: Gives the lines of a log, each time from the beginning: they are not kept in memory.
        videos: What is known of each video, as `VideoLog` keeps it.
    """
    counts: Counter[str] = Counter()
    photos, faceless, first_without = set(), 0, ""
    for record in records():
        photos.add(record["photo"])
        if record["faces"]:
            counts[record["expression"]] += 1
        faceless += not record["faces"]
        if not record["faces"]:
            first_without = first_without or record["photo"]
    page = (
        environment("explanation")
        .get_template("index.html.j2")
        .stream(
            faces=_faces(records()),
            counts=counts.most_common(),
            total=counts.total(),
            photos=len(photos),
            faceless=faceless,
            without=(printable(Path(record["photo"]).name) for record in records() if not record["faces"]),
            first_without=printable(shlex.quote(first_without)),
            first_without_in_python=printable(repr(first_without)),
            videos=[{**video, **_drawn(path.parent, video)} for video in videos],
            caveat=CAVEAT,
            plot=PLOT,
        )
    )
    with appearing(path) as unfinished:
        page.dump(str(unfinished), encoding="utf-8")


def _drawn(folder: Path, video: Mapping[str, Any]) -> dict[str, Any]:
    """The curves of a video, and the links to the faces of its moments."""
    moments = video.get("moments")  # videos of before have none
    curves = curves_of(folder / video["table"], folder / moments if moments else None)
    names = [moment.picture for track in curves for moment in track.moments if moment.picture]
    return {"curves": curves, "pictures": {name: quote(f"{moments}/{name}") for name in names}}


def _faces(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        if record["faces"]:
            together = record["together"]
            yield {
                "name": printable(Path(record["photo"]).name),
                "number": record["number"] if record["faces"] > 1 else None,
                "expression": record["expression"],
                "probability": record["probabilities"][record["expression"]],
                "ratio": together["class_map"]["ratio"] if together else None,
                "doubt": printable(record["face"].get("doubt", "")),
                "sentence": printable(record["sentence"].removesuffix(CAVEAT).strip()),
                "picture": record["picture"],
                "thumbnail": record["thumbnail"],
                "overview": record["overview"],
            }
