"""Reports: one HTML file that holds its pictures, needs no script and asks nothing of any other place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from aucue.evaluation.averages import CLASS_MAP, CUE, FACE, AverageMap
from aucue.evaluation.estimate import Estimate
from aucue.evaluation.groups import gap_sentence, largest_gaps
from aucue.evaluation.measures import MEASURES, Measure
from aucue.evaluation.report.comparison import (
    COMPARED,
    COSINES,
    by_data,
    by_judge,
    compare,
    controls_of,
    further_measures,
    further_table,
    title_of,
)
from aucue.evaluation.report.tables import Line, Table, number_text
from aucue.evaluation.results import SMALL_GROUP, Evaluation, Example
from aucue.metrics import CONTROLS, reliability
from aucue.models import card
from aucue.pages import environment, line_chart, write_page
from aucue.pictures import overlay, to_data_uri
from aucue.work.files import check_free

_IN_SHORT = ("accuracy", "balanced_accuracy", "calibration", "att_cos", "cam_cos", "specificity", "own_face")
_TILE = 208  # pixels: sharp at the size shown, small enough for a page with dozens of faces


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: a value of a model or of a control, as a text and as a share of the track."""

    name: str
    text: str
    width: float
    is_control: bool


@dataclass(frozen=True)
class MeasureCard:
    """One measure of one evaluation.

    Attributes:
        measure: Which.
        title: Its heading.
        figure: What says it all.
        interval: In words; empty for none.
        bars: Its variants, and what to read them against.
    """

    measure: Measure
    title: str
    figure: str
    interval: str
    bars: tuple[Bar, ...]


def write_report(evaluation: Evaluation, path: str | os.PathLike[str]) -> Path:
    """Write the report of one evaluation, replacing an earlier one.

    Args:
        evaluation: What to report.
        path: HTML file.

    Returns:
        The path.
    """
    page, alone = templates().get_template("report.html.j2"), {evaluation.name: evaluation}
    layers = evaluation.estimates["att_cos"]
    return write_page(
        path,
        page.render(
            title=f"{evaluation.name}: {title_of(evaluation)}",
            subtitle=_subtitle(evaluation),
            evaluation=evaluation,
            cards=[card_of(evaluation, its) for its in evaluation.measured if its.key in _IN_SHORT],
            further=[card_of(evaluation, its) for its in further_measures(alone) if its.key not in _IN_SHORT],
            reliability=reliability_chart(evaluation),
            per_expression=per_expression(alone),
            layer_bars=[_bar(layer, its, MEASURES["att_cos"]) for layer, its in layers.items()],
            guided=guided_layers(evaluation),
            curves=training_curves(evaluation),
            without_cue=_without_cue(evaluation),
            gaps=[gap_sentence(gap) for gap in largest_gaps(evaluation.groups)],
            averages=_averages(alone),
            faces=[_face(example) for example in _by_class(evaluation)],
            fine_print=_fine_print(evaluation),
        ),
    )


def training_curves(evaluation: Evaluation) -> list[tuple[str, Markup]]:
    """What the model's training looked like: losses, and figures on held-out faces."""
    stored = evaluation.model.get("curves") or {}
    parts = {
        "Losses on training faces": "train/",
        "Figures on held-out faces": "val/",
    }
    charts = []
    for title, prefix in parts.items():
        series = {
            name.removeprefix(prefix).replace("_", " "): [
                (epoch, value) for epoch, value in enumerate(values, 1) if value is not None
            ]
            for name, values in stored.items()
            if name.startswith(prefix)
        }
        if chart := line_chart(series, title, "epoch"):
            charts.append((title, chart))
    return charts


def reliability_chart(evaluation: Evaluation) -> Markup:
    """How often answers are right, by how probable they are called; nothing without its table of faces."""
    faces = evaluation.faces
    columns = [f"p {name}" for name in evaluation.classes]
    if not set(columns) <= set(faces.column_names):
        return Markup("")
    probabilities = torch.from_numpy(np.stack([faces[column].to_numpy() for column in columns], axis=1))
    ids = {name: k for k, name in enumerate(evaluation.classes)}
    labels = torch.tensor([ids[label] for label in faces["label"].to_pylist()])
    found = reliability(probabilities, labels)
    points = [*zip(found.probability.tolist(), found.right.tolist(), strict=True)]
    series = {"right": points, "as sure as right": [(0.0, 0.0), (1.0, 1.0)]}
    return line_chart(series, "Share of right answers", "probability of the answer", (0.0, 1.0))


def card_of(evaluation: Evaluation, measure: Measure) -> MeasureCard:
    """One measure of an evaluation, as a report shows it."""
    variant, variants = evaluation.headline(measure.key), evaluation.estimates[measure.key]
    headline = variants[variant]
    bars = [
        _bar(measure.name_of(name) or "this network", its, measure, name in measure.controls)
        for name, its in variants.items()
        if name not in ("ratio", "gain") and (measure.key != "att_cos" or name == variant)
    ]
    if measure.key == "accuracy" and (chance := evaluation.classification.chance) is not None:
        bars.append(Bar("always the most frequent", in_words(chance, measure), chance, True))
    if measure.key in COSINES:
        bars += [_bar(name, its, measure, True) for name, its in controls_of({"": evaluation}).items()]
    return MeasureCard(
        measure,
        f"{measure.title} at {variant}" if measure.by_layer else measure.title,
        in_words(headline.value, measure),
        "" if headline.interval is None else " to ".join(in_words(v, measure) for v in headline.interval),
        tuple(bars) if len(bars) > 1 else (),
    )


