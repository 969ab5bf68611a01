"""Source -> prepared set: every face found, aligned and stored once, by all workers of an engine, resumable.

Samples are worked off in chunks. Each finished chunk is one Parquet file under `<out>/.unfinished`, beside a
manifest of the settings; a second run with the same settings takes up what is there. At the end the chunks
become a Hugging Face data set (Arrow, memory-mapped), described by `aucue.json`; `problems.csv` lists every
sample that is missing or has no landmarks, and why; `findings.csv` what the source found missing or odd. Only
then does it take the place of a set that was there before.
"""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from aucue.data.crops import NO_FACE
from aucue.data.description import (
    DESCRIPTION_FILE,
    FINDINGS_FILE,
    FORMAT,
    PROBLEMS_FILE,
    REMEDY,
    UNFINISHED_FOLDER,
    WithoutLandmarks,
    read_description,
)
from aucue.data.shards import JPEG_QUALITY, Job, Problem, read_outcome, write_shard
from aucue.data.sources.expected import Finding
from aucue.data.sources.repeats import Repeats
from aucue.data.sources.source import SPLITS, Source
from aucue.data.store import write_dataset
from aucue.errors import InputError, OutputExistsError, said
from aucue.faces import (
    DEFAULT_DETECTOR,
    FaceReader,
    LandmarkDetector,
    Template,
    check_detector,
    is_table,
    no_detector,
    open_detector,
)
from aucue.faces.detectors import told_apart
from aucue.work.engines import Engine, EngineName, open_engine
from aucue.work.files import LOCK_FILE, appearing, cell, claimed, printable, read_json, write_json
from aucue.work.progress import progress_bar
from aucue.work.tables import check_among

_MANIFEST = "manifest.json"
_REPLACES = "replaces"  # an empty file beside the manifest: a complete set stays until this run is finished
_INDEX = "dataset_dict.json"
_ALIGNED_NOTE = (
    "the pictures came aligned and were only resized: they follow the set's own frame, no template"
)
DLIB_NOTE = "landmarks by dlib's 68-point model, trained on iBUG 300-W: research use, not commercial use"


