"""The tables of docs/evidence.md, from the evaluations of several arms and seeds on the same test faces."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aucue.cues import AUCue
from aucue.data import eval_transform, open_prepared
from aucue.evaluation import Evaluation
from aucue.evaluation.benchmark.bootstrap import means_over_seeds
from aucue.evaluation.evidence_measures import MEASURES
from aucue.guidance import resize_map
from aucue.metrics import CHANGES, CONTROLS, FILLS, attention_at, cam_at, grid_ceiling, map_cosine
from aucue.metrics.bootstrap import percentile_interval
from aucue.models import load_model

BASELINES = ("unguided", "fg2024")
OURS = "aucue"
SPECIFIC = 0.92  # share of faces that was aimed at
_CURVES = {"deletion": ("lower", -1.0), "insertion": ("higher", 1.0)}  # better; sign of the gain


@dataclass(frozen=True)
class Figure:
    """A figure made of means over faces: a sum of some, perhaps divided by another.

    Attributes:
        title: As shown.
        better: "higher", "lower" or "near 0".
        columns: Columns of the rows per face, and how often each mean counts in the sum.
        per: What the sum is divided by; empty for nothing.
        macro: Whether means are over expressions of means over faces; otherwise over all faces.
    """

    title: str
    better: str
    columns: Mapping[str, float]
    per: str = ""
    macro: bool = True


@dataclass(frozen=True)
class Estimate:
    """A figure of every arm.

    Attributes:
        values: By arm (A,).
        resampled: The same on resamples of faces and seeds (R, A).
    """

    values: NDArray
    resampled: NDArray

    def text(self, arm: int) -> str:
        """Value and interval of one arm."""
        return with_interval(self.values[arm], self.resampled[:, arm])

    def difference(self, arm: int, baseline: int, better: str) -> str:
        """Difference of two arms and its interval, bold where that lies on the good side of 0."""
        drawn = self.resampled[:, arm] - self.resampled[:, baseline]
        text = with_interval(self.values[arm] - self.values[baseline], drawn, sign="+")
        return f"**{text}**" if self.verdict(arm, baseline, better) == "yes" else text

    def verdict(self, arm: int, baseline: int, better: str) -> str:
        """Whether one arm is better than another: "yes", "no", or "not clear" where the interval holds 0."""
        low, high = percentile_interval(self.resampled[:, arm] - self.resampled[:, baseline])
        good, bad = {"higher": (low > 0, high < 0), "lower": (high < 0, low > 0)}.get(better, (False, False))
        return "yes" if good else "no" if bad else "not clear"


class Results:
    """All evaluations: one table of values per face for each arm and seed.

    Args:
        evaluation: One of them.
        labels: Class names of the faces (N,).
        tables: By arm, for every seed, column -> values (N,), NaN where a face takes no part.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        labels: NDArray,
        tables: Mapping[str, Sequence[Mapping[str, NDArray]]],
    ):
        self.evaluation, self.labels = evaluation, labels
        self.arms, self.tables = tuple(tables), list(tables.values())
        self._means: dict[tuple[str, bool], tuple[NDArray, NDArray]] = {}

    @classmethod
    def read(cls, cells: Mapping[str, Sequence[Path]], path: Path) -> "Results":
        """From the folders of the trainings by arm, for the same seeds, and the prepared set."""
        found = {arm: [read_faces(folder) for folder in folders] for arm, folders in cells.items()}
        faces = {keys for its in found.values() for keys, _ in its}
        if len(faces) > 1:
            raise SystemExit("the evaluations were made on different faces, which cannot be compared")
        first = cells[OURS][0]
        ceilings = draw_ceilings(first / "model.safetensors", path)
        return cls(
            Evaluation.load(first / "evaluation" / "evaluation.json"),
            np.array([label for _, label in faces.pop()]),
            {arm: [columns | ceilings for _, columns in its] for arm, its in found.items()},
        )

    def estimate(self, figure: Figure) -> Estimate:
        """A figure of every arm."""
        means = self._means_of([*figure.columns, *filter(None, [figure.per])], figure.macro)
        observed, resampled = (np.stack([mean[k] for mean in means]) for k in (0, 1))
        signs = np.array([*figure.columns.values()])
        values, drawn = (np.tensordot(signs, part[: len(signs)], 1) for part in (observed, resampled))
        if figure.per:
            with np.errstate(invalid="ignore", divide="ignore"):
                values, drawn = (
                    np.where(part[-1] > 0, total / part[-1], np.nan)
                    for total, part in ((values, observed), (drawn, resampled))
                )
        return Estimate(values, drawn)

    def mean(self, column: str) -> Estimate:
        """Mean of a column over expressions."""
        return self.estimate(Figure("", "", {column: 1.0}))

    def _means_of(self, names: Sequence[str], macro: bool) -> list[tuple[NDArray, NDArray]]:
        """Mean of each column by arm, (A,) and on resamples (R, A); of the faces that have the first."""
        if new := [name for name in names if (name, macro) not in self._means]:
            values = np.array([[[table[name] for name in new] for table in its] for its in self.tables])
            kept = ~np.isnan(values).all(axis=(0, 1, 2))
            observed, resampled = means_over_seeds(
                values[..., kept], self.labels[kept], np.full(len(new), macro)
            )
            for k, name in enumerate(new):
                self._means[name, macro] = observed[:, k], resampled[:, :, k]
        return [self._means[name, macro] for name in names]


