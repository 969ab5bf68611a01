"""A benchmark grid: which settings are trained with which seeds, and which of them are compared."""

import argparse
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args, get_type_hints

import jsonargparse
import yaml

from aucue.classifiers.methods import METHODS, method_named, readout_for
from aucue.errors import InputError, said
from aucue.evaluation.settings import FACES
from aucue.facs import Codebook
from aucue.models.naming import MODEL_FILE
from aucue.training import ClassifierSettings, DataSettings, TrainConfig
from aucue.training.checks import check_set
from aucue.work.files import appearing, inside
from aucue.work.tables import check_keys, did_you_mean, kind, read_mapping

GRIDS = Path(__file__).with_name("grids")
"""Folder of the grids that come with aucue."""

Protocol = Literal["holdout", "fg2024"]

CELLS_FOLDER = "cells"
EVALUATED_FILE = "evaluation.json"
READOUT = "readout"  # a setting of rows that is no setting of a training
_WEIGHTS = "classifier.weights"
_KEYS = (
    "name",
    "title",
    "notes",
    "protocol",
    "seeds",
    "settings",
    "start",
    "axes",
    "more",
    "baseline",
    "published",
    "figure",
    "evidence",
    "judge",
)
_SELECT_ON = {"holdout": "holdout", "fg2024": "test"}