@dataclass(frozen=True)
class PrepareReport:
    """What a preparation found.

    Attributes:
        path: The prepared set.
        classes: Names of the classes.
        samples: Samples in the set, per split.
        labels: Per split, how many samples each class has; a class without any is not named.
        found: Per split, how many faces were found in which way ("none" and "box" are samples kept without
            landmarks, the latter as the box that the source gives).
        problems: Per split, how many samples had which problem; each is listed in `problems.csv`.
        skipped: Samples that are not in the set because their pictures could not be used.
        dropped: Samples that are not in the set because they have no landmarks, as was asked for.
        repeated: Pictures that are there again, byte for byte, in the same split and with the same label.
        findings: What the source found missing or odd; each is listed in `findings.csv`.
        notes: What a user of the set has to know, such as licences.
    """

    path: Path
    classes: tuple[str, ...]
    samples: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    found: Mapping[str, Mapping[str, int]]
    problems: Mapping[str, Mapping[str, int]]
    skipped: int
    dropped: int
    repeated: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every picture could be used, and the source is what it should be."""
        return self.skipped == 0 and not self.findings


def prepare(
    source: Source,
    out: str | os.PathLike[str],
    detector: str | LandmarkDetector | None = None,
    *,
    size: int = 224,
    template: str | Template = "aucue",
    without_landmarks: WithoutLandmarks = "keep",
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    engine: EngineName = "local",
) -> PrepareReport:
    """Prepare a data set for training and evaluation.

    The rows are in the source's order, whatever the engine and the number of workers. A picture that cannot
    be used is listed and left out, never fatal. An interrupted preparation is continued by the same call; a
    complete one is left as it is.

    Args:
        source: The samples. Their own landmarks are used where they have any.
        out: Folder of the prepared set.
        detector: Finds the landmarks of samples that have none: a name in `aucue.faces.DETECTORS`, or a
            `LandmarkDetector`; default the mesh. For collections of face crops, "mesh-full-frame" takes the
            whole picture as the face where none is found.
        size: Side of the crops in pixels.
        template: Where the face lies in the crop.
        without_landmarks: "keep" samples without landmarks as their widened box, or as the centre square of
            the picture (they train the classifier but not where it looks), or "drop" them.
        workers: Processes; by default one per core, fewer for a small set. A script that uses more than one
            needs the usual `if __name__ == "__main__":`.
        overwrite: Replace a prepared set of other settings, or prepare anew. The old set stays until the new
            one is finished.
        progress: Show a progress bar on stderr.
        engine: "local" works in processes of this machine, "ray" on a Ray cluster; the result is the same,
            and either continues what the other began.

    Raises:
        InputError: The source is empty or none of its pictures can be used, or a setting makes no sense.
            Another process prepares into the same folder.
        OutputExistsError: `out` holds something else, or a set of other settings.
        MissingExtraError: A sample needs the detector dlib, or the engine is Ray, and it is not installed.
        AucueError: A worker died; the same call continues what is finished.
    """
    out = Path(out)
    check_among(without_landmarks, get_args(WithoutLandmarks), "without_landmarks")
    if not len(source):
        raise InputError(f"{source.name}: the source has no samples.")
    running = open_engine(engine, workers)
    job = _job(source, detector, size, template, without_landmarks == "keep")
    settings = _settings(job)
    _refuse_foreign(out)
    with claimed(out):
        if not _take(out, settings, overwrite):
            shards = _write_shards(job, out / UNFINISHED_FOLDER, running, progress)
            _finish(out, shards, settings, source)
            shutil.rmtree(out / UNFINISHED_FOLDER, ignore_errors=True)
        return _report(out)


def _job(
    source: Source, detector: str | LandmarkDetector | None, size: int, template: str | Template, keep: bool
) -> Job:
    finds = DEFAULT_DETECTOR if detector is None else detector
    check_detector(finds)
    if finds == "none" or (isinstance(finds, str) and is_table(finds)):
        finds = open_detector(finds)
    reader = FaceReader(no_detector, size, template)  # checks size and template
    return Job(source, finds, reader.size, reader.template, keep)


def _settings(job: Job) -> dict[str, Any]:
    """Everything the result depends on, as JSON gives it back."""
    source = job.source
    settings = {
        "source": {"name": source.name, "samples": len(source), **source.provenance},
        "classes": source.classes,
        "size": job.size,
        "template": asdict(job.template),
        "detector": told_apart(job.detector),
        "without_landmarks": "keep" if job.keep else "drop",
        "jpeg_quality": JPEG_QUALITY,
    }
    return json.loads(json.dumps(settings))


def _refuse_foreign(out: Path) -> None:
    """Raise if `out` holds what no preparation has written."""
    if (out / DESCRIPTION_FILE).exists() or (out / UNFINISHED_FOLDER / _MANIFEST).exists():
        return
    if out.exists() and (not out.is_dir() or any(not _is_left_over(path) for path in out.iterdir())):
        raise OutputExistsError(f"{out} exists and is no prepared set; choose another folder.")


def _is_left_over(path: Path) -> bool:
    """Whether a killed preparation may have left this before it wrote down its settings."""
    return path.name in (LOCK_FILE, UNFINISHED_FOLDER)


def _take(out: Path, settings: dict[str, Any], overwrite: bool) -> bool:
    """Make `out` the folder of exactly these settings; whether the set in it is complete already."""
    complete, unfinished = (out / DESCRIPTION_FILE).exists(), out / UNFINISHED_FOLDER
    if complete and not (unfinished / _REPLACES).exists():
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed after its last step
    if not overwrite:
        _refuse_others(out, settings)
        if complete:
            return True
    if not _is_begun(unfinished / _MANIFEST, settings):
        _begin(out, settings)
    return False


def _refuse_others(out: Path, settings: dict[str, Any]) -> None:
    """Raise if `out` holds a set, or an unfinished one, of other settings."""
    complete, manifest = out / DESCRIPTION_FILE, out / UNFINISHED_FOLDER / _MANIFEST
    remedy = "overwrite the set (--overwrite), or choose another folder"
    if complete.exists():
        found = read_description(complete, remedy)["settings"]
    elif manifest.exists():
        found = read_json(manifest, remedy)
    else:
        return
    if differing := _differing(found, settings):
        raise OutputExistsError(
            f"{out} was prepared with other settings ({', '.join(differing)}); choose another folder, or "
            "overwrite it."
        )


def _differing(found: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    return [name for name in settings if found.get(name) != settings[name]]


def _is_begun(manifest: Path, settings: dict[str, Any]) -> bool:
    """Whether an interrupted run of these settings can be continued."""
    if not manifest.exists():
        return False
    try:
        return not _differing(read_json(manifest, REMEDY), settings)
    except InputError:
        return False


def _begin(out: Path, settings: dict[str, Any]) -> None:
    """Start with nothing done. A complete set stays where it is until the new one can take its place."""
    unfinished, replaces = out / UNFINISHED_FOLDER, (out / DESCRIPTION_FILE).exists()
    if not replaces:
        _clear(out)
    if unfinished.is_dir():
        shutil.rmtree(unfinished)  # an error is raised: a chunk that stays would be taken for a new one
    unfinished.mkdir(parents=True)
    if replaces:
        (unfinished / _REPLACES).touch()
    write_json(unfinished / _MANIFEST, settings)


def _clear(out: Path) -> None:
    """Remove a prepared set, and nothing else that may lie beside it; first its description, if any.

    Without one nobody takes what is there for a set, and the manifest says to the next run whose it is.
    """
    (out / DESCRIPTION_FILE).unlink(missing_ok=True)
    (out / UNFINISHED_FOLDER / _REPLACES).unlink(missing_ok=True)
    _remove_dataset(out)
    for name in (PROBLEMS_FILE, FINDINGS_FILE):
        (out / name).unlink(missing_ok=True)


def _remove_dataset(out: Path) -> None:
    """Remove the stored splits. Their names are known: the index, which may say anything, is not asked."""
    index = out / _INDEX
    if index.exists():
        for split in SPLITS:
            if _is_split(out / split):
                shutil.rmtree(out / split, ignore_errors=True)
        index.unlink()


def _is_split(folder: Path) -> bool:
    """Whether a folder holds a stored split, or what is left of one, and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    names = (path.name for path in folder.iterdir())
    return all(name in ("state.json", "dataset_info.json") or name.endswith(".arrow") for name in names)


