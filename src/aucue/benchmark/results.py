"""From the evaluations of a grid to one result per row: averages over seeds, differences, controls."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from aucue.benchmark.bootstrap import Difference, paired_bootstrap, ratio_difference
from aucue.benchmark.grid import EVALUATED_FILE, Grid, Row
from aucue.benchmark.run import training_seconds
from aucue.errors import InputError, said
from aucue.evaluation.estimate import Estimate
from aucue.evaluation.measures import MEASURES, Figure, column_of
from aucue.evaluation.report.comparison import title_of
from aucue.evaluation.report.page import guided_layers
from aucue.evaluation.results import Evaluation, Group
from aucue.work.files import printable

GROUP_FIGURES: tuple[Figure, ...] = (
    ("accuracy", ""),
    ("balanced_accuracy", ""),
    ("att_cos", "micro"),
    ("att_cos", "macro"),
    ("cam_cos", "micro"),
    ("cam_cos", "macro"),
)
"""Figures by group; micro is the mean over faces, macro over expressions of the mean over their faces."""


@dataclass(frozen=True)
class GroupResult:
    """The figures of one group of faces, see `Group`.

    Attributes:
        faces: Number of faces.
        small: Whether they are too few to be compared.
        means: Mean over seeds of each of `GROUP_FIGURES`.
    """

    faces: int
    small: bool
    means: Mapping[Figure, float | None]


@dataclass(frozen=True)
class RowResult:
    """What a row's evaluations say together.

    Attributes:
        row: The row.
        set: Which test faces, as a title.
        values: Figure -> estimate of each seed whose evaluation is there, by seed; empty without any.
        differences: Figure -> row minus its baseline over the seeds that both have; empty without one.
        groups: Attribute -> value -> figures; empty where the set has no attributes.
        headlines: By measure the variant that says it all; of ATT-COS the guided layer.
        guided_layers: Layers that the trainings guided.
    """

    row: Row
    set: str
    values: Mapping[Figure, Mapping[int, Estimate]]
    differences: Mapping[Figure, Difference | None]
    groups: Mapping[str, Mapping[str, GroupResult]]
    headlines: Mapping[str, str]
    guided_layers: tuple[str, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds whose evaluations are there."""
        return tuple(self.values.get(("accuracy", ""), ()))

    def figure(self, measure: str, variant: str | None = None) -> Figure:
        """A measure under a variant, by default the one that says it all."""
        return (measure, self.headlines.get(measure, "") if variant is None else variant)

    def mean(self, measure: str, variant: str | None = None) -> float | None:
        """Mean over the seeds that have a value, None if none has."""
        return _mean(self._known(measure, variant))

    def deviation(self, measure: str, variant: str | None = None) -> float | None:
        """Standard deviation over seeds (n - 1), None with fewer than two."""
        known = self._known(measure, variant)
        return stdev(known) if len(known) > 1 else None

    def interval(self, measure: str, variant: str | None = None) -> tuple[float, float] | None:
        """95 % interval over faces where there is a single seed; None with several."""
        found = [*self.values.get(self.figure(measure, variant), {}).values()]
        return found[0].interval if len(found) == 1 else None

    def difference(self, measure: str, variant: str | None = None) -> Difference | None:
        """Row minus its baseline, None without one."""
        return self.differences.get(self.figure(measure, variant))

    def _known(self, measure: str, variant: str | None) -> list[float]:
        found = self.values.get(self.figure(measure, variant), {}).values()
        return [estimate.value for estimate in found if estimate.value is not None]


@dataclass(frozen=True)
class BenchmarkResults:
    """Everything a grid's tables are made of.

    Attributes:
        grid: The grid.
        rows: One result per row, in the grid's order.
        controls: Set -> control -> cosine of a map that never looked at the image, by its name in words.
        missing: Rows and seeds without an evaluation, as "label, seed n (cell)".
        notes: Sentences a reader has to know, the grid's own first.
        seconds: Cell -> seconds of training and what it ran on; no result, hence left out of comparisons.
    """

    grid: Grid
    rows: tuple[RowResult, ...]
    controls: Mapping[str, Mapping[str, float | None]]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, tuple[float, str]] = field(default_factory=dict, compare=False)

    def by_set(self) -> dict[str, list[RowResult]]:
        """The rows by their test faces."""
        return {
            title: [row for row in self.rows if row.set == title]
            for title in dict.fromkeys(row.set for row in self.rows)
        }

    def baseline_of(self, result: RowResult) -> RowResult | None:
        """The result that this one's differences are taken from."""
        baseline = self.grid.baseline_of(result.row)
        return next((other for other in self.rows if other.row == baseline), None)