@dataclass(frozen=True)
class Row:
    """One line of a grid's tables: a training, read out in one way, over all seeds.

    Attributes:
        place: Name on every axis, in the order of the axes.
        settings: Settings of `TrainConfig` by dotted name (`guidance.weight`), without `out` and `seed`;
            `readout`, if there, is the read-out of the class maps (default: the method's).
        published: Published value per measure ("CL", "ATT-COS", "CAM-COS") in [0, 1]; may be empty.
    """

    place: Mapping[str, str]
    settings: Mapping[str, Any]
    published: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The names on all axes in one line."""
        return " / ".join(self.place.values())

    @property
    def readout(self) -> str:
        """Read-out of the class maps, a key of `aucue.cams.READOUTS`."""
        method = method_named(self.settings.get("classifier.method", ClassifierSettings.method))
        return readout_for(method, self.settings.get(READOUT))


@dataclass(frozen=True)
class Cell:
    """One training and its evaluations; rows that are read-outs of the same network share it.

    Attributes:
        name: Its folder below `cells`: readable, and ending in a digest of the settings and the seed.
        settings: As of a row, without `readout`.
        seed: Of the training.
        readouts: Read-outs of the class maps that the rows of the grid ask for.
        assessment: How it is evaluated.
        start: The training from whose weights it goes on; None for one from the settings' own weights.
    """

    name: str
    settings: Mapping[str, Any]
    seed: int
    readouts: tuple[str, ...]
    assessment: "Assessment"
    start: "Cell | None" = None

    def config(self, out: str | os.PathLike[str]) -> TrainConfig:
        """The training's settings, in its folder below the benchmark's folder `out`."""
        settings = dict(self.settings)
        if self.start is not None:
            settings[_WEIGHTS] = str(self.start.folder(out) / MODEL_FILE)
        return _config(settings, self.seed, str(self.folder(out)))

    def folder(self, out: str | os.PathLike[str]) -> Path:
        """Where the training and its evaluations lie."""
        return Path(out, CELLS_FOLDER, self.name)

    def evaluation(self, out: str | os.PathLike[str], readout: str) -> Path:
        """Folder of the evaluation under a read-out."""
        return self.folder(out) / f"{readout}{self.assessment.suffix}"


def is_finished(cell: Cell, out: str | os.PathLike[str]) -> bool:
    """Whether a cell is trained and evaluated under all its read-outs."""
    if not cell.readouts:
        return (cell.folder(out) / MODEL_FILE).is_file()
    return all((cell.evaluation(out, readout) / EVALUATED_FILE).is_file() for readout in cell.readouts)


def check_sets(cells: Iterable[Cell], out: str | os.PathLike[str]) -> None:
    """Refuse sets that unfinished cells need and that are not there: once, not in each of the trainings.

    Args:
        cells: Of a grid.
        out: The benchmark's folder.

    Raises:
        InputError: A set cannot be used, or lacks a split.
    """
    for cell in cells:
        if not is_finished(cell, out):
            config = cell.config(out)
            check_set(config, *(("test",) if cell.readouts else ()))


@dataclass(frozen=True)
class Assessment:
    """How the trainings of a grid are evaluated.

    Attributes:
        evidence: Faces per expression whose evidence is measured; 0 for none.
        codebook, regions: Judge of all rows, see `evaluate`; None takes what each was trained with.
    """

    evidence: int = 0
    codebook: str | None = None
    regions: str | None = None

    @property
    def suffix(self) -> str:
        """What tells its folders from those of other ways to evaluate; empty for the plain one."""
        if self == Assessment():
            return ""
        return "-" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Grid:
    """Settings x seeds, as a grid file or `paper_grid` describes them.

    Attributes:
        name: Folder of the tables.
        title: Heading of the tables.
        notes: Sentences printed below it.
        protocol: "holdout" selects the epoch on a held-out part of the training faces and evaluates the test
            faces once; "fg2024" selects on the test faces, as published.
        seeds: Of the trainings.
        axes: Names on every axis, in order.
        rows: Lines of the tables.
        start: Settings of a training per seed, from whose weights all rows of that seed go on; None for none.
        baseline: On one axis, the name that all others on it are compared with; empty compares nothing.
        figure: `x`, the setting a figure is drawn over, and `over`, the names on other axes that it shows.
        assessment: How every training is evaluated.
        table: What the grid was made of, see `from_dict`.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    protocol: Protocol
    seeds: tuple[int, ...]
    axes: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    baseline: Mapping[str, str]
    figure: Mapping[str, Any] | None
    assessment: Assessment
    table: Mapping[str, Any] = field(repr=False)
    start: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a grid file (YAML).

        Raises:
            InputError: The file cannot be read, or describes no grid.
        """
        return cls.from_dict(read_mapping(Path(path)), where=str(path))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], where: str = "grid") -> Self:
        """A grid from the content of a grid file.

        `settings` are common to all rows, `axes` map axis -> name -> settings; rows are the product of the
        names, of which later axes win over earlier ones, and then those of `more`. `start` holds what a
        training that all rows of a seed go on from has for settings beside or instead of the common ones.
        `evidence: true`, or a number of faces per expression, measures evidence too; `judge` names a
        `codebook` and `regions` that judge all rows.

        Args:
            table: What the file holds; only `name`, `axes` and `settings` are needed.
            where: File, for errors.

        Raises:
            InputError: An entry is unknown or has another form, two rows have one name, or a row's settings
                make no training.
        """
        check_keys(table, _KEYS, where)
        axes = _axes(table.get("axes"), where)
        protocol = table.get("protocol", "holdout")
        if not isinstance(protocol, str) or protocol not in _SELECT_ON:
            raise InputError(
                f"{where}: protocol must be {' or '.join(get_args(Protocol))}, not {protocol!r}."
            )
        common = {**_mapping(table.get("settings", {}), f"{where}, settings")}
        common["select_on"] = _SELECT_ON[protocol]
        product, more = _product(axes, common), _more(table.get("more", []), axes, common, where)
        _check_labels(product, more, where)
        rows = [*product, *more]
        names = {axis: tuple(dict.fromkeys(row.place[axis] for row in rows)) for axis in axes}
        published = _published(table.get("published", []), tuple(axes), where)
        rows = [
            Row(row.place, _taken(row.settings), published.get(tuple(row.place.values()), {})) for row in rows
        ]
        start = _start(table.get("start"), common, rows, where)
        for row in rows:
            _check_row(row, where)
        name = str(table.get("name") or Path(where).stem)
        inside(Path(CELLS_FOLDER).parent, name, f"{where}, name")  # it becomes a folder of the output
        if name == CELLS_FOLDER:
            raise InputError(f"{where}: name cannot be {name!r}, the folder of all trainings.")
        return cls(
            name=name,
            title=str(table.get("title") or name),
            notes=tuple(str(note) for note in _list(table.get("notes", ()), f"{where}, notes")),
            protocol=cast(Protocol, protocol),
            seeds=_seeds(table.get("seeds", [0]), where),
            axes=names,
            rows=tuple(rows),
            baseline=_baseline(table.get("baseline", {}), names, where),
            figure=_figure(table.get("figure"), names, where),
            assessment=_assessment(table, where),
            table={"name": name, **table},
            start=start,
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the grid file that `load` reads, replacing an earlier one."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path) as unfinished:
            unfinished.write_text(self.text, encoding="utf-8")
        return path

    @property
    def text(self) -> str:
        """Content of the grid file that `load` reads."""
        return yaml.safe_dump(_plain(self.table), sort_keys=False, allow_unicode=True)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every training of the grid, each once, all of one seed before the next seed, its start first."""
        found: dict[str, Cell] = {}
        for seed, row in itertools.product(self.seeds, self.rows):
            cell = _cell(row, seed, self.assessment, self.start)
            if cell.start is not None:
                found.setdefault(cell.start.name, cell.start)
            known = found[cell.name].readouts if cell.name in found else ()
            readouts = tuple(dict.fromkeys((*known, *cell.readouts)))
            found[cell.name] = replace(cell, readouts=readouts)
        return tuple(found.values())

    def evaluation(self, out: str | os.PathLike[str], row: Row, seed: int) -> Path:
        """Folder of the evaluation of a row and seed below the benchmark's folder `out`."""
        return _cell(row, seed, self.assessment, self.start).evaluation(out, row.readout)

    def baseline_of(self, row: Row) -> Row | None:
        """The row that differs from this one on the baseline's axis only; None for a baseline itself."""
        place = {**row.place, **self.baseline}
        if place == row.place:
            return None
        return next((other for other in self.rows if other.place == place), None)

    def constant_axes(self) -> tuple[str, ...]:
        """Axes on which all rows have the same name."""
        return tuple(axis for axis, names in self.axes.items() if len(names) == 1)


