"""`aucue prepare`: a labelled collection of photographs -> a set of aligned faces with landmarks."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aucue.cli.arguments import Parser, add_parameters, arguments_of, describe, parse
from aucue.data.description import WithoutLandmarks
from aucue.data.sources.source import SPLITS, Source
from aucue.errors import InputError
from aucue.work.engines import EngineName
from aucue.work.tables import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from aucue.data import PrepareReport

FINDINGS_SHOWN = 10
FEW_TRAINED, FEW_MEASURED = 20, 10  # faces of a class

_USAGE = """Find, align and store every face of a collection once, ready for training and evaluation.

Usage: aucue prepare SOURCE [arguments]

Sources:
{sources}

`aucue prepare SOURCE --help` explains one source and its arguments."""


def run(argv: Sequence[str]) -> int:
    """Prepare a collection from the source named first.

    Args:
        argv: Arguments after the command's name.

    Returns:
        Exit status: 1 if a picture could not be used, or if the source found something missing or odd.
    """
    from aucue.data.sources.registry import SOURCES

    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"  {name:<11}{describe(source)[0].splitlines()[0]}" for name, source in SOURCES.items()]
        print(_USAGE.format(sources="\n".join(lines)))
        return 0 if argv else 2
    name, *rest = argv
    if name not in SOURCES:
        raise InputError(
            f"There is no source '{name}'; choose from {', '.join(SOURCES)}.{did_you_mean(name, SOURCES)}"
        )
    make = SOURCES[name]
    settings = parse(make_parser(name, make), rest)
    shared = inspect.signature(_prepare).parameters
    source = _source(make, arguments_of(make, settings, skip=shared), settings)
    return _prepare(source, **arguments_of(_prepare, settings, skip=("source",)))


def make_parser(name: str, make: Callable[..., Source]) -> Parser:
    """The parser of one source: the parameters of its constructor, and those of every source."""
    about = describe(make)[0].replace("::\n", ":\n")  # no reStructuredText in a terminal
    parser = Parser(prog=f"aucue prepare {name}", description=f"{about}\n\n{describe(_prepare)[0]}")
    add_parameters(parser, make, positional=False, skip=inspect.signature(_prepare).parameters)
    add_parameters(parser.add_argument_group("every source"), _prepare, skip=("source",))
    return parser


def _source(make: Callable[..., Source], arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> Source:
    parameters = inspect.signature(make).parameters
    more: dict[str, Any] = {}
    if "out" in parameters:  # a source that searches folders finds nothing in what is prepared
        more["out"] = settings["out"]
    if "size" in parameters:  # one that draws does so at the crops' size or finer: alignment enlarges nothing
        more["size"] = max(settings["size"], parameters["size"].default)
    return make(**arguments, **more)


def _prepare(
    source: Source,
    *,
    out: Path,
    detector: str | None = None,
    without_landmarks: WithoutLandmarks = "keep",
    size: int = 224,
    template: str = "aucue",
    workers: int | None = None,
    engine: EngineName = "local",
    overwrite: bool = False,
) -> int:
    """All cores are used; the same command continues an interrupted run.

    Pictures that cannot be used are left out and listed in problems.csv, and what is missing or odd in the
    collection is listed in findings.csv; the exit status is then 1.

    Args:
        source: The samples.
        out: Folder of the prepared set.
        detector: Finds landmarks where none are given: mesh (the default); mesh-full-frame, which takes the
            whole picture as the face where it finds none (for collections of face crops); dlib and
            dlib-full-frame, for comparison; none; or a table of known landmarks (.csv or .parquet).
        without_landmarks: Keep photographs without landmarks as they are, or drop them.
        size: Side of the stored crops in pixels.
        template: Where the face lies in the crop: aucue, or the tight fg2024.
        workers: Processes; by default one per core.
        engine: Where the work is done: on this machine, or on a Ray cluster.
        overwrite: Replace a prepared set in --out, which stays until the new one is finished.
    """
    from aucue.data import prepare
    from aucue.data.description import DESCRIPTION_FILE
    from aucue.work.terminal import Terminal

    complete = (out / DESCRIPTION_FILE).exists() and not overwrite
    report = prepare(
        source,
        out,
        detector=detector,
        size=size,
        template=template,
        without_landmarks=without_landmarks,
        workers=workers,
        overwrite=overwrite,
        engine=engine,
    )
    terminal = Terminal()
    terminal.print(_table(report, source.name))
    if report.labels:
        terminal.print(_class_table(report))
    terminal.say(*_sentences(report, complete))
    if complete:
        terminal.say("It was complete already; --overwrite prepares it anew.")
    return 0 if report.ok else 1


def _table(report: "PrepareReport", name: str) -> "Table":
    from rich.table import Table

    last = ("box", "none")
    ways = sorted({way for counts in report.found.values() for way in counts}, key=lambda way: way in last)
    kinds = sorted({kind for counts in report.problems.values() for kind in counts})
    table = Table(title=f"{name}: faces found, and problems")
    for heading in ("split", "in the set", *(_WAYS.get(way, way) for way in ways), *kinds):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in _in_order((*report.samples, *report.problems)):
        found, problems = report.found.get(split, {}), report.problems.get(split, {})
        counts = [report.samples.get(split, 0), *map(found.get, ways), *map(problems.get, kinds)]
        table.add_row(split, *(str(count or 0) for count in counts))
    return table


_WAYS = {"none": "kept without landmarks", "box": "kept as the box", "precomputed": "landmarks given"}


def _in_order(splits: Iterable[str]) -> list[str]:
    there = set(splits)
    return [split for split in SPLITS if split in there]


def _class_table(report: "PrepareReport") -> "Table":
    """Faces of each class and split."""
    from rich.table import Table

    table = Table(title="faces of each class")
    table.add_column("class")
    splits = _in_order(report.samples)
    for split in splits:
        table.add_column(split, justify="right")
    for name in report.classes:
        table.add_row(name, *(str(report.labels.get(split, {}).get(name, 0)) for split in splits))
    return table


def _few(report: "PrepareReport") -> list[str]:
    """Warnings of classes that are too rare to be learned or measured."""
    trained = report.labels.get("train", {})
    measured = report.labels.get("test", {})
    rare = {name: trained.get(name, 0) for name in report.classes if trained.get(name, 0) < FEW_TRAINED}
    told = [f"{_listed(rare)} to train on: too few to be learned reliably"] if trained and rare else []
    rare = {name: measured.get(name, 0) for name in report.classes if measured.get(name, 0) < FEW_MEASURED}
    told += [f"{_listed(rare)} to test on: one face is a large share"] if measured and rare else []
    return [f"Warning: {text}." for text in told]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count or 'no'} {name}" for name, count in counts.items())


def _sentences(report: "PrepareReport", complete: bool) -> list[str]:
    from aucue.data.description import FINDINGS_FILE, PROBLEMS_FILE
    from aucue.data.preparation import DLIB_NOTE

    listed = f"; see {report.path / PROBLEMS_FILE}"
    # the detector has told its licence itself, when it was made
    sentences = [f"Note: {note}." for note in report.notes if complete or note != DLIB_NOTE]
    sentences += _few(report)
    if without := sum(report.problems[split].get("no face", 0) for split in report.problems):
        sentences.append(f"Warning: no face was found in {without} of {_pictures(report)}{listed}.")
    if report.repeated:
        sentences.append(f"Warning: {report.repeated} are there twice, in one split and with one label.")
    sentences += [f"Found: {where}: {what}." for where, what in report.findings[:FINDINGS_SHOWN]]
    if (more := len(report.findings) - FINDINGS_SHOWN) > 0:
        sentences.append(f"Found {more} more; see {report.path / FINDINGS_FILE}")
    if report.dropped:
        sentences.append(f"{report.dropped} without landmarks were dropped{listed}")
    if report.skipped:
        sentences.append(f"{report.skipped} could not be used and are left out{listed}")
    return [*sentences, f"Prepared set: {report.path}", f"Next:  aucue inspect {report.path}"]


def _pictures(report: "PrepareReport") -> str:
    return f"{sum(report.samples.values()) + report.skipped + report.dropped} pictures"
