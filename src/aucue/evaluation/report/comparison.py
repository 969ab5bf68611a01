"""Several evaluations beside each other, with the controls that say how much of a cosine is free."""

from collections.abc import Mapping, Sequence

from aucue.errors import InputError
from aucue.evaluation.estimate import Estimate
from aucue.evaluation.measures import MEASURES, Measure
from aucue.evaluation.report.tables import Line, Mark, Table, estimate_text, number_text
from aucue.evaluation.results import Evaluation

COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "att_cos", "cam_cos", "specificity", "own_face")
"""Measures of the table that comes first; the others stand in `further_table`."""

FURTHER = tuple(measure for key, measure in MEASURES.items() if key not in (*COMPARED, "control"))
"""Those others, in the order of reports."""

COSINES = ("att_cos", "cam_cos")
"""Measures that controls are read beside."""

Evaluations = Mapping[str, Evaluation] | Sequence[Evaluation]


def compare(evaluations: Evaluations, intervals: bool = False) -> tuple[Table, ...]:
    """Put models and controls side by side, one table per set of faces.

    Args:
        evaluations: Evaluations, under the names to show (default: the models' own).
        intervals: Whether every figure has its interval.

    Returns:
        One table per set and split, in the order in which they first occur.

    Raises:
        InputError: Nothing to compare.
    """
    return tuple(
        Table(
            title,
            "",
            tuple(MEASURES[key].column for key in COMPARED),
            (*_model_lines(members, intervals), *_control_lines(members)),
            ("CL, balanced, macro F1, specific and own face in percent.", *judges_note(members)),
        )
        for title, members in by_data(evaluations).items()
    )


def further_table(members: Mapping[str, Evaluation], title: str) -> Table:
    """The measures that are not compared first, one line each, with what to read them against below.

    Args:
        members: Evaluations by the names to show, on the same faces; a measure that one of them lacks is left
            out.
        title: Of the table.
    """
    lines = []
    for measure in further_measures(members):
        texts = (estimate_text(e.estimate(measure.key), measure) for e in members.values())
        lines.append(Line("row", measure.title, (measure.better, *texts)))
        references = [e.estimates[measure.key].get(measure.reference) for e in members.values()]
        if known := [reference for reference in references if reference is not None]:
            texts = (estimate_text(reference, measure) for reference in known)
            lines.append(Line("reference", measure.name_of(measure.reference), ("", *texts)))
    notes = ("95 % intervals over faces; shares in percent.",)
    return Table(title, "", ("good", *members), tuple(lines), notes)


def further_measures(members: Mapping[str, Evaluation]) -> tuple[Measure, ...]:
    """Those of `FURTHER` that all of some evaluations have."""
    found = [evaluation.measured for evaluation in members.values()]
    return tuple(measure for measure in FURTHER if all(measure in its for its in found))


def by_data(evaluations: Evaluations) -> dict[str, dict[str, Evaluation]]:
    """Evaluations by the faces they were made on: title of the set -> name -> evaluation.

    Raises:
        InputError: There are none.
    """
    if not isinstance(evaluations, Mapping):
        evaluations = {evaluation.name: evaluation for evaluation in evaluations}
    if not evaluations:
        raise InputError("There is no evaluation to compare.")
    groups: dict[tuple, dict[str, Evaluation]] = {}
    for name, evaluation in evaluations.items():
        faces = tuple(evaluation.data[key] for key in ("fingerprint", "split", "faces"))
        groups.setdefault(faces, {})[name] = evaluation
    titles = [title_of(next(iter(members.values()))) for members in groups.values()]
    unique = [
        title if titles.count(title) == 1 else f"{title} (set {fingerprint})"
        for title, (fingerprint, *_) in zip(titles, groups, strict=True)
    ]
    return dict(zip(unique, groups.values(), strict=True))


def title_of(evaluation: Evaluation) -> str:
    """Which faces an evaluation was made on."""
    data = evaluation.data
    return f"{data['name']}, {data['split']} split, {data['faces']} faces"


def _model_lines(members: Mapping[str, Evaluation], intervals: bool) -> list[Line]:
    """One line per model; the best of each column stands out."""
    values = {name: [e.estimate(key) for key in COMPARED] for name, e in members.items()}
    columns = zip(*values.values(), strict=True)
    highest = [max((e.value for e in column if e.value is not None), default=None) for column in columns]
    return [
        Line(
            "row",
            name,
            tuple(_text(e, key, intervals) for e, key in zip(its, COMPARED, strict=True)),
            tuple(
                "out" if e.value is not None and e.value == top else ""
                for e, top in zip(its, highest, strict=True)
            ),
        )
        for name, its in values.items()
    ]


def _mark(estimate: Estimate, highest: float | None) -> Mark:
    return "out" if estimate.value is not None and estimate.value == highest else ""


def _text(estimate: Estimate, key: str, intervals: bool) -> str:
    if intervals and estimate.value is not None:
        return estimate_text(estimate, MEASURES[key])
    return number_text(estimate.value, MEASURES[key])


def _control_lines(members: Mapping[str, Evaluation]) -> list[Line]:
    return [
        Line(
            "control",
            name,
            tuple(number_text(its.value, MEASURES[k]) if k in COSINES else "" for k in COMPARED),
        )
        for name, its in controls_of(members).items()
    ]


def controls_of(members: Mapping[str, Evaluation]) -> dict[str, Estimate]:
    """The controls beside some models: they depend on the faces and their judge, not on the network.

    Once for all models if the same action-unit maps judge them, else once per judge, with its models' names.
    """
    judged, measure = by_judge(members), MEASURES["control"]
    return {
        measure.name_of(control) + ("" if len(judged) == 1 else f" (for {', '.join(names)})"): members[
            names[0]
        ].estimates["control"][control]
        for names in judged
        for control in members[names[0]].estimates["control"]
    }


def by_judge(members: Mapping[str, Evaluation]) -> list[tuple[str, ...]]:
    """Names of the models that the same action-unit maps judge, together."""
    judged: dict[tuple, list[str]] = {}
    for name, evaluation in members.items():
        cue = tuple(evaluation.data.get(key) for key in ("codebook", "judge", "regions", "size"))
        judged.setdefault(cue, []).append(name)
    return [tuple(names) for names in judged.values()]


def judges_note(members: Mapping[str, Evaluation]) -> tuple[str, ...]:
    """A warning where different action-unit maps judge the models; nothing where the same judge all."""
    judged = by_judge(members)
    if len(judged) < 2:
        return ()
    each = "; ".join(
        f"{', '.join(names)}: codebook {data['codebook']}, regions {data['regions']}, {data['size']} pixels"
        for names, data in ((names, members[names[0]].data) for names in judged)
    )
    return (
        f"Different action-unit maps judge these models ({each}): hold a cosine against the controls of its "
        "own judge, not against another model's. --codebook and --regions choose one judge for all.",
    )
