"""Reports: one HTML file that holds its pictures, needs no script and asks nothing of any other place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray
from PIL import Image

from aucue.errors import OutputExistsError
from aucue.evaluation.comparison import (
    Comparison,
    Row,
    by_data,
    by_judge,
    compare,
    controls_of,
    judges_note,
    title_of,
)
from aucue.evaluation.evidence_measures import cards, side_by_side
from aucue.evaluation.groups import gap_sentence, largest_gaps
from aucue.evaluation.results import SMALL_GROUP, Evaluation, Example
from aucue.metrics import CONTROLS
from aucue.models import card
from aucue.pages import environment, write_page
from aucue.pictures import overlay, to_data_uri

_TILE = 208  # pixels: sharp at the size shown, small enough for a page with dozens of faces


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: a value in [0, 1] of a model or of a control."""

    name: str
    value: float | None
    is_control: bool


def write_report(evaluation: Evaluation, path: str | os.PathLike[str]) -> Path:
    """Write the report of one evaluation, replacing an earlier one.

    Args:
        evaluation: What to report.
        path: HTML file.

    Returns:
        The path.
    """
    cosines = {"att_bars": evaluation.guided_att_cos.macro, "cam_bars": evaluation.cam_cos.macro}
    controls = _control_bars(evaluation)
    page = templates().get_template("report.html.j2")
    return write_page(
        path,
        page.render(
            title=f"{evaluation.name}: {title_of(evaluation)}",
            subtitle=_subtitle(evaluation),
            evaluation=evaluation,
            layer_bars=[Bar(name, mean.macro, False) for name, mean in evaluation.att_cos.items()],
            guided=guided_layers(evaluation),
            without_cue=_without_cue(evaluation),
            evidence=cards(evaluation),
            gaps=[gap_sentence(gap) for gap in largest_gaps(evaluation.groups)],
            faces=[_face(example) for example in _by_class(evaluation)],
            fine_print=_fine_print(evaluation),
            **{name: [Bar("this network", value, False), *controls] for name, value in cosines.items()},
        ),
    )


def write_comparison(
    evaluations: Mapping[str, Evaluation] | Sequence[Evaluation],
    out: str | os.PathLike[str],
    title: str = "Comparison",
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write several evaluations side by side: the same faces, one group of columns per model.

    Args:
        evaluations: Evaluations under the names to show (default: the models' own); those on different sets
            or splits get a section each.
        out: HTML file.
        title: Heading of the page.
        notes: Paragraphs below the heading.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        InputError: There are no evaluations.
        OutputExistsError: The file exists and `overwrite` is not set.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} exists; choose another --out or pass --overwrite.")
    members = by_data(evaluations)
    groups = [_group(table, members[table.title]) for table in compare(evaluations)]
    fine_print = [f"{name}: {_fine_print(e)}" for group in members.values() for name, e in group.items()]
    page = templates().get_template("comparison.html.j2")
    return write_page(out, page.render(title=title, notes=notes, groups=groups, fine_print=fine_print))


def templates() -> Environment:
    """The templates of reports, comparisons and benchmarks."""
    shared = environment("evaluation")
    shared.globals |= {"controls": CONTROLS, "small_group": SMALL_GROUP}
    return shared


def guided_layers(evaluation: Evaluation) -> list[str]:
    """Layers whose attention the network's training guided."""
    return list(card.guided_layers(evaluation.model["guidance"]))


def _group(table: Comparison, members: Mapping[str, Evaluation]) -> dict[str, Any]:
    """One section of a comparison: everything about one set of faces."""
    first = next(iter(members.values()))
    controls = [Bar(name, mean.macro, True) for name, mean in controls_of(members).items()]
    judged = by_judge(members)
    columns = zip(*(row.values for row in table.rows if not row.is_control), strict=True)
    highest = [max((v for v in column if v is not None), default=None) for column in columns]
    return {
        "title": table.title,
        "table": table,
        "members": members,
        "first": first,
        "judges": {", ".join(names): members[names[0]] for names in judged},
        "chance": 1 / len(first.expressions),
        "notes": [*dict.fromkeys(note for e in members.values() for note in e.notes), *judges_note(members)],
        "best": [_is_best(row, highest) for row in table.rows],
        "att_bars": [*(Bar(name, e.guided_att_cos.macro, False) for name, e in members.items()), *controls],
        "cam_bars": [*(Bar(name, e.cam_cos.macro, False) for name, e in members.items()), *controls],
        "evidence": side_by_side(members),
        "faces": _faces_side_by_side(members),
    }


def _is_best(row: Row, highest: Sequence[float | None]) -> list[bool]:
    """For every value of a row, whether no model has a higher one."""
    pairs = zip(row.values, highest, strict=True)
    return [not row.is_control and value is not None and value == top for value, top in pairs]


def _control_bars(evaluation: Evaluation) -> list[Bar]:
    return [Bar(name, mean.macro, True) for name, mean in evaluation.controls.items()]


def _by_class(evaluation: Evaluation) -> list[Example]:
    order = {name: k for k, name in enumerate(evaluation.classes)}
    return sorted(evaluation.examples, key=lambda example: order[example.label])


def _face(example: Example) -> dict[str, Any]:
    """A face with its pictures as data URIs."""
    image = _enlarged(example.image)
    maps = {"attention": example.attention, "class_map": example.class_map, "cue": example.cue}
    return {
        "key": example.key,
        "label": example.label,
        "prediction": example.prediction,
        "probability": example.probability,
        "right": example.prediction == example.label,
        "image": to_data_uri(image, "jpeg"),
        **{name: None if m is None else to_data_uri(overlay(image, m), "jpeg") for name, m in maps.items()},
    }


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((_TILE, _TILE), Image.Resampling.LANCZOS))


def _faces_side_by_side(members: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """The faces that every evaluation kept, each with what every model saw in it."""
    seen = {name: {example.key: example for example in e.examples} for name, e in members.items()}
    faces = []
    for example in _by_class(next(iter(members.values()))):
        if all(example.key in kept for kept in seen.values()):
            views = {name: _face(kept[example.key]) for name, kept in seen.items()}
            faces.append({**_face(example), "seen": views})
    return faces


def _subtitle(evaluation: Evaluation) -> str:
    how = card.how_guided(evaluation.model["guidance"])
    return f"{evaluation.model['backbone']}, {how}, on {title_of(evaluation)}"


def _without_cue(evaluation: Evaluation) -> str:
    """Why some faces are outside the cosines, as a sentence."""
    without = evaluation.without_cue
    parts = []
    if without["no action units"]:
        parts.append(f"{without['no action units']} faces whose expression has no action units")
    if without["no landmarks"]:
        parts.append(f"{without['no landmarks']} faces without landmarks")
    if not parts:
        return "All faces take part in the cosines."
    return f"Outside the cosines: {' and '.join(parts)}."


def _fine_print(evaluation: Evaluation) -> str:
    model, data = evaluation.model, evaluation.data
    return (
        f"backbone {model['backbone']}, read-out {model['method']}, {card.how_guided(model['guidance'])}; "
        f"set {data['name']}, split {data['split']}, {data['faces']} faces, template {data['template']}, "
        f"codebook {data['codebook']}, regions {data['regions']}, {data['size']} x {data['size']} pixels."
    )