def blocks(cells: Mapping[str, Sequence[Path]], path: Path) -> dict[str, str]:
    """The tables by name, each between the marks by which `paste` finds its place.

    Args:
        cells: Folders of the trainings by arm (unguided, fg2024, aucue), for the same seeds.
        path: The prepared set.
    """
    results = Results.read(cells, path)
    found = {
        "targets": targets_table(results),
        "measures": measures_table(results),
        "controls": controls_table(results),
        "room": room_table(results),
        "expressions": expressions_table(results),
        "seeds": seeds_table(cells),
    }
    return {name: block(name, text) for name, text in found.items()}


def block(name: str, text: str) -> str:
    """A table between the marks by which `paste` finds its place."""
    return f"<!-- {name} -->\n{text}\n<!-- /{name} -->"


def paste(page: Path, texts: Mapping[str, str]) -> None:
    """Put each block in the place of the one that a page has of that name.

    Raises:
        SystemExit: The page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    for name, new in texts.items():
        text, places = re.subn(rf"(?s)<!-- {name} -->.*?<!-- /{name} -->", lambda _, new=new: new, text)
        if places != 1:
            raise SystemExit(f"{page} has {places} places for the table '{name}', not one")
    page.write_text(text, encoding="utf-8")


def figures(layer: str, deepest: str) -> tuple[Figure, ...]:
    """The lines of the table of measures.

    Args:
        layer: Whose attention is guided.
        deepest: Last stage of the randomised network.
    """

    def one(title: str, column: str, better: str = "higher", macro: bool = True) -> Figure:
        return Figure(title, better, {column: 1.0}, macro=macro)

    lines = [
        one("accuracy", "correct", macro=False),
        one("balanced accuracy", "correct"),
        one("ATT-COS", f"att_cos {layer}"),
        one("CAM-COS", "cam_cos"),
        one("CAM-COS of the class named", "cam_cos predicted class"),
        one("specificity of the class map", "specificity class map"),
        one("specificity of the attention", "specificity attention"),
        one("own face, class map", "own face class map"),
        one("ATT-COS by the paper's maps", f"fg2024 att_cos {layer}"),
        one("CAM-COS by the paper's maps", "fg2024 cam_cos"),
        one("specificity by the paper's maps", "fg2024 specificity class map"),
        one("specificity margin", "margin class map"),
        one("pointing game", "pointing class map"),
        one("energy inside", "energy class map"),
    ]
    for fill in FILLS:
        for name, (better, sign) in _CURVES.items():
            ours, chance = f"{name} {fill} class map", f"{name} {fill} chance"
            lines.append(one(f"{name}, {fill} fill", ours, better))
            lines.append(
                Figure(f"{name}, {fill} fill: gain over random order", "higher", {ours: sign, chance: -sign})
            )
        units, others = f"occlusion {fill} action units", f"occlusion {fill} random regions"
        lines.append(Figure(f"action units hidden, {fill} fill: ratio", "higher", {units: 1.0}, others))
    for name in ("stability", "same decision"):
        lines += [one(f"{name}, {change}", f"{name} {change}") for change in CHANGES]
    return (*lines, one(f"randomised down to {deepest}", f"randomised {deepest}", "near 0"))


TARGETS = (
    ("CAM-COS", ("fg2024",)),
    *((f"action units hidden, {fill} fill: ratio", BASELINES) for fill in FILLS),
    *((f"{name}, {fill} fill: gain over random order", BASELINES) for fill in FILLS for name in _CURVES),
)
"""What the recipe was to do better, and than whom."""


def targets_table(results: Results) -> str:
    """What the recipe was to reach, and whether it did: beyond what other faces and seeds would change."""
    by_title = {figure.title: figure for figure in all_figures(results)}
    ours, unguided = (results.arms.index(name) for name in (OURS, "unguided"))
    specific = results.estimate(by_title["specificity of the class map"])
    reached = "yes" if specific.values[ours] >= SPECIFIC else "no"
    rows = [["specificity of the class map", f"at least {SPECIFIC}", specific.text(ours), reached]]
    for title, baselines in TARGETS:
        estimate, figure = results.estimate(by_title[title]), by_title[title]
        for name in baselines:
            baseline = results.arms.index(name)
            found = estimate.difference(ours, baseline, figure.better)
            rows.append(
                [
                    title,
                    f"{figure.better} than {name}",
                    found,
                    estimate.verdict(ours, baseline, figure.better),
                ]
            )
    accuracy = results.estimate(by_title["accuracy"])
    _, high = percentile_interval(accuracy.resampled[:, ours] - accuracy.resampled[:, unguided])
    found = accuracy.difference(ours, unguided, "higher")
    rows.append(
        ["accuracy", "not lower than unguided, within the interval", found, "yes" if high >= 0 else "no"]
    )
    return table(["", "target", "found", "reached"], rows)


def all_figures(results: Results) -> tuple[Figure, ...]:
    """The lines of the table of measures for these evaluations."""
    stages = [name for name in results.evaluation.evidence if name.startswith("randomised ")]
    return figures(results.evaluation.attention_layer, stages[-1].removeprefix("randomised "))


def measures_table(results: Results) -> str:
    """Every measure of every arm, and the differences to both baselines."""
    ours, baselines = results.arms.index(OURS), [results.arms.index(name) for name in BASELINES]
    rows = []
    for figure in all_figures(results):
        estimate = results.estimate(figure)
        cells = [estimate.text(arm) for arm in range(len(results.arms))]
        cells += [estimate.difference(ours, baseline, figure.better) for baseline in baselines]
        rows.append([figure.title, figure.better, *cells])
    return table(["", "better", *results.arms, *(f"{OURS} - {name}" for name in BASELINES)], rows)


def controls_table(results: Results) -> str:
    """What maps get that never looked at the image, and other references, by the network they are put to."""
    rows = [["ATT-COS, CAM-COS", name, *_by_arm(results, f"control {name}")] for name in CONTROLS]
    for measure in MEASURES:
        variants = measure.variants(results.evaluation)
        rows += [
            [measure.title, name, *_by_arm(results, f"{measure.name} {name}")]
            for name in measure.others
            if name in variants
        ]
    return table(["measure", "control", *results.arms], rows)


def _by_arm(results: Results, column: str) -> list[str]:
    return [f"{value:.3f}" for value in results.mean(column).values]


def room_table(results: Results) -> str:
    """How far the cosines are on their way from the unguided network to what is possible."""
    columns = {"CAM-COS": "cam_cos", "ATT-COS": f"att_cos {results.evaluation.attention_layer}"}
    rows = [[arm, *(results.mean(c).text(k) for c in columns.values())] for k, arm in enumerate(results.arms)]
    template = results.mean("control mean of the class")
    ceilings = {name: results.mean(f"ceiling {name}") for name in columns}
    own = {
        what: [f"{results.mean(f'{what} {name}').values[0]:.3f}" for name in columns]
        for what in ("drawn", "resized")
    }
    rows += [
        ["template: mean map of the class on other faces", *[f"{template.values[0]:.3f}"] * 2],
        ["the face's own map, drawn on the grid (`cue_size: attention`)", *own["drawn"]],
        ["the face's own map, resized to the grid (`cue_size: input`)", *own["resized"]],
        ["ceiling: the best map of the grid", *(f"{c.values[0]:.3f}" for c in ceilings.values())],
    ]
    limits = {"ceiling": ceilings, "template": dict.fromkeys(columns, template)}
    unguided = results.arms.index("unguided")
    for limit, its in limits.items():
        for k, arm in enumerate(results.arms):
            if k != unguided:
                shares = [_share(results.mean(c), its[name], k, unguided) for name, c in columns.items()]
                rows.append([f"share of the way to the {limit}, {arm}", *shares])
    return table(["", *columns], rows)


def _share(cosine: Estimate, limit: Estimate, arm: int, unguided: int) -> str:
    """(arm - unguided) / (limit - unguided), in percent."""
    value, drawn = (
        100 * (its[..., arm] - its[..., unguided]) / (most[..., arm] - its[..., unguided])
        for its, most in ((cosine.values, limit.values), (cosine.resampled, limit.resampled))
    )
    return with_interval(float(value), drawn, digits=0) + " %"


def expressions_table(results: Results) -> str:
    """Recall, CAM-COS and specificity of every expression, mean over seeds, one arm after the other."""
    columns = {"recall": "correct", "CAM-COS": "cam_cos", "specificity": "specificity class map"}
    rows = []
    for label in results.evaluation.classes:
        members = results.labels == label
        cells = []
        for column in columns.values():
            values = np.array([[table[column][members] for table in its] for its in results.tables])
            known = not np.isnan(values).all()
            cells.append(" / ".join(f"{v:.2f}" for v in np.nanmean(values, axis=(1, 2))) if known else "")
        rows.append([label, str(members.sum()), *cells])
    arms = " / ".join(results.arms)
    return table(["", "test faces", *(f"{name}: {arms}" for name in columns)], rows)


def seeds_table(cells: Mapping[str, Sequence[Path]]) -> str:
    """The main figures of every training."""
    names = ("accuracy", "balanced accuracy", "ATT-COS", "CAM-COS", "specificity", "AU ratio: mean", "blur")
    rows = []
    for arm, folders in cells.items():
        for folder in folders:
            e = Evaluation.load(folder / "evaluation" / "evaluation.json")
            values = (
                e.classification.accuracy,
                e.classification.balanced_accuracy,
                e.guided_att_cos.macro,
                e.cam_cos.macro,
                e.specificity["class map"].macro,
                *(e.evidence[f"occlusion {fill} ratio"].macro for fill in ("mean", "blur")),
            )
            seed = folder.name.rsplit("-")[-1]
            rows.append([f"{arm}, seed {seed}", *("" if v is None else f"{v:.3f}" for v in values)])
    return table(["", *names], rows)


def draw_ceilings(model: Path, path: Path) -> dict[str, NDArray]:
    """What maps of the network's grid could reach at most, per test face (N,), NaN without an AU map.

    "ceiling CAM-COS" and "ceiling ATT-COS" are the largest that any map of that grid can have, see
    `grid_ceiling`; "drawn ..." are those of the face's own AU map, drawn on that grid, "resized ..." those of
    that map resized to the grid as alignment does: what attention is trained for (`cue_size`).
    """
    classifier, _ = load_model(model)
    prepared = open_prepared(path)
    size = (classifier.input_size, classifier.input_size)
    _, *grid = classifier.shapes[classifier.final_layer]
    cells = (grid[0], grid[1])
    dataset = prepared.dataset("test", eval_transform(classifier.input_size))
    draw, scale = AUCue("facs", prepared.classes, "anatomical"), classifier.input_size / prepared.size
    landmarks = (torch.from_numpy(dataset.landmarks) + 0.5) * scale - 0.5
    resizings = {"CAM-COS": cam_at, "ATT-COS": attention_at}
    found: dict[str, list[torch.Tensor]] = {}
    for points, labels in zip(landmarks.split(64), torch.from_numpy(dataset.labels).split(64), strict=True):
        cue, coarse = draw(points, labels, size), draw(points, labels, size, cells)
        for name, resize in resizings.items():
            values = {
                f"ceiling {name}": grid_ceiling(cue.map, cells, resize),
                f"drawn {name}": map_cosine(resize(coarse.map, size), cue.map),
                f"resized {name}": map_cosine(resize(resize_map(cue.map, cells), size), cue.map),
            }
            for column, value in values.items():
                found.setdefault(column, []).append(torch.where(cue.valid, value, torch.nan))
    return {column: torch.cat(its).double().numpy() for column, its in found.items()}


def read_faces(folder: Path) -> tuple[tuple[tuple[str, str], ...], dict[str, NDArray]]:
    """Key and label of every test face; its values by column, those by the paper's maps as "fg2024 NAME"."""
    columns: dict[str, NDArray] = {}
    keys: tuple[tuple[str, str], ...] = ()
    for judge, prefix in (("evaluation-fg2024", "fg2024 "), ("evaluation", "")):
        with (folder / judge / "per_image.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        keys = tuple((row["key"], row["label"]) for row in rows)
        for name in rows[0].keys() - {"key", "label", "prediction"}:
            columns[prefix + name] = np.array([float(row[name] or "nan") for row in rows])
    return keys, columns


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def with_interval(value: float, drawn: NDArray, sign: str = "", digits: int = 3) -> str:
    """0.412 (0.380 to 0.451); without an interval where a resample in fifty is undefined."""
    text = f"{value:{sign}.{digits}f}"
    if np.isnan(drawn).mean() > 0.02:
        return text
    low, high = percentile_interval(drawn)
    return f"{text} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"