def _write_shards(job: Job, folder: Path, engine: Engine, progress: bool) -> list[Path]:
    """Write the shards that are not there yet; all of them, in the source's order."""
    samples = len(job.source)
    # A function of the samples alone, so that a resumed run fits.
    length = min(256, max(16, -(-samples // 64)))
    chunks = {
        folder / f"shard-{start:09d}.parquet": (start, min(start + length, samples))
        for start in range(0, samples, length)
    }
    missing = {path: chunk for path, chunk in chunks.items() if not path.exists()}
    with progress_bar(progress) as bar:
        task = bar.add_task(job.source.name, total=samples)
        bar.update(task, completed=samples - sum(stop - start for start, stop in missing.values()))
        shards = engine.run(job.shard, list(missing.values()), most=-(-samples // 64))
        for (path, (start, stop)), shard in zip(missing.items(), shards, strict=True):
            write_shard(path, shard)
            bar.advance(task, stop - start)
    return list(chunks)


def _finish(out: Path, shards: list[Path], settings: dict[str, Any], source: Source) -> None:
    """Shards -> the prepared set, which takes the place of what was there when all of it is made."""
    outcomes = [read_outcome(path) for path in shards]
    rows = [row for listed, _ in outcomes for row in listed]
    problems = [problem for _, listed in outcomes for problem in listed]
    if not rows:
        shutil.rmtree(out / UNFINISHED_FOLDER)
        raise InputError(
            f"{source.name}: none of the {len(source)} samples can be used; "
            f"the first: {said(problems[0].reason)}."
        )
    assembled = out / UNFINISHED_FOLDER / "assembled"
    write_dataset(shards, assembled, source.classes)
    _write_table(
        assembled / PROBLEMS_FILE, Problem._fields, [(*p[:-1], "yes" if p.kept else "no") for p in problems]
    )
    repeats = Repeats(source)
    findings = [*source.findings, *repeats.findings]
    _write_table(assembled / FINDINGS_FILE, Finding._fields, findings)
    counted = {"repeated": repeats.harmless, "findings": len(findings)}
    description = _description(source, settings, rows, problems) | counted
    write_json(assembled / DESCRIPTION_FILE, description)
    _put_in_place(assembled, out)


def _description(
    source: Source, settings: dict[str, Any], rows: list[tuple[str, str, int]], problems: list[Problem]
) -> dict[str, Any]:
    found = [(split, how) for split, how, _ in rows]
    skipped = sum(not p.kept and p.kind not in NO_FACE for p in problems)
    aligned = source[0].aligned
    return {
        "format": FORMAT,
        "aucue": version("aucue"),
        "name": source.name,
        "classes": source.classes,
        "size": settings["size"],
        "template": None if aligned else settings["template"]["name"],
        "licence": source.provenance.get("licence", "not stated; see the terms of the data set"),
        "notes": _notes(aligned, _is_dlib(settings["detector"]) and _detected(found)),
        "samples": Counter(split for split, _ in found),
        "labels": _by_split([(split, source.classes[label]) for split, _, label in rows]),
        "found": _by_split(found),
        "problems": _by_split([(problem.split, problem.kind) for problem in problems]),
        "skipped": skipped,
        "dropped": sum(not p.kept for p in problems) - skipped,
        "settings": settings,
    }


def _put_in_place(assembled: Path, out: Path) -> None:
    """Exchange what was there for the new set; its description comes last and marks it complete.

    After a kill in between there is no description, and the next run makes the set of its shards again.
    """
    for path in assembled.iterdir():
        if path.is_dir() and (out / path.name).exists() and not _is_split(out / path.name):
            raise OutputExistsError(f"{out / path.name} is no part of a prepared set; move it away.")
    _clear(out)
    # The index before the splits: see _remove_dataset.
    for path in sorted(assembled.iterdir(), key=lambda path: (path.name == DESCRIPTION_FILE, path.is_dir())):
        if path.is_dir() and (out / path.name).exists():
            shutil.rmtree(out / path.name)
        os.replace(path, out / path.name)


def _is_dlib(detector: str | Mapping[str, str]) -> bool:
    return isinstance(detector, str) and detector.startswith("dlib")


def _notes(aligned: bool, dlib: bool) -> list[str]:
    notes = {_ALIGNED_NOTE: aligned, DLIB_NOTE: dlib}
    return [note for note, holds in notes.items() if holds]


def _detected(found: list[tuple[str, str]]) -> bool:
    return any(how not in ("precomputed", "box", "none") for _, how in found)


def _by_split(entries: list[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (split, name), count in Counter(entries).items():
        counts.setdefault(split, {})[name] = count
    return counts


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with appearing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([cell(printable(value)) for value in row] for row in (header, *rows))


def _report(out: Path) -> PrepareReport:
    description = read_description(out / DESCRIPTION_FILE, REMEDY)
    own = {"path", "classes", "labels", "repeated", "findings", "notes"}
    names = {field.name for field in fields(PrepareReport)} - own
    return PrepareReport(
        path=out,
        findings=_read_findings(out / FINDINGS_FILE),
        notes=tuple(description["notes"]),
        classes=tuple(description["classes"]),
        labels=description.get("labels", {}),
        repeated=description.get("repeated", 0),
        **{name: description[name] for name in names},
    )


def _read_findings(path: Path) -> tuple[Finding, ...]:
    if not path.exists():  # an older set, whose source checked nothing
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(Finding(*map(_unquoted, row)) for row in csv.reader(file))[1:]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({error}); {REMEDY}.") from error


def _unquoted(value: str) -> str:
    """What `cell` was given."""
    return value[1:] if value.startswith("'") and cell(value[1:]) == value else value