def _cell(
    row: Row, seed: int, assessment: Assessment, start_settings: Mapping[str, Any] | None = None
) -> Cell:
    """The training behind a row, named by what it is made of."""
    settings = {name: value for name, value in row.settings.items() if name != READOUT}
    start = None
    if start_settings is not None:
        start = replace(_cell(Row({}, start_settings), seed, Assessment()), readouts=())
        settings[_WEIGHTS] = start.name  # the digest below depends on it; `Cell.config` knows its folder
    method = method_named(settings.get("classifier.method", ClassifierSettings.method))
    trained = next(other for other in METHODS.values() if other.shares_network_with(method))
    settings["classifier.method"] = trained.name
    config = _config(settings, seed)
    # of letters that make a name of a file in every system; the digest tells the others apart
    backbone = re.sub(r"[^\w.+-]", "_", config.classifier.backbone or trained.default_backbone)[:80]
    digest = hashlib.sha256(json.dumps(_changed(config), sort_keys=True).encode()).hexdigest()[:8]
    name = f"{trained.name}-{backbone}-lambda{config.guidance.weight:g}-{digest}-seed{seed}"
    return Cell(name, settings, seed, (row.readout,), assessment, start)


def _changed(config: TrainConfig) -> dict[str, Any]:
    """The settings that are not the default: a later version that has more of them finds the same cells."""
    plain, default = config.to_dict(), _default()
    groups = {name: value for name, value in default.items() if isinstance(value, dict)}
    changed = {name: value for name, value in plain.items() if name not in groups and value != default[name]}
    for group, values in groups.items():
        changed |= {f"{group}.{k}": v for k, v in plain[group].items() if v != values[k]}
    return changed


def _config(settings: Mapping[str, Any], seed: int = TrainConfig.seed, out: str = "") -> TrainConfig:
    """Settings by dotted name as a `TrainConfig`, with the types it asks for (4 -> 4.0)."""
    return replace(deepcopy(_parsed(json.dumps(settings))), seed=seed, out=out)


