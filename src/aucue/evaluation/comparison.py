"""Several evaluations beside each other, with the controls that say how much of a cosine is free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aucue.errors import InputError
from aucue.evaluation.results import Evaluation, Mean
from aucue.work.files import printable

MEASURES = ("accuracy", "balanced", "macro F1", "ATT-COS", "CAM-COS", "specific", "own face")


@dataclass(frozen=True)
class Row:
    """One line of a comparison.

    Attributes:
        name: Model or control.
        values: Value per measure, None where it has none.
        is_control: Whether the line is a control.
    """

    name: str
    values: tuple[float | None, ...]
    is_control: bool


@dataclass(frozen=True)
class Comparison:
    """Models on the same faces, and below them the controls.

    Attributes:
        title: Which faces.
        rows: Models in the order given, then controls.
        measures: Names of the columns.
        notes: Sentences without which the table would mislead.
    """

    title: str
    rows: tuple[Row, ...]
    measures: tuple[str, ...] = MEASURES
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """As a Markdown table under its title."""
        lines = [
            f"**{self.title}**",
            "",
            "| | " + " | ".join(self.measures) + " |",
            "|---|" + "---:|" * len(self.measures),
        ]
        for row in self.rows:
            name = f"*control: {row.name}*" if row.is_control else row.name
            lines.append(f"| {name} | " + " | ".join(self.cells(row)) + " |")
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines)

    def table(self) -> Table:
        """As a table for a terminal of 80 columns, without macro F1."""
        caption = Text("\n".join(["grey: controls, maps that never looked at the image", *self.notes]))
        table = Table(
            title=Text(printable(self.title)), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        table.title_justify = table.caption_justify = "left"
        table.add_column("", overflow="fold")
        shown = [k for k, measure in enumerate(self.measures) if measure != "macro F1"]
        for k in shown:
            table.add_column(self.measures[k], justify="right", no_wrap=True)
        for i, row in enumerate(self.rows):
            last_model = not row.is_control and i + 1 < len(self.rows) and self.rows[i + 1].is_control
            style = "dim" if row.is_control else None
            table.add_row(
                Text(printable(row.name)),
                *(self.cells(row)[k] for k in shown),
                style=style,
                end_section=last_model,
            )
        return table

    def cells(self, row: Row) -> list[str]:
        """The values of a row as text: shares in percent, cosines with two digits, nothing for None."""
        cosines = ("ATT-COS", "CAM-COS")
        return [
            "" if value is None else f"{value:.2f}" if measure in cosines else f"{100 * value:.1f}%"
            for measure, value in zip(self.measures, row.values, strict=True)
        ]


def compare(evaluations: Mapping[str, Evaluation] | Sequence[Evaluation]) -> tuple[Comparison, ...]:
    """Put models and controls side by side, one comparison per set of faces.

    Args:
        evaluations: Evaluations, under the names to show (default: the models' own).

    Returns:
        One comparison per set and split, in the order in which they first occur.

    Raises:
        InputError: Nothing to compare.
    """
    return tuple(
        Comparison(
            title,
            (*(_model_row(name, e) for name, e in members.items()), *_control_rows(members)),
            notes=judges_note(members),
        )
        for title, members in by_data(evaluations).items()
    )


def by_data(
    evaluations: Mapping[str, Evaluation] | Sequence[Evaluation],
) -> dict[str, dict[str, Evaluation]]:
    """Evaluations by the faces they were made on: title of the set -> name -> evaluation.

    Raises:
        InputError: There are none.
    """
    if not isinstance(evaluations, Mapping):
        evaluations = {evaluation.name: evaluation for evaluation in evaluations}
    if not evaluations:
        raise InputError("there is no evaluation to compare.")
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


def _model_row(name: str, evaluation: Evaluation) -> Row:
    cl = evaluation.classification
    values = (
        cl.accuracy,
        cl.balanced_accuracy,
        cl.macro_f1,
        evaluation.guided_att_cos.macro,
        evaluation.cam_cos.macro,
        evaluation.specificity["class map"].macro,
        evaluation.own_face["class map"].macro,
    )
    return Row(name, values, is_control=False)


def _control_rows(members: Mapping[str, Evaluation]) -> list[Row]:
    return [
        Row(name, (None, None, None, mean.macro, mean.macro, None, None), is_control=True)
        for name, mean in controls_of(members).items()
    ]


def controls_of(members: Mapping[str, Evaluation]) -> dict[str, Mean]:
    """The controls beside some models: they depend on the faces and their judge, not on the network.

    Once for all models if the same action-unit maps judge them, else once per judge, with its models' names.
    """
    judged = by_judge(members)
    return {
        name if len(judged) == 1 else f"{name} (for {', '.join(names)})": mean
        for names in judged
        for name, mean in members[names[0]].controls.items()
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