def _bar(name: str, estimate: Estimate, measure: Measure, is_control: bool = False) -> Bar:
    width = min(max(estimate.value or 0.0, 0.0), 1.0)
    return Bar(name, in_words(estimate.value, measure), width, is_control)


def in_words(value: float | None, measure: Measure) -> str:
    """41.6 % for shares, 0.41 for the rest, a dash for nothing."""
    text = number_text(value, measure, 1 if measure.percent else 2)
    return text + " %" * measure.percent if text else "–"


def per_expression(members: Mapping[str, Evaluation]) -> Table:
    """Recall, cosines and specificity of every expression, for each model, and what is free."""
    keys = ("accuracy", *COSINES, "specificity")
    first, judged = next(iter(members.values())), by_judge(members)
    columns: dict[str, tuple[Mapping[str, float | None], float | None, Measure]] = {}
    for key in keys:
        for name, evaluation in members.items():
            its = evaluation.estimate("balanced_accuracy" if key == "accuracy" else key)
            head = "recall" if key == "accuracy" else MEASURES[key].column
            columns[head if len(members) == 1 else f"{head} {name}"] = (
                its.per_expression,
                its.value,
                MEASURES[key],
            )
    for names in judged:
        its = members[names[0]].estimate("control")
        head = "control: mean of the class" + (f" for {', '.join(names)}" if len(judged) > 1 else "")
        columns[head] = (its.per_expression, its.value, MEASURES["control"])
    lines = [
        Line(
            "row",
            label,
            (
                str(first.classification.support.get(label, 0)),
                *(number_text(values.get(label), measure) for values, _, measure in columns.values()),
            ),
        )
        for label in first.classes
    ]
    averages = (number_text(value, measure) for _, value, measure in columns.values())
    lines.append(Line("total", "average", (str(first.data["faces"]), *averages)))
    return Table("", "", ("faces", *columns), tuple(lines))


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
    check_free(out.parent, [out.name], overwrite)
    members = by_data(evaluations)
    groups = [_group(table, members[table.title]) for table in compare(evaluations, intervals=True)]
    fine_print = [f"{name}: {_fine_print(e)}" for group in members.values() for name, e in group.items()]
    page = templates().get_template("comparison.html.j2")
    return write_page(out, page.render(title=title, notes=notes, groups=groups, fine_print=fine_print))


def templates(room: str = "evaluation") -> Environment:
    """The templates of a room whose pages speak of measures and groups."""
    shared = environment(room)
    controls = {MEASURES["control"].name_of(name): words for name, words in CONTROLS.items()}
    shared.globals |= {"controls": controls, "small_group": SMALL_GROUP}
    return shared


def guided_layers(evaluation: Evaluation) -> list[str]:
    """Layers whose attention the network's training guided."""
    return list(card.guided_layers(evaluation.model["guidance"]))


def _group(table: Table, members: Mapping[str, Evaluation]) -> dict[str, Any]:
    """One section of a comparison: everything about one set of faces."""
    controls = controls_of(members)
    bars = {
        key: [
            *(_bar(name, e.estimate(key), MEASURES[key]) for name, e in members.items()),
            *(_bar(name, its, MEASURES[key], True) for name, its in controls.items()),
        ]
        for key in COSINES
    }
    return {
        "table": table,
        "compared": [MEASURES[key] for key in COMPARED],
        "members": members,
        "one_judge": len(by_judge(members)) == 1,
        "notes": list(dict.fromkeys(note for e in members.values() for note in e.notes)),
        "bars": bars,
        "further": further_table(members, ""),
        "further_measures": further_measures(members),
        "per_expression": per_expression(members),
        "averages": _averages(members),
        "faces": _faces_side_by_side(members),
    }


def _averages(members: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """Average maps of every expression, drawn over its average face, for each model."""
    first, rows = next(iter(members.values())).averages, []
    for label in first:
        by_model = {name: e.averages[label] for name, e in members.items() if label in e.averages}
        face = _enlarged(first[label][FACE].map.round().clip(0, 255).astype(np.uint8))
        cue = first[label].get(CUE)
        rows.append(
            {
                "label": label,
                "faces": first[label][FACE].faces,
                "face": to_data_uri(face, "jpeg"),
                "cue": cue and _average(face, "action units", cue),
                "seen": {
                    name: [
                        _average(face, _name_of(key), its)
                        for key, its in maps.items()
                        if key not in (FACE, CUE)
                    ]
                    for name, maps in by_model.items()
                },
            }
        )
    return rows


def _average(face: NDArray[np.uint8], name: str, its: AverageMap) -> dict[str, str]:
    """One average map: its picture, and its figures in words."""
    figures = {"cosine": its.cosine, "spread": its.spread}
    said = [f"{word} {value:.2f}" for word, value in figures.items() if value is not None]
    return {
        "picture": to_data_uri(overlay(face, its.shown), "jpeg"),
        "name": name,
        "figures": ", ".join(said),
    }


def _name_of(key: str) -> str:
    return "class map" if key == CLASS_MAP else f"attention, {key}"


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