@cache
def _parsed(settings: str) -> TrainConfig:
    """What `_config` gives, by settings as JSON: parsing takes a while, and a grid asks again and again."""
    parser = _parser()
    nested: dict[str, Any] = {"out": ""}
    for name, value in json.loads(settings).items():
        *groups, last = name.split(".")
        target = nested
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = value
    # What is not given has the defaults of the dataclasses: to check those as well takes five times as long.
    parsed = parser.instantiate(parser.parse_object(nested, defaults=False))
    return TrainConfig(**{name: parsed[name] for name in TrainConfig.__dataclass_fields__ if name in parsed})


@cache
def _parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    return parser


@cache
def _default() -> dict[str, Any]:
    return _config({"data.path": ""}).to_dict()


def _check_row(row: Row, where: str) -> None:
    """Refuse settings that no training has, before the first one starts."""
    here, known = f"{where}, {row.label}", _setting_names(TrainConfig)
    for name in row.settings:
        if name != READOUT and (name not in known or name in ("out", "seed")):
            raise InputError(
                f"{here}: unknown setting {name!r}; 'aucue train --help' lists them."
                f"{did_you_mean(name, known)}"
            )
    path = row.settings.get("data.path")
    if not isinstance(path, str) or not path:
        raise InputError(f"{here}: data.path is missing, the folder of a prepared set.")
    try:
        _cell(row, 0, Assessment())
    except (argparse.ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{here}: {said(error)}.") from error


@cache
def _setting_names(group: type, prefix: str = "") -> tuple[str, ...]:
    """Dotted names of all settings."""
    hints = get_type_hints(group)
    names: list[str] = []
    for entry in fields(group):
        inner, name = hints[entry.name], prefix + entry.name
        names += (
            _setting_names(inner, f"{name}.") if isinstance(inner, type) and is_dataclass(inner) else [name]
        )
    return tuple(names)


def _taken(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with the set's folder as a training spells it, so that rows on one set know it."""
    path = settings.get("data.path")
    return {**settings, "data.path": DataSettings(path).path} if isinstance(path, str) else settings


def _plain(value: Any) -> Any:
    """A copy in which YAML finds no aliases; its keys, unlike those of JSON, stay what they are."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _check_labels(product: Sequence[Row], more: Sequence[Row], where: str) -> None:
    """Refuse two rows of one name: results go by it, and one would show the other's figures."""
    entries = [f"{where}, more, entry {number}" for number in range(1, len(more) + 1)]
    known: set[str] = set()
    for row, here in zip((*product, *more), [f"{where}, axes"] * len(product) + entries, strict=True):
        if row.label in known:
            raise InputError(
                f"{here}: there is a row {row.label!r} already; give this one another name on one of the "
                "axes, or leave it out."
            )
        known.add(row.label)


def _product(axes: Mapping[str, Mapping[str, Mapping[str, Any]]], common: Mapping[str, Any]) -> list[Row]:
    rows = []
    for names in itertools.product(*axes.values()):
        place = dict(zip(axes, names, strict=True))
        settings = {k: v for axis, name in place.items() for k, v in axes[axis][name].items()}
        rows.append(Row(place, {**common, **settings}))
    return rows


def _start(
    value: Any, common: Mapping[str, Any], rows: Iterable[Row], where: str
) -> Mapping[str, Any] | None:
    """Settings of the training that rows go on from."""
    if value is None:
        return None
    here = f"{where}, start"
    settings = {**common, **_mapping(value, here)}
    _check_row(Row({"start": "start"}, settings), where)
    if READOUT in settings or any(row.settings.get(_WEIGHTS) for row in rows):
        raise InputError(
            f"{here}: with it neither start nor rows can have {READOUT if READOUT in settings else _WEIGHTS}."
        )
    return _taken(settings)


def _more(
    entries: Any, axes: Mapping[str, Mapping[str, Mapping[str, Any]]], common: Mapping[str, Any], where: str
) -> list[Row]:
    """Rows beside the product: a name on every axis, known or new, and settings."""
    rows = []
    for number, entry in enumerate(_list(entries, f"{where}, more"), start=1):
        here = f"{where}, more, entry {number}"
        entry = _by_name(entry, here)
        check_keys(entry, (*axes, "settings"), here)
        place = {axis: str(_needed(entry, axis, here)) for axis in axes}
        settings = dict(common)
        for axis, name in place.items():
            settings |= axes[axis].get(name, {})
        rows.append(Row(place, {**settings, **_mapping(entry.get("settings", {}), here)}))
    return rows


def _axes(value: Any, where: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    axes = _by_name(value or {}, f"{where}, axes")
    if not axes:
        raise InputError(f"{where}: axes are missing; they map axis -> name -> settings.")
    found = {}
    for axis, value in axes.items():
        here = f"{where}, axes, {axis}"
        names = _by_name(value, here)
        if not names:
            raise InputError(f"{here}: no names; give at least one, with its settings.")
        found[axis] = {name: _mapping(entry or {}, f"{here}, {name}") for name, entry in names.items()}
    return found


def _published(entries: Any, axes: Sequence[str], where: str) -> dict[tuple[str, ...], dict[str, float]]:
    found = {}
    for number, entry in enumerate(_list(entries, f"{where}, published"), start=1):
        here = f"{where}, published, entry {number}"
        values = _by_name(entry, here)
        place = tuple(str(_needed(values, axis, here)) for axis in axes)
        found[place] = {k: _number(v, f"{here}, {k}") for k, v in values.items() if k not in axes}
    return found


def _baseline(value: Any, names: Mapping[str, tuple[str, ...]], where: str) -> dict[str, str]:
    baseline = _place(value or {}, names, f"{where}, baseline")
    if len(baseline) > 1:
        raise InputError(f"{where}, baseline: give one axis, not {', '.join(baseline)}.")
    return baseline


def _figure(value: Any, names: Mapping[str, tuple[str, ...]], where: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    here = f"{where}, figure"
    check_keys(_mapping(value, here), ("x", "over"), here)
    _needed(value, "x", here)
    return {**value, "over": _place(value.get("over", {}), names, here)}


def _place(value: Any, names: Mapping[str, tuple[str, ...]], where: str) -> dict[str, str]:
    """Names on some of the axes."""
    place = {axis: str(name) for axis, name in _by_name(value, where).items()}
    for axis, name in place.items():
        if axis not in names or name not in names[axis]:
            raise InputError(f"{where}: {axis}: {name} is no name on an axis of this grid.")
    return place


def _assessment(table: Mapping[str, Any], where: str) -> Assessment:
    evidence, here = table.get("evidence", False), f"{where}, evidence"
    if type(evidence) not in (bool, int) or evidence < 0:
        raise InputError(f"{here} must be true, false or a number of faces per expression, not {evidence!r}.")
    judge = _mapping(table.get("judge") or {}, f"{where}, judge")
    check_keys(judge, ("codebook", "regions"), f"{where}, judge")
    if "codebook" in judge:
        Codebook.load(str(judge["codebook"]))  # found now, not in each evaluation
    if "regions" in judge:
        from aucue.cues import region_model  # needs torch

        region_model(str(judge["regions"]))
    named = {name: str(value) for name, value in judge.items()}
    return Assessment(FACES if evidence is True else int(evidence), **named)


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    seeds = _list(value, f"{where}, seeds")
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds must be different whole numbers from 0, not {seeds}.")
    return tuple(seeds)


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not abs(value) < math.inf:
        raise InputError(f"{where} must be a number, not {kind(value)}.")
    return float(value)


def _needed(entry: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in entry:
        raise InputError(f"{where}: {key} is missing.")
    return entry[key]


def _by_name(value: Any, where: str) -> dict[str, Any]:
    """A mapping whose keys are names: YAML reads 0 as a number and `no` as false."""
    found: dict[str, Any] = {}
    for key, entry in _mapping(value, where).items():
        if str(key) in found:
            raise InputError(f"{where}: two entries are named {str(key)!r}; give one of them another name.")
        found[str(key)] = entry
    return found


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a mapping ('key: value' lines), not {kind(value)}.")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InputError(f"{where} must be a list, not {kind(value)}.")
    return list(value)