def collect(grid: Grid, out: str | os.PathLike[str]) -> BenchmarkResults:
    """Gather the evaluations of a grid; those that are not there yet are listed.

    Args:
        grid: Which rows and seeds.
        out: The benchmark's folder.

    Raises:
        InputError: A file of an evaluation cannot be read, or evaluations that are compared were made on
            different faces.
    """
    found: dict[str, dict[int, _Evaluated]] = {row.label: {} for row in grid.rows}
    missing = []
    for row in grid.rows:
        for seed in grid.seeds:
            folder = grid.evaluation(out, row, seed)
            if (folder / EVALUATED_FILE).is_file():
                found[row.label][seed] = _Evaluated(folder)
            else:
                missing.append(f"{row.label}, seed {seed} ({folder.parent.name})")
    titles = _titles(grid, found)
    rows, notes = [], list(grid.notes)
    for row in grid.rows:
        ours, baseline = found[row.label], grid.baseline_of(row)
        theirs = found[baseline.label] if baseline else {}
        if shared := [seed for seed in ours if seed in theirs]:
            notes += _unlike(row.label, [ours[shared[0]], theirs[shared[0]]])
        rows.append(
            RowResult(
                row=row,
                set=titles[row.label],
                values=_values(ours),
                differences=_differences([ours[s] for s in shared], [theirs[s] for s in shared]),
                groups=_groups([evaluated.evaluation.groups for evaluated in ours.values()]),
                headlines=next((e.headlines for e in ours.values()), {}),
                guided_layers=next((tuple(guided_layers(e.evaluation)) for e in ours.values()), ()),
            )
        )
    return BenchmarkResults(
        grid=grid,
        rows=tuple(rows),
        controls=_controls(found, titles),
        missing=tuple(missing),
        notes=tuple(notes),
        seconds=_seconds(grid, out),
    )


