"""The figure of a grid: measures over one numeric setting, such as lambda.

Imported only where a grid asks for a figure: matplotlib takes long to load.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from aucue.benchmark.results import BenchmarkResults, RowResult
from aucue.errors import InputError
from aucue.evaluation.measures import MEASURES
from aucue.pages import ACCENT
from aucue.work.files import appearing

FIGURES = ("figure.png", "figure.svg")
DRAWN = ("att_cos", "cam_cos", "accuracy")
_NAMES = {"guidance.weight": "lambda"}
_COLORS = (ACCENT.light, "#2f6f9f", "#3c8a5a", "#8a6d1f", "#6b4fa0", "#5c5a66")
_PAPER = "#8d8a97"
_LOGARITHMIC = 20  # ratio of the largest to the smallest value above which an axis is logarithmic

Point = tuple[float, RowResult]


def write_figure(results: BenchmarkResults, folder: Path) -> list[Path]:
    """Write `figure.png` and `figure.svg`, replacing earlier ones; nothing where the grid asks for none.

    Args:
        results: Of a grid.
        folder: An existing folder.

    Returns:
        The files.

    Raises:
        InputError: The setting to draw over is no number.
    """
    paths = [folder / name for name in FIGURES]
    figure = draw(results)
    if figure is None:
        for path in paths:
            path.unlink(missing_ok=True)
        return []
    with matplotlib.rc_context({"svg.hashsalt": "aucue"}):  # the same file for the same figures
        for path in paths:
            with appearing(path) as unfinished:
                undated = {"Date": None} if path.suffix == ".svg" else None
                figure.savefig(unfinished, dpi=160, metadata=undated)
    return paths


def inline_svg(results: BenchmarkResults) -> str | None:
    """The figure as an element of an HTML page: its text is text, and nothing in it names another place.

    Black parts take the colour of the page's text (`currentColor`), the background is the page's.

    Args:
        results: Of a grid.

    Returns:
        A `<svg>` element; None where the grid asks for no figure or no evaluation is there.

    Raises:
        InputError: The setting to draw over is no number.
    """
    figure = draw(results)
    if figure is None:
        return None
    for artist in figure.findobj():
        artist.set_clip_on(False)  # a clip path is a url(), and nothing leaves its panel
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "aucue", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    element = file.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", element, flags=re.DOTALL)
    element = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", element)
    return element.replace("#000000", "currentColor")


@matplotlib.rc_context({"text.parse_math": False})  # a $ in a name is a $
def draw(results: BenchmarkResults) -> Figure | None:
    """ATT-COS, CAM-COS and accuracy over the setting that the grid names.

    Points are means over seeds and bars their standard deviations; a dashed line is the value where a
    logarithmic axis has no place for the setting (lambda 0), rings are published values.

    Args:
        results: Of a grid.

    Returns:
        The figure; None where the grid asks for none or no evaluation is there.

    Raises:
        InputError: The setting to draw over is no number.
    """
    series = _series(results)
    if not series:
        return None
    values = sorted({x for points in series.values() for x, _ in points if x > 0})
    logarithmic = len(values) > 1 and values[-1] / values[0] > _LOGARITHMIC
    setting = str((results.grid.figure or {})["x"])
    setting = _NAMES.get(setting, setting)
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    panels = figure.subplots(1, len(DRAWN))
    for panel, measure in zip(panels, DRAWN, strict=True):
        for (label, points), color in zip(series.items(), _COLORS * len(series), strict=False):
            _draw_series(panel, measure, points, color, label, setting, logarithmic)
        if logarithmic:
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set(title=MEASURES[measure].column, xlabel=setting)
        panel.grid(color=_PAPER, alpha=0.25, linewidth=0.7)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_ylabel("percent")
    named = {
        name: handle
        for panel in panels
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _series(results: BenchmarkResults) -> dict[str, list[Point]]:
    """Label -> points by ascending setting; one series per combination of names on the other axes."""
    wanted = results.grid.figure
    if wanted is None:
        return {}
    setting, over = str(wanted["x"]), wanted.get("over") or {}
    rows = [
        result
        for result in results.rows
        if result.seeds
        and setting in result.row.settings
        and all(result.row.place[axis] == name for axis, name in over.items())
    ]
    points = [(_number(result, setting), result) for result in rows]
    axes = _axes_beside(points, tuple(results.grid.axes))
    series: dict[str, list[Point]] = {}
    for x, result in sorted(points, key=lambda point: point[0]):
        series.setdefault(" / ".join(result.row.place[axis] for axis in axes), []).append((x, result))
    return series


def _number(result: RowResult, setting: str) -> float:
    value = result.row.settings[setting]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"figure: {setting} of the row {result.row.label} is no number but {value!r}.")
    return float(value)


def _axes_beside(points: Sequence[Point], axes: Sequence[str]) -> list[str]:
    """Axes that differ between the points and do not by themselves say the setting."""
    beside = []
    for axis in axes:
        settings: dict[str, set[float]] = {}
        for x, result in points:
            settings.setdefault(result.row.place[axis], set()).add(x)
        if len(settings) > 1 and any(len(values) > 1 for values in settings.values()):
            beside.append(axis)
    return beside


def _draw_series(
    panel: Axes,
    measure: str,
    points: Sequence[Point],
    color: str,
    label: str,
    setting: str,
    logarithmic: bool,
) -> None:
    scale, head = 100 if MEASURES[measure].percent else 1, MEASURES[measure].column
    drawn = [
        (x, scale * mean, scale * (result.deviation(measure) or 0))
        for x, result in points
        if (mean := result.mean(measure)) is not None
    ]
    inside = [point for point in drawn if point[0] > 0 or not logarithmic]
    for x, mean, deviation in drawn:
        if x <= 0 and logarithmic:
            at_zero = f"{label or 'ours'}, {setting} {x:g}"
            panel.axhline(mean, color=color, linestyle="--", label=at_zero)
            panel.axhspan(mean - deviation, mean + deviation, color=color, alpha=0.12, linewidth=0)
    places, means, deviations = ([point[k] for point in inside] for k in range(3))
    name = label or "ours"
    panel.errorbar(places, means, deviations, color=color, marker="o", markersize=4, capsize=2.5, label=name)
    published = [
        (x, scale * r.row.published[head])
        for x, r in points
        if head in r.row.published and (x > 0 or not logarithmic)
    ]
    if published:
        places, values = zip(*published, strict=True)
        name = f"paper, {label}" if label else "paper"
        panel.plot(
            places, values, color=_PAPER, marker="o", mfc="none", linestyle=":", markersize=5, label=name
        )