class _Evaluated:
    """One evaluation on disk; its rows are read when they are first asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.evaluation = Evaluation.load(folder / EVALUATED_FILE)
        self._faces: pa.Table | None = None

    @property
    def faces(self) -> pa.Table:
        """One row per test face, `key` and `label` as text."""
        if self._faces is None:
            path = self.folder / "per_image.csv"
            options = csv.ConvertOptions(column_types={"key": pa.string(), "label": pa.string()})
            try:
                faces = csv.read_csv(path, None, csv.ParseOptions(newlines_in_values=True), options)
                names, count = faces.column_names, faces.num_rows
            except (OSError, ValueError, pa.ArrowException) as error:
                raise _damaged(path, said(error, first_line=True)) from error
            if len(set(names)) < len(names) or not {"key", "label"} <= set(names):
                raise _damaged(path, "its columns are not those of an evaluation")
            if count != self.evaluation.data["faces"]:
                raise _damaged(path, f"it has {count} rows for {self.evaluation.data['faces']} faces")
            self._faces = faces
        return self._faces

    @cached_property
    def figures(self) -> dict[Figure, Estimate]:
        """Every figure of the evaluation."""
        found = self.evaluation.estimates.items()
        return {(key, variant): its for key, variants in found for variant, its in variants.items()}

    @property
    def headlines(self) -> dict[str, str]:
        """By measure the variant that says it all."""
        return {measure.key: self.evaluation.headline(measure.key) for measure in self.evaluation.measured}

    @property
    def made_on(self) -> tuple[str, str, int]:
        """What identifies the test faces."""
        data = self.evaluation.data
        return data["fingerprint"], data["split"], data["faces"]

    @property
    def cue(self) -> str:
        """Which action-unit maps the cosines were measured with."""
        return "codebook {codebook}, regions {regions}, {size} pixels".format(**self.evaluation.data)

    def column(self, name: str) -> NDArray:
        """A column of numbers (N,), NaN where a face takes no part."""
        try:
            values = pc.cast(self.faces[name], pa.float64()).to_numpy()
        except pa.ArrowException as error:
            path = self.folder / "per_image.csv"
            raise _damaged(path, f"column '{printable(name)}' holds something else than numbers") from error
        return values.astype(np.float64)


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}; remove {path.parent} and run the grid again.")


def _titles(grid: Grid, found: Mapping[str, Mapping[int, _Evaluated]]) -> dict[str, str]:
    """Row -> title of its test faces, equal for equal faces only."""
    known = {e.made_on: title_of(e.evaluation) for seeds in found.values() for e in seeds.values()}
    plain = list(known.values())
    unique = {
        faces: title if plain.count(title) == 1 else f"{title} (set {faces[0]})"
        for faces, title in known.items()
    }
    by_path = {
        row.settings["data.path"]: unique[e.made_on] for row in grid.rows for e in found[row.label].values()
    }
    return {
        row.label: next(
            (unique[e.made_on] for e in found[row.label].values()),
            by_path.get(row.settings["data.path"], Path(row.settings["data.path"]).name),
        )
        for row in grid.rows
    }


def _values(seeds: Mapping[int, _Evaluated]) -> dict[Figure, dict[int, Estimate]]:
    figures = dict.fromkeys(figure for evaluated in seeds.values() for figure in evaluated.figures)
    return {
        figure: {
            seed: evaluated.figures[figure]
            for seed, evaluated in seeds.items()
            if figure in evaluated.figures
        }
        for figure in figures
    }


def _differences(ours: Sequence[_Evaluated], theirs: Sequence[_Evaluated]) -> dict[Figure, Difference | None]:
    """A row minus its baseline, on the same faces, for the same seeds and the same layers."""
    if not ours:
        return {}
    for other in (*ours, *theirs):
        _check_same_faces(ours[0], other)
    everyone = [set(evaluated.faces.column_names) for evaluated in (*ours, *theirs)]
    labels = np.unique(ours[0].faces["label"].to_numpy(), return_inverse=True)[1]
    known = [*dict.fromkeys(figure for evaluated in ours for figure in evaluated.figures)]
    columns = {figure: _column(figure) for figure in known}
    shared = {
        figure: column
        for figure, column in columns.items()
        if all(column in names for names in everyone) and not MEASURES[figure[0]].is_auroc
    }
    model, baseline = (
        {f: np.stack([evaluated.column(column) for evaluated in seeds]) for f, column in shared.items()}
        for seeds in (ours, theirs)
    )
    found = paired_bootstrap(model, baseline, labels, micro=[("accuracy", "")])
    for key, parts in {key: m.ratio for key, m in MEASURES.items() if (key, "ratio") in known}.items():
        above, below = ((key, variant) for variant in parts)
        if above in model and below in model:
            one, other = ((its[above], its[below]) for its in (model, baseline))
            found[key, "ratio"] = ratio_difference(one, other, labels)
    return found


def _column(figure: Figure) -> str:
    """The column of values per face whose mean a figure is; of some figures there is none."""
    return "correct" if figure[0] in ("accuracy", "balanced_accuracy") else column_of(figure)


def _check_same_faces(one: _Evaluated, other: _Evaluated) -> None:
    alike = one.made_on == other.made_on
    if not (alike and all(one.faces[name].equals(other.faces[name]) for name in ("key", "label"))):
        raise InputError(
            f"{one.folder} and {other.folder} were made on different faces, which cannot be paired; evaluate "
            "both on the same prepared set."
        )


def _unlike(label: str, pair: Sequence[_Evaluated]) -> list[str]:
    """What else than the networks differs between a row and its baseline."""
    ours, theirs = (evaluated.cue for evaluated in pair)
    if ours == theirs:
        return []
    return [
        f"{label}: its cosines were measured with other action-unit maps ({ours}) than its baseline's "
        f"({theirs}); their difference mixes both."
    ]


def _groups(seeds: Iterable[Mapping[str, Mapping[str, Group]]]) -> dict[str, dict[str, GroupResult]]:
    """Means over seeds of the figures by group."""
    found = list(seeds)
    return {
        attribute: {value: _group_result([groups[attribute][value] for groups in found]) for value in members}
        for attribute, members in (found[0] if found else {}).items()
    }


def _group_result(seeds: Sequence[Group]) -> GroupResult:
    figures = [
        (g.accuracy, g.balanced_accuracy, g.att_cos.micro, g.att_cos.macro, g.cam_cos.micro, g.cam_cos.macro)
        for g in seeds
    ]
    means = {figure: _mean(row[k] for row in figures) for k, figure in enumerate(GROUP_FIGURES)}
    return GroupResult(seeds[0].faces, seeds[0].small, means)


def _controls(
    found: Mapping[str, Mapping[int, _Evaluated]], titles: Mapping[str, str]
) -> dict[str, dict[str, float | None]]:
    """Once per set; where action-unit maps differ between rows, once per kind of map."""
    kinds: dict[str, dict[str, Evaluation]] = {}
    for label, seeds in found.items():
        for evaluated in seeds.values():
            kinds.setdefault(titles[label], {}).setdefault(evaluated.cue, evaluated.evaluation)
    return {
        title: {
            MEASURES["control"].name_of(name) + ("" if len(cues) == 1 else f" ({cue})"): control.value
            for cue, evaluation in cues.items()
            for name, control in evaluation.estimates["control"].items()
        }
        for title, cues in kinds.items()
    }


def _seconds(grid: Grid, out: str | os.PathLike[str]) -> dict[str, tuple[float, str]]:
    """What each training took, where that was noted."""
    noted = {cell.name: training_seconds(cell, out) for cell in grid.cells}
    return {name: seconds for name, seconds in noted.items() if seconds is not None}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
